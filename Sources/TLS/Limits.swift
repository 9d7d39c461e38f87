// The bounds of the TLS module. What a peer or a file may make us hold is decided here and nowhere else.

public enum TLSLimits {
    /// Ciphertext received and not yet pulled through `nextEvent`. Unit: bytes. When full: the session fails (internal_error),
    /// because its owner stopped pulling. Source: own choice, 64 full records.
    public static let ciphertextInputBytesMax = 1 << 20

    /// Ciphertext made and not yet drained, and plaintext waiting for the handshake. Unit: bytes each. When full: `send`
    /// refuses; nothing is lost. Source: own choice, four times the largest HTTP/2 window we advertise.
    public static let outputBytesMax = 16 << 20

    /// Plaintext handed out by one `data` event. Unit: bytes. When full: the rest comes with the next event.
    /// Source: own choice, four full records (RFC 8446 section 5.1: 2^14 each).
    public static let plaintextEventBytesMax = 64 << 10

    /// A peer's whole certificate message. Unit: bytes. When over: the handshake fails (illegal_parameter).
    /// Source: own choice, about forty P-256 certificates.
    public static let certificateListBytesMax = 32 << 10

    /// How much of a connection's start is looked at for a ClientHello. Unit: bytes. When over: it is not TLS to us.
    /// Source: linkerd2-proxy linkerd/tls/src/server (peek capacity).
    public static let clientHelloBytesMax = 8192

    /// A PEM text with keys or certificates. Unit: bytes. When over: refused before parsing. Source: own choice.
    public static let pemBytesMax = 1 << 20

    /// Certificates in one PEM text or chain. Unit: certificates. When over: refused. Source: own choice.
    public static let pemCertificatesMax = 512

    /// One certificate, request or key as DER. Unit: bytes. When over: refused before parsing. Source: own choice.
    public static let derBytesMax = 64 << 10

    /// Certificates between a leaf and its anchor. Unit: certificates. When over: verification fails. Source: own choice.
    public static let chainDepthMax = 8
}
