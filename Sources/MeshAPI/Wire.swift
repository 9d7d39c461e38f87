// Protocol Buffers by hand, for messages that have no generated code: a writer of fields, and a reader that skips what it does not know.
// Source: protobuf.dev, Encoding.

/// Writes the fields of one message.
public struct WireWriter {
    public private(set) var bytes: [UInt8] = []

    public init() {}

    private mutating func varint(_ value: UInt64) {
        var rest = value
        while rest >= 0x80 {
            bytes.append(UInt8(truncatingIfNeeded: rest) | 0x80)
            rest >>= 7
        }
        bytes.append(UInt8(truncatingIfNeeded: rest))
    }

    private mutating func tag(_ field: Int, _ type: UInt64) { varint(UInt64(field) << 3 | type) }

    /// Zero, like every default, is not written.
    public mutating func put(_ field: Int, varint value: UInt64) {
        if value == 0 { return }
        tag(field, 0)
        varint(value)
    }

    public mutating func put(_ field: Int, fixed64 value: UInt64) {
        if value == 0 { return }
        tag(field, 1)
        withUnsafeBytes(of: value.littleEndian) { bytes += $0 }
    }

    public mutating func put(_ field: Int, bytes value: [UInt8]) {
        if value.isEmpty { return }
        tag(field, 2)
        varint(UInt64(value.count))
        bytes += value
    }

    public mutating func put(_ field: Int, string value: String) { put(field, bytes: Array(value.utf8)) }

    /// A message is written even if it is empty: that it is there is what it says.
    public mutating func put(_ field: Int, message: WireWriter) {
        tag(field, 2)
        varint(UInt64(message.bytes.count))
        bytes += message.bytes
    }
}

/// Reads the fields of one message, in order.
public struct WireReader {
    public enum Value {
        case varint(UInt64)
        case fixed64(UInt64)
        case bytes(ArraySlice<UInt8>)

        public var number: UInt64? {
            switch self {
            case .varint(let value), .fixed64(let value): value
            case .bytes: nil
            }
        }

        /// nil: not bytes.
        public var slice: ArraySlice<UInt8>? { if case .bytes(let slice) = self { slice } else { nil } }
        /// nil: not UTF-8.
        public var string: String? { slice.flatMap { String(validating: $0, as: UTF8.self) } }
    }

    private var rest: ArraySlice<UInt8>
    /// The message cannot be read to its end.
    public private(set) var isBroken = false

    public init(_ bytes: ArraySlice<UInt8>) { rest = bytes }

    /// nil: the end, or no message.
    public mutating func next() -> (field: Int, value: Value)? {
        while !isBroken, !rest.isEmpty {
            guard let tag = varint(), tag >> 3 > 0, tag >> 3 < 1 << 29 else { break }
            let field = Int(tag >> 3)
            switch tag & 7 {
            case 0:
                guard let value = varint() else { return nil }
                return (field, .varint(value))
            case 1:
                guard let slice = take(8) else { return nil }
                return (field, .fixed64(slice.reversed().reduce(0) { $0 << 8 | UInt64($1) }))
            case 2:
                guard let length = varint(), length <= UInt64(rest.count), let slice = take(Int(length)) else {
                    isBroken = true
                    return nil
                }
                return (field, .bytes(slice))
            case 5:
                if take(4) == nil { return nil }
            default: isBroken = true
            }
        }
        if !rest.isEmpty { isBroken = true }
        return nil
    }

    private mutating func take(_ count: Int) -> ArraySlice<UInt8>? {
        guard rest.count >= count else {
            isBroken = true
            return nil
        }
        defer { rest = rest.dropFirst(count) }
        return rest.prefix(count)
    }

    private mutating func varint() -> UInt64? {
        var value: UInt64 = 0
        for shift in stride(from: UInt64(0), to: 70, by: 7) {
            guard let byte = rest.popFirst() else { break }
            if shift == 63, byte > 1 { break }
            value |= UInt64(byte & 0x7f) << shift
            if byte < 0x80 { return value }
        }
        isBroken = true
        return nil
    }
}
