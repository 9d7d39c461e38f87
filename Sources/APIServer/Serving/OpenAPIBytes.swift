// The OpenAPI v2 document in its protobuf form, which is the only one that kubectl takes when it meets a kind it does not
// know: it looks up whether writes of namespaces can be validated by the server. Paths and parameters are all that is in it.
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
        return bytes + message(8, paths)
    }

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
            // An extension is text in YAML, of which JSON is a part.
            bytes += message(13, text(1, name) + message(2, text(2, value.json())))
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
