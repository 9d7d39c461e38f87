// The errors of the API in its own words: which status, which reason, which sentence. Clients parse reasons and print sentences.
// Source: k8s.io/apimachinery pkg/api/errors/errors.go and pkg/util/validation/field/errors.go.

import Base
import Documents
import Kube
import OrderedCollections

extension KubeStatus {
    static func notFound(_ kind: ServedKind, _ name: String) -> KubeStatus {
        KubeStatus(code: 404, reason: .notFound, message: "\(kind.name) \"\(name)\" not found", details: Details(name: name, group: kind.group, kind: kind.plural))
    }

    /// The path names nothing that is served.
    static let pathNotFound = KubeStatus(code: 404, reason: .notFound, message: "the server could not find the requested resource", details: Details())

    static func alreadyExists(_ kind: ServedKind, _ name: String) -> KubeStatus {
        KubeStatus(code: 409, reason: .alreadyExists, message: "\(kind.name) \"\(name)\" already exists", details: Details(name: name, group: kind.group, kind: kind.plural))
    }

    static func conflict(_ kind: ServedKind, _ name: String, _ why: String) -> KubeStatus {
        KubeStatus(
            code: 409, reason: .conflict, message: "Operation cannot be fulfilled on \(kind.name) \"\(name)\": \(why)",
            details: Details(name: name, group: kind.group, kind: kind.plural))
    }

    static func modified(_ kind: ServedKind, _ name: String) -> KubeStatus {
        conflict(kind, name, "the object has been modified; please apply your changes to the latest version and try again")
    }

    static func badRequest(_ message: String) -> KubeStatus { KubeStatus(code: 400, reason: .badRequest, message: message) }

    static func forbidden(_ kind: ServedKind, _ name: String, _ why: String, causes: [Cause] = []) -> KubeStatus {
        KubeStatus(
            code: 403, reason: .forbidden, message: "\(kind.name)\(name.isEmpty ? "" : " \"\(name)\"") is forbidden: \(why)",
            details: Details(name: name, group: kind.group, kind: kind.plural, causes: causes))
    }

    static let unauthorized = KubeStatus(code: 401, reason: .unauthorized, message: "Unauthorized")

    static let methodNotAllowed = KubeStatus(code: 405, reason: .methodNotAllowed, message: "the server does not allow this method on the requested resource", details: Details())

    static func unsupportedMediaType(_ accepted: [String]) -> KubeStatus {
        KubeStatus(
            code: 415, reason: .unsupportedMediaType,
            message: "the body of the request was in an unknown format - accepted media types include: \(accepted.joined(separator: ", "))")
    }

    static func expired(_ message: String) -> KubeStatus { KubeStatus(code: 410, reason: .expired, message: message) }

    static func versionTooLarge(_ asked: UInt64, _ current: UInt64) -> KubeStatus {
        KubeStatus(
            code: 504, reason: .timeout, message: "Timeout: Too large resource version: \(asked), current: \(current)",
            details: Details(causes: [Cause(reason: "ResourceVersionTooLarge", message: "Too large resource version", field: "")], retryAfterSeconds: 1))
    }

    static func internalError(_ message: String) -> KubeStatus {
        KubeStatus(
            code: 500, reason: .internalError, message: "Internal error occurred: \(message)",
            details: Details(causes: [Cause(reason: "", message: message, field: "")]))
    }

    /// 422 with every fault found.
    static func invalid(_ kind: ServedKind, _ name: String, _ faults: [FieldFault]) -> KubeStatus {
        invalid(kind: kind.kind, group: kind.group, name: name, faults)
    }

    static func invalid(kind: String, group: String, name: String, _ faults: [FieldFault]) -> KubeStatus {
        let sentences = faults.map(\.description)
        let qualified = group.isEmpty ? kind : "\(kind).\(group)"
        return KubeStatus(
            code: 422, reason: .invalid,
            message: "\(qualified) \"\(name)\" is invalid: \(sentences.count == 1 ? sentences[0] : "[" + sentences.joined(separator: ", ") + "]")",
            details: Details(name: name, group: group, kind: kind, causes: faults.map { Cause(reason: $0.reason.rawValue, message: $0.message, field: $0.field) }))
    }
}

/// One field that is not as it must be.
struct FieldFault: Equatable, CustomStringConvertible {
    enum Reason: String {
        case required = "FieldValueRequired"
        case invalid = "FieldValueInvalid"
        case notSupported = "FieldValueNotSupported"
        case duplicate = "FieldValueDuplicate"
        case forbidden = "FieldValueForbidden"
        case typeInvalid = "FieldValueTypeInvalid"
        case tooMany = "FieldValueTooMany"
        case tooLong = "FieldValueTooLong"
    }

    var reason: Reason
    /// `spec.containers[0].name`.
    var field: String
    /// Without the field.
    var message: String

    var description: String { field.isEmpty ? message : "\(field): \(message)" }

    static func required(_ field: String, _ why: String = "") -> FieldFault {
        FieldFault(reason: .required, field: field, message: "Required value" + (why.isEmpty ? "" : ": \(why)"))
    }
    static func invalid(_ field: String, _ value: Value, _ why: String) -> FieldFault {
        FieldFault(reason: .invalid, field: field, message: "Invalid value: \(shown(value)): \(why)")
    }
    static func notSupported(_ field: String, _ value: Value, _ supported: [String]) -> FieldFault {
        FieldFault(reason: .notSupported, field: field, message: "Unsupported value: \(shown(value)): supported values: \(supported.map { "\"\($0)\"" }.joined(separator: ", "))")
    }
    static func duplicate(_ field: String, _ value: Value) -> FieldFault { FieldFault(reason: .duplicate, field: field, message: "Duplicate value: \(shown(value))") }
    static func forbidden(_ field: String, _ why: String) -> FieldFault { FieldFault(reason: .forbidden, field: field, message: "Forbidden: \(why)") }
    static func wrongType(_ field: String, _ value: Value, _ why: String) -> FieldFault {
        FieldFault(reason: .typeInvalid, field: field, message: "Invalid value: \(shown(.string(value.kindName.split(separator: " ").last.map(String.init) ?? ""))): \(why)")
    }

    /// A value as messages quote it.
    private static func shown(_ value: Value) -> String { value.json() }
}
