// What can go wrong with a call to the API server, typed by what callers do about it. `KubeStatus` is the API's own Status
// document, read by the client and written by the API server.

import Base
import Documents
import HTTP
import Transport

/// A `Status` object. Source: k8s.io/apimachinery pkg/apis/meta/v1 types.go and pkg/api/errors.
public struct KubeStatus: Error, Equatable, Sendable, CustomStringConvertible {
    /// Machine-readable, closed in practice: the reasons some code reacts to.
    public enum Reason: String, Sendable {
        case unknown = ""
        case unauthorized = "Unauthorized"
        case forbidden = "Forbidden"
        case notFound = "NotFound"
        case alreadyExists = "AlreadyExists"
        case conflict = "Conflict"
        case gone = "Gone"
        case expired = "Expired"
        case invalid = "Invalid"
        case badRequest = "BadRequest"
        case methodNotAllowed = "MethodNotAllowed"
        case notAcceptable = "NotAcceptable"
        case requestEntityTooLarge = "RequestEntityTooLarge"
        case unsupportedMediaType = "UnsupportedMediaType"
        case serverTimeout = "ServerTimeout"
        case timeout = "Timeout"
        case tooManyRequests = "TooManyRequests"
        case internalError = "InternalError"
        case serviceUnavailable = "ServiceUnavailable"
    }

    public struct Cause: Equatable, Sendable {
        public var reason: String
        public var message: String
        public var field: String

        public init(reason: String, message: String, field: String) {
            self.reason = reason
            self.message = message
            self.field = field
        }
    }

    public struct Details: Equatable, Sendable {
        public var name = ""
        public var group = ""
        public var kind = ""
        public var uid = ""
        public var causes: [Cause] = []
        public var retryAfterSeconds: Int64 = 0

        public init(name: String = "", group: String = "", kind: String = "", uid: String = "", causes: [Cause] = [], retryAfterSeconds: Int64 = 0) {
            self.name = name
            self.group = group
            self.kind = kind
            self.uid = uid
            self.causes = causes
            self.retryAfterSeconds = retryAfterSeconds
        }
    }

    public var code: UInt16
    public var reason: Reason
    public var message: String
    public var details: Details?

    public init(code: UInt16, reason: Reason, message: String, details: Details? = nil) {
        self.code = code
        self.reason = reason
        self.message = message
        self.details = details
    }

    public var description: String { message.isEmpty ? "status \(code) \(reason.rawValue)" : message }

    /// nil when the document is not a Status.
    public init?(_ value: Value) {
        guard value.text("kind") == "Status" else { return nil }
        code = value.number("code").flatMap { UInt16(exactly: $0) } ?? 0
        reason = value.text("reason").flatMap { Reason(rawValue: $0) } ?? .unknown
        message = value.text("message") ?? ""
        if let found = value.member("details") {
            details = Details(
                name: found.text("name") ?? "", group: found.text("group") ?? "", kind: found.text("kind") ?? "", uid: found.text("uid") ?? "",
                causes: found.items("causes").map { Cause(reason: $0.text("reason") ?? "", message: $0.text("message") ?? "", field: $0.text("field") ?? "") },
                retryAfterSeconds: found.number("retryAfterSeconds") ?? 0)
        }
    }

    /// The document as the API server writes it, members in its order.
    public var value: Value {
        .members([
            "kind": .string("Status"), "apiVersion": .string("v1"), "metadata": .members([:]), "status": .string("Failure"),
            "message": message.isEmpty ? nil : .string(message), "reason": reason == .unknown ? nil : .string(reason.rawValue),
            "details": details.map(Self.document), "code": .int(Int64(code)),
        ])
    }

    static func document(_ details: Details) -> Value {
        func nonEmpty(_ text: String) -> Value? { text.isEmpty ? nil : .string(text) }
        let causes = details.causes.map { Value.members(["reason": nonEmpty($0.reason), "message": nonEmpty($0.message), "field": nonEmpty($0.field)]) }
        return .members([
            "name": nonEmpty(details.name), "group": nonEmpty(details.group), "kind": nonEmpty(details.kind), "uid": nonEmpty(details.uid),
            "causes": causes.isEmpty ? nil : .array(causes), "retryAfterSeconds": details.retryAfterSeconds == 0 ? nil : .int(details.retryAfterSeconds),
        ])
    }

    /// The document of a call that succeeded and has no object to give.
    public static func success(_ details: Details) -> Value {
        .members(["kind": .string("Status"), "apiVersion": .string("v1"), "metadata": .members([:]), "status": .string("Success"), "details": document(details)])
    }
}

public enum KubeError: Error, Sendable, CustomStringConvertible {
    /// The API server answered with an error.
    case status(KubeStatus, retryAfter: Interval?)
    /// The request may or may not have been carried out.
    case transport(HTTPStreamFailure)
    /// No complete answer in time; the request may have been carried out.
    case timedOut
    /// The answer is not what the API promises.
    case malformed(String)
    /// We did not send it.
    case refused(Refusal)

    public var status: KubeStatus? { if case .status(let status, _) = self { status } else { nil } }
    /// The HTTP status; nil when there was no answer.
    public var code: UInt16? { status?.code }
    public var reason: KubeStatus.Reason { status?.reason ?? .unknown }
    public var isNotFound: Bool { code == 404 }
    public var isAlreadyExists: Bool { reason == .alreadyExists }
    public var isConflict: Bool { reason == .conflict }
    /// The resource version or continue token is too old: list again.
    public var isExpired: Bool { code == 410 }

    /// How long the server asks to wait.
    public var retryAfter: Interval? {
        guard case .status(let status, let retryAfter) = self else { return nil }
        if let retryAfter { return retryAfter }
        if let details = status.details, details.retryAfterSeconds > 0 { return .seconds(details.retryAfterSeconds) }
        return nil
    }

    /// The same call may succeed later without a change on our side. A conflict is not: read again first.
    public var isRetryable: Bool {
        switch self {
        case .status(let status, _): status.code == 429 || status.code >= 500 && status.code != 501
        case .transport, .timedOut: true
        case .malformed, .refused: false
        }
    }

    public var description: String {
        switch self {
        case .status(let status, _): "\(status)"
        case .transport(let failure): "\(failure)"
        case .timedOut: "no answer from the API server in time"
        case .malformed(let what): "the API server's answer is malformed: \(what)"
        case .refused(let refusal): refusal.reason
        }
    }
}
