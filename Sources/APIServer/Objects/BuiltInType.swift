// The shapes of the built-in kinds, read from the table of their fields: which members a document may have and of what type. Unknown members
// are dropped, as decoding into typed structures loses them, or refused when the client asks for strictness.
// Source: k8s.io/apimachinery pkg/runtime/serializer/json; kubernetes.io/docs/reference/using-api/api-concepts, "Field validation".

import Documents
import Kube
import OrderedCollections

final class BuiltInType: Sendable {
    indirect enum Form: Sendable {
        /// `bytes` are written in base64; `preciseTime` has microseconds.
        case string, bytes, integer, boolean, number, time, preciseTime, quantity, integerOrString, anything
        case list(Form)
        case map(Form)
        case type(String)
    }

    struct Field: Sendable {
        let name: String
        let form: Form
        let isRequired: Bool
    }

    let name: String
    /// In the order of the table.
    let fields: [Field]
    private let index: [String: Int]
    /// Where fields are in protobuf. Look-up only.
    let numbers: [Int: Place]

    /// What a number of a message means: a field, or a message whose members JSON has one level up.
    indirect enum Place: Sendable {
        case field(Int)
        case embedded([Int: Place])
    }

    private init(line: Substring) {
        var words = line.split(separator: " ").map(String.init)
        name = words.removeFirst()
        var numbers: [Int: Place] = [:]
        fields = words.enumerated().map { i, word in
            let halves = word.split(separator: "=")
            if halves.count == 2 { Self.place(i, halves[1].split(separator: "/").compactMap { Int($0) }[...], &numbers) }
            let parts = halves[0].split(separator: ":", maxSplits: 1)
            return Field(name: String(parts[0].filter { $0 != "!" }), form: Self.form(parts[1]), isRequired: parts[0].hasSuffix("!"))
        }
        var index: [String: Int] = [:]
        for (i, field) in fields.enumerated() { index[field.name] = i }
        self.index = index
        self.numbers = numbers
    }

    private static func place(_ field: Int, _ path: ArraySlice<Int>, _ numbers: inout [Int: Place]) {
        guard let first = path.first else { return }
        if path.count == 1 { return numbers[first] = .field(field) }
        var inner: [Int: Place] = if case .embedded(let known)? = numbers[first] { known } else { [:] }
        place(field, path.dropFirst(), &inner)
        numbers[first] = .embedded(inner)
    }

    private static func form(_ text: Substring) -> Form {
        switch text {
        case "s": .string
        case "y": .bytes
        case "i": .integer
        case "b": .boolean
        case "n": .number
        case "t": .time
        case "T": .preciseTime
        case "q": .quantity
        case "x": .integerOrString
        case "*": .anything
        case _ where text.hasPrefix("["): .list(form(text.dropFirst()))
        case _ where text.hasPrefix("{"): .map(form(text.dropFirst()))
        default: .type(String(text))
        }
    }

    func field(_ name: String) -> Field? { index[name].map { fields[$0] } }

    // MARK: The table

    /// Every type, in the order of the table.
    static let all: [BuiltInType] = BuiltInTypes.text.split(separator: "\n").map { BuiltInType(line: $0) }
    private static let byName: [String: BuiltInType] = {
        var table: [String: BuiltInType] = [:]
        for type in all { table[type.name] = type }
        return table
    }()

    static func named(_ name: String) -> BuiltInType? { byName[name] }

    /// The type of a built-in kind's documents; nil for custom kinds.
    static func of(_ kind: ServedKind) -> BuiltInType? {
        if kind.isCustom { return nil }
        switch kind.name {
        case "events": return named("CoreV1Event")
        case "events.events.k8s.io": return named("EventsV1Event")
        default: return named(kind.kind)
        }
    }

    // MARK: Judging

    struct Findings {
        /// Paths of members that the type does not know.
        var unknown: [String] = []
        /// The first member of a wrong type, in the words of Go's decoder.
        var mistyped: String?
    }

    /// What is wrong with a document.
    func judge(_ value: Value) -> Findings {
        var findings = Findings()
        judge(value, "", &findings)
        return findings
    }

    private func judge(_ value: Value, _ path: String, _ findings: inout Findings) {
        guard case .object(let members) = value else { return }
        for (name, member) in members {
            let at = path.isEmpty ? name : path + "." + name
            guard let field = field(name) else {
                findings.unknown.append(at)
                continue
            }
            judge(member, field.form, at, &findings)
        }
    }

    private func judge(_ value: Value, _ form: Form, _ path: String, _ findings: inout Findings) {
        switch (form, value) {
        case (_, .null), (.anything, _), (.string, .string), (.bytes, .string), (.time, .string), (.preciseTime, .string), (.integerOrString, .int), (.integerOrString, .string), (.boolean, .bool), (.integer, .int), (.number, .int), (.number, .double), (.quantity, .string), (.quantity, .int),
            (.quantity, .double):
            return
        case (.integer, .double(let number)) where Int64(exactly: number) != nil: return
        case (.list(let element), .array(let items)):
            for (i, item) in items.enumerated() { judge(item, element, "\(path)[\(i)]", &findings) }
        case (.map(let element), .object(let members)):
            if case .string = element, members.allSatisfy({ if case .string = $0.value { true } else { false } }) { return }
            for (name, member) in members { judge(member, element, path + "." + name, &findings) }
        case (.type(let name), .object): Self.named(name)?.judge(value, path, &findings)
        default:
            guard findings.mistyped == nil else { return }
            findings.mistyped = "json: cannot unmarshal \(Self.word(value)) into Go struct field \(name).\(path) of type \(Self.word(form))"
        }
    }

    private static func word(_ value: Value) -> String {
        switch value {
        case .null: "null"
        case .bool: "bool"
        case .int, .double: "number"
        case .string: "string"
        case .array: "array"
        case .object: "object"
        }
    }

    private static func word(_ form: Form) -> String {
        switch form {
        case .string: "string"
        case .bytes: "[]uint8"
        case .integer: "int32"
        case .boolean: "bool"
        case .number: "float64"
        case .time: "v1.Time"
        case .preciseTime: "v1.MicroTime"
        case .integerOrString: "intstr.IntOrString"
        case .quantity: "resource.Quantity"
        case .anything: "interface {}"
        case .list(let element): "[]" + word(element)
        case .map(let element): "map[string]" + word(element)
        case .type(let name): "v1." + name
        }
    }

    /// Without the members that the type does not know.
    func pruned(_ value: Value) -> Value {
        guard case .object(let members) = value else { return value }
        var kept = Object(minimumCapacity: members.count)
        for (name, member) in members { if let field = field(name) { kept[name] = Self.pruned(member, field.form) } }
        return .object(kept)
    }

    private static func pruned(_ value: Value, _ form: Form) -> Value {
        switch (form, value) {
        case (.list(let element), .array(let items)): .array(items.map { pruned($0, element) })
        case (.map(let element), .object(let members)): .object(members.mapValues { pruned($0, element) })
        case (.type(let name), .object): named(name)?.pruned(value) ?? value
        default: value
        }
    }
}
