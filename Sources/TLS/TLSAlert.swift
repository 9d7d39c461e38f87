// TLS alert numbers (RFC 8446 section 6): the codes of this module's `PeerError`s. Only those that some code names.

public enum TLSAlert {
    public static let unexpectedMessage: UInt32 = 10
    public static let handshakeFailure: UInt32 = 40
    public static let badCertificate: UInt32 = 42
    public static let certificateExpired: UInt32 = 45
    public static let certificateUnknown: UInt32 = 46
    public static let unknownAuthority: UInt32 = 48
    public static let decodeError: UInt32 = 50
    public static let internalError: UInt32 = 80
    public static let noApplicationProtocol: UInt32 = 120
    /// Not on the wire: the peer closed its direction without close_notify (RFC 8446 section 6.1 calls it truncation).
    public static let truncated: UInt32 = 256
}
