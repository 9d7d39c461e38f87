// Request bodies in Kubernetes' protobuf form, which today's kubectl sends for built-in kinds: decoded by the table of fields into the same
// documents that JSON would have brought. Answers are always JSON, which every client takes.
// Zero values: Go writes every field that is no pointer, so that nothing tells an absent number from zero; for fields that are pointers in Go
// zero is meant, for the others it is left out, as Go's JSON leaves it out.
// Source: kubernetes.io/docs/reference/using-api/api-concepts, "Kubernetes Protobuf encoding"; protobuf.dev/programming-guides/encoding.

import Base
import Documents
import Kube
import OrderedCollections

enum ProtobufBody {
    static let mediaType = "application/vnd.kubernetes.protobuf"
    private static let magic: [UInt8] = [0x6b, 0x38, 0x73, 0x00]

    /// The document. 400 when it is broken, 415 when its kind has no protobuf form here.
    static func decode(_ bytes: [UInt8]) throws(KubeStatus) -> Value {
        guard bytes.starts(with: magic) else { throw .badRequest("the object provided is not readable: it does not begin as protobuf of Kubernetes does") }
        var apiVersion = ""
        var kind = ""
        var raw = 0..<0
        do throws(Fault) {
            var reader = Reader(bytes, 4..<bytes.count)
            while let (number, wire) = try reader.tag() {
                switch (number, wire) {
                case (1, .bytes):
                    var type = Reader(bytes, try reader.range())
                    while let (number, wire) = try type.tag() {
                        switch (number, wire) {
                        case (1, .bytes): apiVersion = try type.text()
                        case (2, .bytes): kind = try type.text()
                        default: try type.skip(wire)
                        }
                    }
                case (2, .bytes): raw = try reader.range()
                default: try reader.skip(wire)
                }
            }
            guard let type = type(apiVersion, kind), !type.numbers.isEmpty else { throw Fault(what: nil) }
            var members: Object = ["kind": .string(kind), "apiVersion": .string(apiVersion)]
            try decode(Reader(bytes, raw), type, type.numbers, into: &members, depth: 0)
            return .object(members)
        } catch {
            guard let what = error.what else { throw .unsupportedMediaType(["application/json", "application/yaml"]) }
            throw .badRequest("the object provided is not readable: protobuf: \(what)")
        }
    }

    private static func type(_ apiVersion: String, _ kind: String) -> BuiltInType? {
        switch kind {
        case "Event": .named(apiVersion == "v1" ? "CoreV1Event" : "EventsV1Event")
        case "TokenRequest": .named("AuthenticationV1TokenRequest")
        // Schemas within schemas are not in the table.
        case "CustomResourceDefinition": nil
        default: .named(kind)
        }
    }

    // MARK: Messages

    private static func decode(_ source: Reader, _ type: BuiltInType, _ numbers: [Int: BuiltInType.Place], into members: inout Object, depth: Int) throws(Fault) {
        guard depth < 64 else { throw Fault(what: "nested too deeply") }
        var reader = source
        while let (number, wire) = try reader.tag() {
            switch numbers[number] {
            case nil: try reader.skip(wire)
            case .embedded(let inner):
                guard wire == .bytes else { throw Fault(what: "a message is expected in field \(number) of \(type.name)") }
                try decode(Reader(reader.bytes, try reader.range()), type, inner, into: &members, depth: depth + 1)
            case .field(let index): try member(&reader, wire, type.fields[index], into: &members, depth: depth)
            }
        }
    }

    private static func member(_ reader: inout Reader, _ wire: Reader.Wire, _ field: BuiltInType.Field, into members: inout Object, depth: Int) throws(Fault) {
        switch field.form {
        case .list(let element):
            var items: [Value] = if case .array(let known)? = members[field.name] { known } else { [] }
            if case .integer = element, wire == .bytes {
                // Packed: one length, many numbers.
                var packed = Reader(reader.bytes, try reader.range())
                while packed.hasMore { items.append(.int(Int64(bitPattern: try packed.varint()))) }
            } else {
                items.append(try value(&reader, wire, element, field, depth) ?? emptyElement(element))
            }
            members[field.name] = .array(items)
        case .map(let element):
            var entries: Object = if case .object(let known)? = members[field.name] { known } else { Object() }
            guard wire == .bytes else { throw Fault(what: "a map is expected in \(field.name)") }
            var entry = Reader(reader.bytes, try reader.range())
            var key = ""
            var content: Value?
            while let (number, wire) = try entry.tag() {
                switch number {
                case 1: key = try entry.text()
                case 2:
                    // A list as a value is a message of its own with the list in its first field.
                    if case .list(let inner) = element {
                        var list = Reader(entry.bytes, try entry.range())
                        var items: [Value] = []
                        while let (_, wire) = try list.tag() { items.append(try value(&list, wire, inner, field, depth) ?? emptyElement(inner)) }
                        content = .array(items)
                    } else {
                        content = try value(&entry, wire, element, field, depth)
                    }
                default: try entry.skip(wire)
                }
            }
            entries[key] = content ?? emptyElement(element)
            members[field.name] = .object(entries)
        default:
            if let decoded = try value(&reader, wire, field.form, field, depth) { members[field.name] = decoded }
        }
    }

    private static func emptyElement(_ form: BuiltInType.Form) -> Value {
        switch form {
        case .integer, .number: .int(0)
        case .boolean: .bool(false)
        case .type, .map: .object(Object())
        case .list: .array([])
        default: .string("")
        }
    }

    /// nil: a zero value that stands for nothing.
    private static func value(_ reader: inout Reader, _ wire: Reader.Wire, _ form: BuiltInType.Form, _ field: BuiltInType.Field, _ depth: Int) throws(Fault) -> Value? {
        switch (form, wire) {
        case (.string, .bytes):
            let text = try reader.text()
            return text.isEmpty ? nil : .string(text)
        case (.bytes, .bytes):
            return .string(base64Encoded(Array(reader.bytes[try reader.range()])))
        case (.integer, .varint):
            let number = Int64(bitPattern: try reader.varint())
            return number == 0 && !zeroNumbers.contains(field.name) ? nil : .int(number)
        case (.boolean, .varint):
            let flag = try reader.varint() != 0
            return !flag && !falseFlags.contains(field.name) ? nil : .bool(flag)
        case (.number, .fixed64): return .double(Double(bitPattern: try reader.fixed64()))
        case (.time, .bytes), (.preciseTime, .bytes):
            var time = Reader(reader.bytes, try reader.range())
            var seconds: Int64 = 0
            var nanos: Int64 = 0
            while let (number, wire) = try time.tag() {
                guard wire == .varint else { throw Fault(what: "a time is expected in \(field.name)") }
                let part = Int64(bitPattern: try time.varint())
                if number == 1 { seconds = part } else if number == 2 { nanos = part }
            }
            guard (-62_135_596_800...253_402_300_799).contains(seconds), (0..<1_000_000_000).contains(nanos) else { throw Fault(what: "the time in \(field.name) is out of range") }
            // An empty time is none; and so is Go's zero time.
            if seconds == 0 && nanos == 0 || seconds == -62_135_596_800 { return nil }
            guard (-9_000_000_000...9_000_000_000).contains(seconds) else { throw Fault(what: "the time in \(field.name) is out of range") }
            let wall = WallTime(nanoseconds: seconds * 1_000_000_000 + nanos)
            if case .preciseTime = form { return .string(wall.preciseDescription) }
            return .string(wall.description)
        case (.quantity, .bytes):
            var quantity = Reader(reader.bytes, try reader.range())
            var text = ""
            while let (number, wire) = try quantity.tag() { if number == 1, wire == .bytes { text = try quantity.text() } else { try quantity.skip(wire) } }
            return .string(text.isEmpty ? "0" : text)
        case (.integerOrString, .bytes):
            var choice = Reader(reader.bytes, try reader.range())
            var isText = false
            var number: Int64 = 0
            var text = ""
            while let (place, wire) = try choice.tag() {
                switch (place, wire) {
                case (1, .varint): isText = try choice.varint() == 1
                case (2, .varint): number = Int64(bitPattern: try choice.varint())
                case (3, .bytes): text = try choice.text()
                default: try choice.skip(wire)
                }
            }
            return isText ? .string(text) : .int(number)
        case (.anything, .bytes):
            // Raw JSON in the first field.
            var raw = Reader(reader.bytes, try reader.range())
            var document: Value?
            while let (number, wire) = try raw.tag() {
                guard number == 1, wire == .bytes else {
                    try raw.skip(wire)
                    continue
                }
                document = try? Value(json: Array(raw.bytes[try raw.range()]))
            }
            return document
        case (.type(let name), .bytes):
            guard let type = BuiltInType.named(name) else { throw Fault(what: "\(name) is unknown") }
            var members = Object()
            try decode(Reader(reader.bytes, try reader.range()), type, type.numbers, into: &members, depth: depth + 1)
            return .object(members)
        default: throw Fault(what: "\(field.name) is not of its type")
        }
    }

    /// Numbers and flags that are pointers in Go: there, zero and false are meant. Look-up only.
    private static let zeroNumbers: Set<String> = [
        "replicas", "parallelism", "completions", "backoffLimit", "backoffLimitPerIndex", "maxFailedIndexes", "terminationGracePeriodSeconds", "gracePeriodSeconds", "successfulJobsHistoryLimit",
        "failedJobsHistoryLimit", "startingDeadlineSeconds", "ttlSecondsAfterFinished", "activeDeadlineSeconds", "revisionHistoryLimit", "partition", "runAsUser", "runAsGroup", "fsGroup", "priority",
        "defaultMode", "mode", "expirationSeconds", "tolerationSeconds", "start",
    ]
    private static let falseFlags: Set<String> = [
        "automountServiceAccountToken", "enableServiceLinks", "allowPrivilegeEscalation", "readOnlyRootFilesystem", "privileged", "runAsNonRoot", "optional", "controller", "blockOwnerDeletion", "suspend",
        "immutable", "shareProcessNamespace", "hostUsers", "setHostnameAsFQDN", "manualSelector", "allocateLoadBalancerNodePorts", "ready", "serving", "terminating", "orphanDependents",
    ]

    // MARK: Bytes

    /// nil: no protobuf form is known here.
    struct Fault: Error { var what: String? }

    struct Reader {
        enum Wire: UInt64 { case varint = 0, fixed64 = 1, bytes = 2, fixed32 = 5 }

        let bytes: [UInt8]
        private var offset: Int
        private let end: Int

        init(_ bytes: [UInt8], _ range: Range<Int>) {
            self.bytes = bytes
            offset = range.lowerBound
            end = range.upperBound
        }

        var hasMore: Bool { offset < end }

        mutating func varint() throws(Fault) -> UInt64 {
            var result: UInt64 = 0
            for shift in stride(from: UInt64(0), to: 70, by: 7) {
                guard offset < end else { break }
                let byte = bytes[offset]
                offset += 1
                if shift == 63, byte > 1 { break }
                result |= UInt64(byte & 0x7f) << shift
                if byte < 0x80 { return result }
            }
            throw Fault(what: "a number is cut short or too long at byte \(offset)")
        }

        /// Number and wire type of the next field; nil at the end.
        mutating func tag() throws(Fault) -> (Int, Wire)? {
            if offset == end { return nil }
            let tag = try varint()
            guard let wire = Wire(rawValue: tag & 7), tag >> 3 > 0, tag >> 3 < 1 << 29 else { throw Fault(what: "no field begins at byte \(offset)") }
            return (Int(tag >> 3), wire)
        }

        /// Where the content of a length-delimited field is.
        mutating func range() throws(Fault) -> Range<Int> {
            let count = try varint()
            guard count <= UInt64(end - offset) else { throw Fault(what: "a field is longer than what holds it at byte \(offset)") }
            let start = offset
            offset += Int(count)
            return start..<offset
        }

        mutating func text() throws(Fault) -> String {
            let range = try range()
            guard let text = String(validating: bytes[range], as: UTF8.self) else { throw Fault(what: "a string is not UTF-8 at byte \(range.lowerBound)") }
            return text
        }

        mutating func fixed64() throws(Fault) -> UInt64 {
            guard end - offset >= 8 else { throw Fault(what: "a number is cut short at byte \(offset)") }
            var result: UInt64 = 0
            for i in 0..<8 { result |= UInt64(bytes[offset + i]) << UInt64(8 * i) }
            offset += 8
            return result
        }

        mutating func skip(_ wire: Wire) throws(Fault) {
            switch wire {
            case .varint: _ = try varint()
            case .fixed64: _ = try fixed64()
            case .bytes: _ = try range()
            case .fixed32:
                guard end - offset >= 4 else { throw Fault(what: "a number is cut short at byte \(offset)") }
                offset += 4
            }
        }
    }
}
