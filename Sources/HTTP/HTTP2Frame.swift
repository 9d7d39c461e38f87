// Frames of HTTP/2 (RFC 9113 section 4): the nine bytes before each, and the names of types, flags and settings.

import Base

enum HTTP2FrameType {
    static let data: UInt8 = 0
    static let headers: UInt8 = 1
    static let priority: UInt8 = 2
    static let rstStream: UInt8 = 3
    static let settings: UInt8 = 4
    static let pushPromise: UInt8 = 5
    static let ping: UInt8 = 6
    static let goAway: UInt8 = 7
    static let windowUpdate: UInt8 = 8
    static let continuation: UInt8 = 9
}

enum HTTP2Flag {
    static let endStream: UInt8 = 1
    static let ack: UInt8 = 1
    static let endHeaders: UInt8 = 4
    static let padded: UInt8 = 8
    static let priority: UInt8 = 32
}

/// Source: RFC 9113 section 6.5.2, RFC 8441 section 3, RFC 9218 section 2.1.
enum HTTP2Setting {
    static let headerTableSize: UInt16 = 1
    static let enablePush: UInt16 = 2
    static let maxConcurrentStreams: UInt16 = 3
    static let initialWindowSize: UInt16 = 4
    static let maxFrameSize: UInt16 = 5
    static let maxHeaderListSize: UInt16 = 6
    static let enableConnectProtocol: UInt16 = 8
    static let noRFC7540Priorities: UInt16 = 9
}

struct HTTP2Frame {
    static let headerBytes = 9

    var type: UInt8
    var flags: UInt8
    var stream: UInt32
    var payload: UnsafeRawBufferPointer

    @inline(__always)
    func has(_ flag: UInt8) -> Bool { flags & flag != 0 }
}

@inline(__always)
func writeFrameHeader(_ at: UnsafeMutableRawPointer, length: Int, type: UInt8, flags: UInt8, stream: UInt32) {
    at.storeBytes(of: (UInt32(truncatingIfNeeded: length) << 8 | UInt32(type)).bigEndian, as: UInt32.self)
    at.storeBytes(of: flags, toByteOffset: 4, as: UInt8.self)
    at.storeBytes(of: stream.bigEndian, toByteOffset: 5, as: UInt32.self)
}

extension UnsafeRawBufferPointer {
    @inline(__always)
    func bigEndian32(at offset: Int) -> UInt32 { UInt32(bigEndian: loadUnaligned(fromByteOffset: offset, as: UInt32.self)) }

    @inline(__always)
    func bigEndian16(at offset: Int) -> UInt16 { UInt16(bigEndian: loadUnaligned(fromByteOffset: offset, as: UInt16.self)) }
}
