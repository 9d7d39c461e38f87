// The query of a request target, decoded: names and values in the order given.

struct Query {
    var items: [(name: String, value: String)] = []

    init() {}

    /// `a=b&c=d%20e`. A broken escape is kept as it is written.
    init(_ text: Substring) {
        for pair in text.split(separator: "&") {
            let parts = pair.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            items.append((percentDecoded(parts[0], plusIsSpace: true), parts.count == 2 ? percentDecoded(parts[1], plusIsSpace: true) : ""))
        }
    }

    /// The first value of this name; nil when absent or empty.
    subscript(_ name: String) -> String? { items.first { $0.name == name && !$0.value.isEmpty }?.value }

    func flag(_ name: String) -> Bool {
        guard let item = items.first(where: { $0.name == name }) else { return false }
        // A bare name is true, as in url.Values decoded to a bool by apimachinery's conversion.
        return !["false", "0"].contains(item.value)
    }

    func number(_ name: String) -> Int64? { self[name].flatMap { Int64($0) } }
}

/// Text with `%XX` undone; what is not UTF-8 becomes U+FFFD.
func percentDecoded(_ text: Substring, plusIsSpace: Bool = false) -> String {
    func digit(_ byte: UInt8) -> UInt8? {
        switch byte {
        case 48...57: byte - 48
        case 65...70: byte - 55
        case 97...102: byte - 87
        default: nil
        }
    }
    let bytes = Array(text.utf8)
    var out: [UInt8] = []
    out.reserveCapacity(bytes.count)
    var i = 0
    while i < bytes.count {
        if bytes[i] == 0x25, i + 2 < bytes.count, let high = digit(bytes[i + 1]), let low = digit(bytes[i + 2]) {
            out.append(high << 4 | low)
            i += 3
        } else {
            out.append(plusIsSpace && bytes[i] == 0x2b ? 0x20 : bytes[i])
            i += 1
        }
    }
    return String(decoding: out, as: UTF8.self)
}
