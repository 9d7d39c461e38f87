// The numbers by which HTTP/2 peers say why a stream or a connection ends.

/// Source: RFC 9113 section 7, complete.
public enum HTTP2ErrorCode {
    public static let noError: UInt32 = 0
    public static let protocolError: UInt32 = 1
    public static let internalError: UInt32 = 2
    public static let flowControlError: UInt32 = 3
    public static let settingsTimeout: UInt32 = 4
    public static let streamClosed: UInt32 = 5
    public static let frameSizeError: UInt32 = 6
    public static let refusedStream: UInt32 = 7
    public static let cancel: UInt32 = 8
    public static let compressionError: UInt32 = 9
    public static let connectError: UInt32 = 10
    public static let enhanceYourCalm: UInt32 = 11
    public static let inadequateSecurity: UInt32 = 12
    public static let http11Required: UInt32 = 13
}
