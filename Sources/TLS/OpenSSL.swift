// What every file here needs from OpenSSL: a prepared library with an empty error queue, DER out, memory BIOs for PEM, and
// the queue's oldest reason in words. The queue belongs to the thread and outlives calls, so each entry clears it first.

import Base
import COpenSSL
import COpenSSLSystem

enum OpenSSL {
    /// Call before the first OpenSSL call of an entry point.
    static func prepare() {
        weft_openssl_prepare()
        ERR_clear_error()
    }

    /// The oldest reason in the queue, in OpenSSL's words; empties the queue.
    static func takeReason() -> String {
        let code = ERR_get_error()
        ERR_clear_error()
        guard code != 0 else { return "no reason given" }
        guard let words = ERR_reason_error_string(code) else { return "OpenSSL error \(code)" }
        return String(cString: words)
    }

    static func malformed(_ what: StaticString) -> PeerError {
        PeerError(.connection, code: TLSAlert.badCertificate, rule: "malformed \(what): \(takeReason())")
    }

    static func refused(_ what: String) -> Refusal {
        Refusal("\(what): \(takeReason())")
    }

    /// The result of an `i2d_` function. Empty if it refused.
    static func encoded(_ encode: (UnsafeMutablePointer<UnsafeMutablePointer<UInt8>?>?) -> Int32) -> [UInt8] {
        let count = Int(encode(nil))
        guard count > 0 else { return [] }
        return [UInt8](unsafeUninitializedCapacity: count) { space, written in
            var cursor = space.baseAddress
            written = max(0, Int(encode(&cursor)))
        }
    }

    /// The result of a `d2i_` function over all of `der`; nil (and `free` called) if bytes are left over.
    static func decoded(_ der: [UInt8], _ decode: (UnsafeMutablePointer<UnsafePointer<UInt8>?>, Int) -> OpaquePointer?, free: (OpaquePointer) -> Void) -> OpaquePointer? {
        guard !der.isEmpty, der.count <= TLSLimits.derBytesMax else { return nil }
        return der.withUnsafeBufferPointer { bytes in
            var cursor = bytes.baseAddress
            guard let object = decode(&cursor, bytes.count) else { return nil }
            guard cursor == bytes.baseAddress.unsafelyUnwrapped + bytes.count else {
                free(object)
                return nil
            }
            return object
        }
    }

    /// A read-only BIO over `text` for the time of `body`.
    static func reading<R, E: Error>(_ text: [UInt8], _ body: (OpaquePointer) throws(E) -> R) throws(E) -> R {
        try text.withUnsafeBufferPointer { (bytes: UnsafeBufferPointer<UInt8>) throws(E) -> R in
            let bio = bytes.isEmpty ? BIO_new(BIO_s_mem()) : BIO_new_mem_buf(bytes.baseAddress, Int32(bytes.count))
            guard let bio else { invariantBroken("OpenSSL is out of memory") }
            defer { BIO_free(bio) }
            return try body(bio)
        }
    }

    /// What `body` writes into a memory BIO.
    static func written(_ body: (OpaquePointer) -> Void) -> [UInt8] {
        guard let bio = BIO_new(BIO_s_mem()) else { invariantBroken("OpenSSL is out of memory") }
        defer { BIO_free(bio) }
        body(bio)
        return [UInt8](unsafeUninitializedCapacity: BIO_ctrl_pending(bio)) { space, written in
            written = space.isEmpty ? 0 : max(0, Int(BIO_read(bio, space.baseAddress, Int32(space.count))))
        }
    }
}
