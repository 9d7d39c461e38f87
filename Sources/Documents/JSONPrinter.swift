// JSON out: compact for machines, indented as `kubectl -o json` for people. Escapes only what RFC 8259 section 7 demands.

import Base
import OrderedCollections

extension Value {
    /// JSON text, members in their order. With `indent` spaces a level: one member a line, a space after the colon.
    /// A number that is not finite has no JSON; it becomes null.
    public func json(indent: Int? = nil) -> String {
        var bytes: [UInt8] = []
        json(into: &bytes, indent: indent)
        return String(decoding: bytes, as: UTF8.self)
    }

    /// Appends the JSON text.
    public func json(into bytes: inout [UInt8], indent: Int? = nil) {
        JSONPrinter(indent: indent).write(self, level: 0, into: &bytes)
    }

    /// Appends the JSON text.
    public func json(into buffer: inout ByteBuffer, indent: Int? = nil) {
        var bytes: [UInt8] = []
        json(into: &bytes, indent: indent)
        buffer.append(bytes)
    }
}

private struct JSONPrinter {
    let indent: Int?

    func write(_ value: Value, level: Int, into bytes: inout [UInt8]) {
        switch value {
        case .null: bytes.append(contentsOf: "null".utf8)
        case .bool(let flag): bytes.append(contentsOf: (flag ? "true" : "false").utf8)
        case .int(let number): bytes.append(contentsOf: String(number).utf8)
        case .double(let number): bytes.append(contentsOf: (number.isFinite ? number.description : "null").utf8)
        case .string(let text): quote(text, into: &bytes)
        case .array(let elements):
            if elements.isEmpty { return bytes.append(contentsOf: "[]".utf8) }
            bytes.append(0x5b)
            for (i, element) in elements.enumerated() {
                if i > 0 { bytes.append(0x2c) }
                newline(level + 1, into: &bytes)
                write(element, level: level + 1, into: &bytes)
            }
            newline(level, into: &bytes)
            bytes.append(0x5d)
        case .object(let object):
            if object.isEmpty { return bytes.append(contentsOf: "{}".utf8) }
            bytes.append(0x7b)
            var isFirst = true
            for (name, member) in object {
                if !isFirst { bytes.append(0x2c) }
                isFirst = false
                newline(level + 1, into: &bytes)
                quote(name, into: &bytes)
                bytes.append(0x3a)
                if indent != nil { bytes.append(0x20) }
                write(member, level: level + 1, into: &bytes)
            }
            newline(level, into: &bytes)
            bytes.append(0x7d)
        }
    }

    private func newline(_ level: Int, into bytes: inout [UInt8]) {
        guard let indent else { return }
        bytes.append(0x0a)
        bytes.append(contentsOf: repeatElement(0x20, count: level * indent))
    }

    private func quote(_ text: String, into bytes: inout [UInt8]) {
        var text = text
        bytes.append(0x22)
        text.withUTF8 { source in
            var runStart = 0
            for i in 0..<source.count {
                let byte = source[i]
                if byte >= 0x20, byte != 0x22, byte != 0x5c { continue }
                bytes.append(contentsOf: source[runStart..<i])
                runStart = i + 1
                bytes.append(0x5c)
                switch byte {
                case 0x22, 0x5c: bytes.append(byte)
                case 0x08: bytes.append(0x62)
                case 0x09: bytes.append(0x74)
                case 0x0a: bytes.append(0x6e)
                case 0x0c: bytes.append(0x66)
                case 0x0d: bytes.append(0x72)
                default:
                    bytes.append(contentsOf: "u00".utf8)
                    bytes.append(0x30 + byte >> 4)
                    bytes.append(byte & 0xf < 10 ? 0x30 + byte & 0xf : 0x61 + byte & 0xf - 10)
                }
            }
            bytes.append(contentsOf: source[runStart..<source.count])
        }
        bytes.append(0x22)
    }
}
