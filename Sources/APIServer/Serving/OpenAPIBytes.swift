// The OpenAPI v2 document in its protobuf form, which is the only one that kubectl takes when it meets a kind it does not
// know: it looks up whether writes of namespaces can be validated by the server; and the only one from which old ones explain and validate.
// Source: github.com/google/gnostic openapiv2/OpenAPIv2.proto, field numbers.

import Documents
import Kube
import OrderedCollections

enum OpenAPIBytes {
    static let mediaType = "application/com.github.proto-openapi.spec.v2.v1.0+protobuf"
    /// What clients ask for: with `@` in the place of one dot.
    static let askedMediaType = "application/com.github.proto-openapi.spec.v2@v1.0+protobuf"

    static func document(_ document: Value) -> [UInt8] {
        var bytes = text(1, document.text("swagger") ?? "2.0")
        bytes += message(2, text(1, document.text("info", "title") ?? "") + text(2, document.text("info", "version") ?? ""))
        var paths: [UInt8] = []
        for (path, item) in document.entriesOfAnything("paths") { paths += message(2, text(1, path) + message(2, pathItem(item))) }
        bytes += message(8, paths)
        var definitions: [UInt8] = []
        for (name, schema) in document.entriesOfAnything("definitions") { definitions += message(1, text(1, name) + message(2, self.schema(schema))) }
        return bytes + message(9, definitions)
    }

    /// What of a schema is told: enough to explain and to merge. Deliberately absent: bounds, patterns and alternatives.
    private static func schema(_ schema: Value) -> [UInt8] {
        var bytes: [UInt8] = []
        if let reference = schema.text("$ref") { bytes += text(1, reference) }
        if let format = schema.text("format") { bytes += text(2, format) }
        if let description = schema.text("description") { bytes += text(4, description) }
        for name in schema.items("required") { if let name = name.text() { bytes += text(19, name) } }
        if let more = schema.member("additionalProperties"), case .object = more { bytes += message(21, message(1, self.schema(more))) }
        if let type = schema.text("type") { bytes += message(22, text(1, type)) }
        if let items = schema.member("items") { bytes += message(23, message(1, self.schema(items))) }
        let properties = schema.entriesOfAnything("properties")
        if !properties.isEmpty {
            var named: [UInt8] = []
            for (name, property) in properties { named += message(1, text(1, name) + message(2, self.schema(property))) }
            bytes += message(25, named)
        }
        for (name, value) in schema.entriesOfAnything() where name.hasPrefix("x-kubernetes-") { bytes += message(31, extended(name, value)) }
        return bytes
    }

    /// An extension is text in YAML, of which JSON is a part.
    private static func extended(_ name: String, _ value: Value) -> [UInt8] { text(1, name) + message(2, text(2, value.json())) }

    private static func pathItem(_ item: Value) -> [UInt8] {
        var bytes: [UInt8] = []
        for (number, method) in [(2, "get"), (3, "put"), (4, "post"), (5, "delete"), (8, "patch")] {
            if let operation = item.member(method) { bytes += message(number, self.operation(operation)) }
        }
        return bytes
    }

    private static func operation(_ operation: Value) -> [UInt8] {
        var bytes: [UInt8] = []
        for parameter in operation.items("parameters") {
            let query = text(2, "query") + text(4, parameter.text("name") ?? "")
            // item, parameter, non-body parameter, query parameter
            bytes += message(8, message(1, message(2, message(3, query))))
        }
        for name in ["x-kubernetes-action", "x-kubernetes-group-version-kind"] {
            guard let value = operation.member(name) else { continue }
            bytes += message(13, extended(name, value))
        }
        return bytes
    }

    private static func text(_ number: Int, _ text: String) -> [UInt8] { message(number, Array(text.utf8)) }

    /// A length-delimited field.
    private static func message(_ number: Int, _ content: [UInt8]) -> [UInt8] { varint(number << 3 | 2) + varint(content.count) + content }

    private static func varint(_ value: Int) -> [UInt8] {
        var rest = value
        var bytes: [UInt8] = []
        while rest >= 0x80 {
            bytes.append(UInt8(rest & 0x7f) | 0x80)
            rest >>= 7
        }
        return bytes + [UInt8(rest)]
    }
}
