// Who did what, when, and how it ended: an event for each request, level Metadata, so that no content of objects is told.
// Source: k8s.io/apiserver pkg/apis/audit/v1/types.go.

import Base
import Documents
import HTTP
import Kube
import OrderedCollections
import Transport

/// One request on its way into the audit log.
final class AuditTrail {
    var caller = Caller.anonymous
    /// Who really asked, when somebody else is impersonated.
    var original: Caller?
    private let received: WallTime
    private let clock: () -> WallTime
    private let sink: (Value) -> Void
    private let id: String
    private let uri: String
    private let verb: String
    private let source: String
    private let agent: String?
    private let reference: Value?
    private var hasBegun = false

    init(_ exchange: Exchange, _ path: APIPath, verb: String, id: String, clock: @escaping () -> WallTime, sink: @escaping (Value) -> Void) {
        received = clock()
        self.clock = clock
        self.sink = sink
        self.verb = verb
        self.id = exchange.head.headers.first("audit-id") ?? id
        uri = exchange.head.path.description
        source = exchange.peer.address.ip.description
        agent = exchange.head.headers.first("user-agent")
        reference = path.resource.map { path in
            .members([
                "resource": .string(path.plural), "namespace": path.namespace.map { .string($0) }, "name": path.name.map { .string($0) },
                "apiGroup": path.group.isEmpty ? nil : .string(path.group), "apiVersion": .string(path.version), "subresource": path.subresource.isEmpty ? nil : .string(path.subresource),
            ])
        }
        exchange.extraHeaders.append(("audit-id", self.id))
        exchange.onAnswer = { [self] status, failure in answered(status, failure) }
    }

    private func answered(_ status: UInt16?, _ failure: KubeStatus?) {
        let goesOn = verb == "watch" && failure == nil && status != nil
        if goesOn { hasBegun = true }
        let code = status ?? 200
        let isAllowed = code != 403 && code != 401
        let who = original ?? caller
        sink(
            .members([
                "kind": .string("Event"), "apiVersion": .string("audit.k8s.io/v1"), "level": .string("Metadata"), "auditID": .string(id),
                "stage": .string(goesOn ? "ResponseStarted" : "ResponseComplete"), "requestURI": .string(uri), "verb": .string(verb), "user": who.value,
                "impersonatedUser": original == nil ? nil : caller.value, "sourceIPs": .array([.string(source)]), "userAgent": agent.map { .string($0) }, "objectRef": reference,
                "responseStatus": .members([
                    "metadata": .object(Object()), "status": failure.map { _ in .string("Failure") }, "message": failure.map { .string($0.message) },
                    "reason": failure.map { .string($0.reason.rawValue) }, "code": .int(Int64(code)),
                ]), "requestReceivedTimestamp": .string(received.preciseDescription), "stageTimestamp": .string(clock().preciseDescription),
                "annotations": .members(["authorization.k8s.io/decision": .string(isAllowed ? "allow" : "forbid"), "authorization.k8s.io/reason": .string("")]),
            ]))
    }
}
