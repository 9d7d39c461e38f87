// The question of an API server and the answer to it, in both versions that API servers speak. A text that cannot be answered,
// because nobody can tell whose question it is, is a fault of transport, and the webhook's failure policy decides; everything
// else gets a verdict. Source: Kubernetes admission.k8s.io/v1; linkerd2 controller/webhook/server.go.

import Base
import Documents
import Kube
import OrderedCollections

/// What somebody wants to write.
public struct AdmissionRequest: Sendable {
    public enum Operation: String, Sendable { case create = "CREATE", update = "UPDATE", delete = "DELETE", connect = "CONNECT" }

    public var uid: String
    /// Empty for the core group.
    public var group: String
    public var version: String
    public var kind: String
    /// Empty when it is to be generated.
    public var name: String
    /// Empty for cluster-scoped objects.
    public var namespace: String
    public var operation: Operation
    /// `.null` for a deletion.
    public var object: Value
    public var isDryRun: Bool

    public init(uid: String, group: String, version: String, kind: String, name: String, namespace: String, operation: Operation, object: Value, isDryRun: Bool = false) {
        self.uid = uid
        self.group = group
        self.version = version
        self.kind = kind
        self.name = name
        self.namespace = namespace
        self.operation = operation
        self.object = object
        self.isDryRun = isDryRun
    }

    /// `Pod shop/web`, as log lines name it.
    public var subject: String {
        let called = !name.isEmpty ? name : object.text("metadata", "name") ?? object.text("metadata", "generateName") ?? "?"
        return "\(kind) \(namespace.isEmpty ? "" : namespace + "/")\(called)"
    }
}

/// What we say to it.
public struct AdmissionVerdict: Sendable {
    public var isAllowed: Bool
    /// HTTP status of a refusal. 0: not said.
    public var code: Int64 = 0
    /// Why it is refused; empty otherwise.
    public var message = ""
    public var patch = JSONPatch()
    /// Told to whoever writes, whatever the verdict. Unit: at most 256 bytes each, longer ones are cut.
    public var warnings: [String] = []

    public init(isAllowed: Bool) { self.isAllowed = isAllowed }

    public static let allowed = AdmissionVerdict(isAllowed: true)

    public static func refused(_ message: String, code: Int64 = 0) -> AdmissionVerdict {
        var verdict = AdmissionVerdict(isAllowed: false)
        verdict.message = message
        verdict.code = code
        return verdict
    }
}

public struct AdmissionReview: Sendable {
    /// The API's versions; the answer is in that of the question.
    public enum Version: String, Sendable, CaseIterable {
        case v1 = "admission.k8s.io/v1"
        case v1beta1 = "admission.k8s.io/v1beta1"
    }

    public var version: Version
    public var request: AdmissionRequest

    /// What a text turned out to be.
    public enum Reading: Sendable {
        case review(AdmissionReview)
        /// It has a name to answer to, but is not a question that can be judged: the answer is no, with the reason.
        case unusable(uid: String, version: Version, reason: String)
        /// Nothing that could be answered.
        case garbage(String)
    }

    public static func read(_ bytes: [UInt8], limits: DocumentLimits) -> Reading {
        let document: Value
        do throws(DocumentError) { document = try Value(json: bytes, limits: limits) } catch { return .garbage("the body is not JSON: \(error)") }
        guard document.text("kind") == "AdmissionReview" else { return .garbage("the body is not an AdmissionReview: kind is \(told(document.text("kind")))") }
        guard let uid = document.text("request", "uid"), !uid.isEmpty else { return .garbage("the AdmissionReview has no request.uid") }
        let known = document.text("apiVersion").flatMap { Version(rawValue: $0) }
        func unusable(_ reason: String) -> Reading { .unusable(uid: uid, version: known ?? .v1, reason: reason) }
        guard let version = known else {
            return unusable("apiVersion \(told(document.text("apiVersion"))) is none of \(Version.allCases.map(\.rawValue).joined(separator: ", "))")
        }
        guard let kind = document.text("request", "kind", "kind"), !kind.isEmpty else { return unusable("request.kind.kind is missing") }
        guard let operation = document.text("request", "operation").flatMap({ AdmissionRequest.Operation(rawValue: $0) }) else {
            return unusable("request.operation \(told(document.text("request", "operation"))) is none of CREATE, UPDATE, DELETE, CONNECT")
        }
        let object = document.member("request", "object") ?? .null
        switch (object, operation) {
        case (.object, _), (.null, .delete), (.null, .connect): break
        default: return unusable("request.object is \(object.kindName), not an object")
        }
        return .review(
            AdmissionReview(
                version: version,
                request: AdmissionRequest(
                    uid: uid, group: document.text("request", "kind", "group") ?? "", version: document.text("request", "kind", "version") ?? "", kind: kind,
                    name: document.text("request", "name") ?? "", namespace: document.text("request", "namespace") ?? "", operation: operation, object: object,
                    isDryRun: document.flag("request", "dryRun") ?? false)))
    }

    /// The document that goes back.
    public static func answer(uid: String, version: Version, _ verdict: AdmissionVerdict) -> Value {
        var status: Value?
        if !verdict.isAllowed {
            status = .members([
                "status": .string("Failure"), "message": .string(verdict.message), "reason": verdict.code == 403 ? .string("Forbidden") : .string("Invalid"),
                "code": verdict.code == 0 ? nil : .int(verdict.code),
            ])
        }
        let patch: Value? = verdict.patch.isEmpty || !verdict.isAllowed ? nil : .string(base64Encoded(Array(verdict.patch.value.json().utf8)))
        return .members([
            "kind": .string("AdmissionReview"), "apiVersion": .string(version.rawValue),
            "response": .members([
                "uid": .string(uid), "allowed": .bool(verdict.isAllowed), "status": status, "patch": patch, "patchType": patch == nil ? nil : .string("JSONPatch"),
                "warnings": verdict.warnings.isEmpty ? nil : .array(verdict.warnings.map { .string(String($0.prefix(256))) }),
            ]),
        ])
    }

    private static func told(_ text: String?) -> String { text.map { "\"\($0.prefix(80))\"" } ?? "missing" }
}
