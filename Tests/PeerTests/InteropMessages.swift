// The messages of grpc.testing.TestService, as far as its tests use them: read and written by hand, so that what judges our gRPC does not
// rest on the code that it shares with the control plane. Field numbers are those of the published messages.proto.

import Base

/// Fields of a protobuf message in their order; only the wire types that these messages have.
struct WireFields {
    enum Field {
        case number(Int, UInt64)
        case bytes(Int, [UInt8])
    }

    var fields: [Field] = []

    init() {}

    /// nil: no protobuf message.
    init?(_ bytes: [UInt8]) {
        var at = 0
        func varint() -> UInt64? {
            var value: UInt64 = 0
            for shift in stride(from: UInt64(0), to: 64, by: 7) {
                guard at < bytes.count else { return nil }
                defer { at += 1 }
                value |= UInt64(bytes[at] & 0x7f) << shift
                if bytes[at] < 0x80 { return value }
            }
            return nil
        }
        while at < bytes.count {
            guard let key = varint() else { return nil }
            switch key & 7 {
            case 0:
                guard let value = varint() else { return nil }
                fields.append(.number(Int(key >> 3), value))
            case 2:
                guard let count = varint(), count <= UInt64(bytes.count - at) else { return nil }
                fields.append(.bytes(Int(key >> 3), Array(bytes[at..<at + Int(count)])))
                at += Int(count)
            default: return nil
            }
        }
    }

    var encoded: [UInt8] {
        var out: [UInt8] = []
        func varint(_ number: UInt64) {
            var rest = number
            while rest >= 0x80 {
                out.append(UInt8(rest & 0x7f) | 0x80)
                rest >>= 7
            }
            out.append(UInt8(rest))
        }
        for field in fields {
            switch field {
            case .number(let id, let value):
                varint(UInt64(id) << 3)
                varint(value)
            case .bytes(let id, let value):
                varint(UInt64(id) << 3 | 2)
                varint(UInt64(value.count))
                out += value
            }
        }
        return out
    }

    func number(_ id: Int) -> Int {
        for case .number(id, let value) in fields.reversed() { return Int(truncatingIfNeeded: value) }
        return 0
    }

    func all(_ id: Int) -> [[UInt8]] { fields.compactMap { if case .bytes(id, let value) = $0 { value } else { nil } } }

    /// Absent and malformed messages have no fields.
    func message(_ id: Int) -> WireFields? { all(id).last.flatMap { WireFields($0) } }

    mutating func put(_ id: Int, _ value: Int) { if value != 0 { fields.append(.number(id, UInt64(bitPattern: Int64(value)))) } }
    mutating func put(_ id: Int, _ value: [UInt8]) { fields.append(.bytes(id, value)) }
}

/// A status that the server is to end with.
struct EchoStatus: Equatable {
    var code = 0
    var message = ""

    init(code: Int, message: String) {
        self.code = code
        self.message = message
    }

    init?(_ fields: WireFields?) {
        guard let fields else { return nil }
        self.init(code: fields.number(1), message: String(decoding: fields.all(2).last ?? [], as: UTF8.self))
    }

    var encoded: [UInt8] {
        var fields = WireFields()
        fields.put(1, code)
        fields.put(2, Array(message.utf8))
        return fields.encoded
    }
}

private func payload(_ count: Int) -> [UInt8] {
    var fields = WireFields()
    fields.put(2, [UInt8](repeating: 0, count: count))
    return fields.encoded
}

/// SimpleRequest and StreamingOutputCallRequest, which share the fields that matter; the first asks by `response_size`.
struct InteropRequest {
    struct Wanted {
        var size: Int
        var microseconds = 0
    }

    /// Unit: bytes; nil: no payload.
    var payloadBytes: Int?
    var responseBytes = 0
    var wanted: [Wanted] = []
    var status: EchoStatus?
    var isCompressionWanted = false

    /// Of UnaryCall.
    var simple: [UInt8] {
        var fields = WireFields()
        fields.put(2, responseBytes)
        if let payloadBytes { fields.put(3, payload(payloadBytes)) }
        if isCompressionWanted {
            var flag = WireFields()
            flag.put(1, 1)
            fields.put(6, flag.encoded)
        }
        if let status { fields.put(7, status.encoded) }
        return fields.encoded
    }

    /// Of the streaming calls.
    var streaming: [UInt8] {
        var fields = WireFields()
        for wanted in wanted {
            var one = WireFields()
            one.put(1, wanted.size)
            one.put(2, wanted.microseconds)
            fields.put(2, one.encoded)
        }
        if let payloadBytes { fields.put(3, payload(payloadBytes)) }
        if let status { fields.put(7, status.encoded) }
        return fields.encoded
    }

    init(payloadBytes: Int? = nil, responseBytes: Int = 0, wanted: [Wanted] = [], status: EchoStatus? = nil, isCompressionWanted: Bool = false) {
        self.payloadBytes = payloadBytes
        self.responseBytes = responseBytes
        self.wanted = wanted
        self.status = status
        self.isCompressionWanted = isCompressionWanted
    }

    init?(simple bytes: [UInt8]) {
        guard let fields = WireFields(bytes) else { return nil }
        self.init(payloadBytes: fields.message(3)?.all(2).last?.count, responseBytes: fields.number(2), status: EchoStatus(fields.message(7)), isCompressionWanted: fields.message(6)?.number(1) == 1)
    }

    init?(streaming bytes: [UInt8]) {
        guard let fields = WireFields(bytes) else { return nil }
        let wanted = fields.all(2).compactMap { WireFields($0) }.map { Wanted(size: $0.number(1), microseconds: $0.number(2)) }
        self.init(payloadBytes: fields.message(3)?.all(2).last?.count, wanted: wanted, status: EchoStatus(fields.message(7)))
    }
}

/// An answer, or an upload: a payload of zeros in field 1.
struct InteropPayload: Equatable {
    var bytes: Int
    /// Anything but zeros is somebody's mistake.
    var isZero = true

    var encoded: [UInt8] {
        var fields = WireFields()
        fields.put(1, payload(bytes))
        return fields.encoded
    }

    init(bytes: Int) { self.bytes = bytes }

    init?(_ encoded: [UInt8]) {
        guard let fields = WireFields(encoded) else { return nil }
        let body = fields.message(1)?.all(2).last ?? []
        bytes = body.count
        isZero = body.allSatisfy { $0 == 0 }
    }
}

/// StreamingInputCallResponse.
struct InteropSum: Equatable {
    var bytes: Int

    var encoded: [UInt8] {
        var fields = WireFields()
        fields.put(1, bytes)
        return fields.encoded
    }

    init(bytes: Int) { self.bytes = bytes }

    init?(_ encoded: [UInt8]) {
        guard let fields = WireFields(encoded) else { return nil }
        bytes = fields.number(1)
    }
}
