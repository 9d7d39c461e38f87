// Base64 (RFC 4648 section 4), as Secrets, kubeconfigs and admission patches carry bytes. Strict in the alphabet, lenient in
// white space, which files are wrapped with.

/// Bytes as base64 text with padding.
public func base64Encoded(_ bytes: some Collection<UInt8>) -> String {
    let alphabet = [UInt8]("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/")
    var text: [UInt8] = []
    text.reserveCapacity((bytes.count + 2) / 3 * 4)
    var word: UInt32 = 0
    var held = 0
    for byte in bytes {
        word = word << 8 | UInt32(byte)
        held += 1
        if held == 3 {
            for shift in [18, 12, 6, 0] as [UInt32] { text.append(alphabet[Int(word >> shift & 63)]) }
            word = 0
            held = 0
        }
    }
    if held == 1 { text += [alphabet[Int(word >> 2 & 63)], alphabet[Int(word << 4 & 63)], 0x3d, 0x3d] }
    if held == 2 { text += [alphabet[Int(word >> 10 & 63)], alphabet[Int(word >> 4 & 63)], alphabet[Int(word << 2 & 63)], 0x3d] }
    return String(decoding: text, as: UTF8.self)
}

/// The bytes of base64 text; `isURL`: the alphabet of RFC 4648 section 5, where padding may be absent. nil: not base64.
public func base64Decoded(_ text: some StringProtocol, isURL: Bool = false) -> [UInt8]? {
    var bytes: [UInt8] = []
    bytes.reserveCapacity(text.utf8.count / 4 * 3)
    var word: UInt32 = 0
    var held = 0
    var padding = 0
    for c in text.utf8 {
        let value: UInt8
        switch c {
        case 0x41...0x5a: value = c - 0x41
        case 0x61...0x7a: value = c - 0x61 + 26
        case 0x30...0x39: value = c - 0x30 + 52
        case 0x2b where !isURL, 0x2d where isURL: value = 62
        case 0x2f where !isURL, 0x5f where isURL: value = 63
        case 0x3d:
            padding += 1
            continue
        case 0x20, 0x09, 0x0a, 0x0d: continue
        default: return nil
        }
        if padding > 0 { return nil }
        word = word << 6 | UInt32(value)
        held += 1
        if held == 4 {
            bytes += [UInt8(word >> 16 & 255), UInt8(word >> 8 & 255), UInt8(word & 255)]
            word = 0
            held = 0
        }
    }
    if held + padding == 4 || isURL && padding == 0 || held == 0 && padding == 0 {
        switch held {
        case 0: return padding == 0 ? bytes : nil
        // Bits beyond the last byte must be zero, so that equal bytes have equal text.
        case 2: return word & 15 == 0 ? bytes + [UInt8(word >> 4 & 255)] : nil
        case 3: return word & 3 == 0 ? bytes + [UInt8(word >> 10 & 255), UInt8(word >> 2 & 255)] : nil
        default: return nil
        }
    }
    return nil
}
