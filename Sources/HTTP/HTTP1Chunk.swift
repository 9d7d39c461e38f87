// The line before each chunk of a body (RFC 9112 section 7.1): a hexadecimal size and extensions, which are judged and dropped.

import Base

struct HTTP1ChunkLine {
    /// Unit: bytes. 0 ends the body.
    var size: Int64
    /// With CR LF. Unit: bytes.
    var byteCount: Int
    /// Unit: bytes.
    var extensionBytes: Int
}

/// Reads the line at the beginning of `raw`; nil: it is not complete. `extensionsLeft`: bytes that extensions may still take.
func readChunkLine(_ raw: UnsafeRawBufferPointer, extensionsLeft: Int) throws(HTTP1Fault) -> HTTP1ChunkLine? {
    guard let base = raw.baseAddress else { return nil }
    var size: UInt64 = 0
    var i = 0
    while i < raw.count, let digit = hexDigit(base[i]) {
        // 15 digits stay below 2^60; more are an attack or an accident, leading zeros included.
        if i == 15 { throw HTTP1Fault(400, "a chunk size has at most 15 digits (RFC 9112 section 7.1)") }
        size = size << 4 | UInt64(digit)
        i += 1
    }
    guard i < raw.count else { return nil }
    if i == 0 { throw HTTP1Fault(400, "a chunk begins with its size in hexadecimal digits (RFC 9112 section 7.1)") }
    let extensionsStart = i
    if base[i] != carriageReturn { i = try skipExtensions(base, i, min(raw.count, i + extensionsLeft + 1)) }
    guard i < raw.count else { return nil }
    if i - extensionsStart > extensionsLeft { throw HTTP1Fault(400, "chunk extensions are longer than the bound (RFC 9112 section 7.1.1)") }
    guard i + 1 < raw.count else { return nil }
    guard base[i + 1] == lineFeed else { throw HTTP1Fault(400, "CR stands only before LF (RFC 9112 section 2.2)") }
    return HTTP1ChunkLine(size: Int64(size), byteCount: i + 2, extensionBytes: i - extensionsStart)
}

/// `*( BWS ";" BWS token [ BWS "=" BWS ( token / quoted-string ) ] )`: the place of the CR after it; `end` if that is not reached.
private func skipExtensions(_ base: UnsafeRawPointer, _ start: Int, _ end: Int) throws(HTTP1Fault) -> Int {
    let fault = HTTP1Fault(400, "a chunk extension is a semicolon, a token and perhaps a value (RFC 9112 section 7.1.1)")
    func skipBlanks(_ from: Int) -> Int {
        var i = from
        while i < end, isBlank(base[i]) { i += 1 }
        return i
    }
    var i = start
    while true {
        i = skipBlanks(i)
        guard i < end else { return end }
        guard base[i] == UInt8(ascii: ";") else { throw fault }
        let name = skipBlanks(i + 1)
        i = endOfToken(base, name, end)
        guard i < end else { return end }
        if i == name { throw fault }
        var next = skipBlanks(i)
        guard next < end else { return end }
        if base[next] == UInt8(ascii: "=") {
            next = skipBlanks(next + 1)
            guard next < end else { return end }
            if base[next] == UInt8(ascii: "\"") {
                i = next + 1
                while i < end, base[i] != UInt8(ascii: "\"") {
                    if base[i] == UInt8(ascii: "\\") {
                        i += 1
                        guard i < end else { return end }
                    }
                    if base[i] < 32 && base[i] != 9 || base[i] == 127 { throw fault }
                    i += 1
                }
                guard i < end else { return end }
                i += 1
            } else {
                i = endOfToken(base, next, end)
                guard i < end else { return end }
                if i == next { throw fault }
            }
            guard i < end else { return end }
        }
        if base[i] == carriageReturn { return i }
    }
}
