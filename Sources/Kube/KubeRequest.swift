// One call to the API server as data: method, path with query, body. Made by the typed verbs of the client; made by hand for
// what has no verb (logs, /version, proxied services).

import Base
import Documents
import HTTP

public struct KubeRequest: Sendable {
    public var method: HTTPMethod
    /// Path and query, percent-encoded.
    public var path: String
    public var body: [UInt8] = []
    public var contentType = "application/json"
    public var accept = "application/json"

    public init(_ method: HTTPMethod, _ path: String) {
        self.method = method
        self.path = path
    }

    public init(_ method: HTTPMethod, _ path: String, query: [(String, String)], body: Value? = nil, contentType: String = "application/json") {
        self.method = method
        self.path = path + (query.isEmpty ? "" : "?" + query.map { percentEncoded($0.0) + "=" + percentEncoded($0.1) }.joined(separator: "&"))
        self.contentType = contentType
        if let body { body.json(into: &self.body) }
    }
}

/// A whole answer with a status below 300.
public struct KubeResponse: Sendable {
    public var status: UInt16
    public var contentType: String
    public var body: [UInt8]
}

public enum KubePatch: Sendable {
    /// RFC 6902: an array of operations.
    case json(Value)
    /// RFC 7396.
    case merge(Value)
    /// Kubernetes' own merge, for built-in kinds only.
    case strategic(Value)
    /// Server-side apply: the object holds the fields that the manager means to own.
    // tidy: name — the API's own word for whoever owns fields.
    case apply(KubeObject, fieldManager: String, force: Bool)

    var contentType: String {
        switch self {
        case .json: "application/json-patch+json"
        case .merge: "application/merge-patch+json"
        case .strategic: "application/strategic-merge-patch+json"
        case .apply: "application/apply-patch+yaml"
        }
    }

    var body: Value {
        switch self {
        case .json(let value), .merge(let value), .strategic(let value): value
        case .apply(let object, _, _): object.value
        }
    }

    var query: [(String, String)] {
        guard case .apply(_, let manager, let force) = self else { return [] }
        return [("fieldManager", manager)] + (force ? [("force", "true")] : [])
    }
}

/// How a write is to be taken. Source: k8s.io/apimachinery pkg/apis/meta/v1, CreateOptions and UpdateOptions.
public struct KubeWriteOptions: Sendable, Equatable {
    /// Everything happens but the writing.
    public var isDryRun = false
    /// Who owns the fields that are written; nil: the server takes it from the user agent.
    public var fieldOwner: String?
    /// `Ignore`, `Warn`, `Strict`: what is done about fields that the kind does not have.
    public var fieldValidation: String?

    public init(isDryRun: Bool = false, fieldOwner: String? = nil, fieldValidation: String? = nil) {
        self.isDryRun = isDryRun
        self.fieldOwner = fieldOwner
        self.fieldValidation = fieldValidation
    }

    var query: [(String, String)] {
        // tidy: name — the API's own word for whoever owns fields.
        (isDryRun ? [("dryRun", "All")] : []) + (fieldOwner.map { [("fieldManager", $0)] } ?? []) + (fieldValidation.map { [("fieldValidation", $0)] } ?? [])
    }
}
