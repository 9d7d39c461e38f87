// Kinds that are questions: who a token speaks for, what somebody may do. Created, answered, not kept.
// Source: k8s.io/api authentication/v1 and authorization/v1.

import Base
import Documents
import Kube
import OrderedCollections

struct Reviews {
    let registry: Registry
    let authenticator: Authenticator
    /// Whether rules are enforced; without, every authenticated caller may do everything, and reviews say so.
    let isEnforced: Bool

    func answer(_ kind: ServedKind, namespace: String, _ document: Value, _ caller: Caller) throws(KubeStatus) -> Value {
        var answer = document
        answer.fill(.object(Object()), "metadata")
        switch kind.plural {
        case "tokenreviews": answer.put(tokenStatus(document), at: "status")
        case "selfsubjectreviews": answer.put(.members(["userInfo": caller.value]), at: "status")
        case "selfsubjectrulesreviews": answer.put(rules(document.text("spec", "namespace") ?? "", caller), at: "status")
        case "selfsubjectaccessreviews": answer.put(try access(document, caller), at: "status")
        case "subjectaccessreviews", "localsubjectaccessreviews":
            if kind.isNamespaced, document.text("spec", "resourceAttributes", "namespace") != namespace {
                throw .badRequest("spec.resourceAttributes.namespace must match namespace: \(namespace)")
            }
            let subject = Caller(
                name: document.text("spec", "user") ?? "", uid: document.text("spec", "uid") ?? "", groups: document.items("spec", "groups").compactMap { $0.text() })
            if subject.name.isEmpty, subject.groups.isEmpty {
                throw .invalid(kind, "", [.required("spec.user", "at least one of user or group must be specified")])
            }
            answer.put(try access(document, subject), at: "status")
        default: throw .pathNotFound
        }
        return answer
    }

    private func tokenStatus(_ document: Value) -> Value {
        let token = document.text("spec", "token") ?? ""
        let audiences = document.items("spec", "audiences").compactMap { $0.text() }
        if token.isEmpty { return .members(["user": .object(Object()), "error": .string("no token")]) }
        do throws(Refusal) {
            let (caller, accepted) = try authenticator.caller(token: token, audiences: audiences)
            return .members(["authenticated": .bool(true), "user": caller.value, "audiences": .array(accepted.map { .string($0) })])
        } catch {
            return .members(["user": .object(Object()), "error": .string("[\(error.reason)]")])
        }
    }

    private func access(_ document: Value, _ subject: Caller) throws(KubeStatus) -> Value {
        let request: AccessRequest
        if let attributes = document.member("spec", "resourceAttributes") {
            request = AccessRequest(
                verb: attributes.text("verb") ?? "",
                resource: AccessRequest.Resource(
                    group: attributes.text("group") ?? "", plural: attributes.text("resource") ?? "", subresource: attributes.text("subresource") ?? "",
                    namespace: attributes.text("namespace") ?? "", name: attributes.text("name") ?? ""))
        } else if let attributes = document.member("spec", "nonResourceAttributes") {
            request = AccessRequest(verb: attributes.text("verb") ?? "", path: attributes.text("path") ?? "")
        } else {
            throw .badRequest("exactly one of nonResourceAttributes or resourceAttributes must be specified")
        }
        if !isEnforced { return .members(["allowed": .bool(true), "reason": .string("access control is off")]) }
        guard let reason = Authorizer(registry: registry).allows(subject, request) else { return .members(["allowed": .bool(false)]) }
        return .members(["allowed": .bool(true), "reason": reason.isEmpty ? nil : .string(reason)])
    }

    /// The rules that hold for a caller in a namespace.
    private func rules(_ namespace: String, _ caller: Caller) -> Value {
        let everything: [Value] = [.string("*")]
        if !isEnforced || caller.groups.contains("system:masters") {
            return .members([
                "resourceRules": .array([.members(["verbs": .array(everything), "apiGroups": .array(everything), "resources": .array(everything)])]),
                "nonResourceRules": .array([.members(["verbs": .array(everything), "nonResourceURLs": .array(everything)])]), "incomplete": .bool(false),
            ])
        }
        var found: [Value] = []
        for binding in registry.all(.clusterRoleBindings) + registry.all(.roleBindings, namespace: namespace) {
            let isMine = binding.value.items("subjects").contains { subject in
                let name = subject.text("name") ?? ""
                switch subject.text("kind") {
                case "User": return name == caller.name
                case "Group": return caller.groups.contains(name)
                default: return caller.name == "system:serviceaccount:\(subject.text("namespace") ?? binding.namespace):\(name)"
                }
            }
            guard isMine else { continue }
            let role = binding.value.text("roleRef", "name") ?? ""
            let rules = binding.value.text("roleRef", "kind") == "ClusterRole" ? registry.find(.clusterRoles, name: role) : registry.find(.roles, namespace: binding.namespace, name: role)
            found += rules?.value.items("rules") ?? []
        }
        return .members([
            "resourceRules": .array(found.filter { $0.member("resources") != nil }), "nonResourceRules": .array(found.filter { $0.member("nonResourceURLs") != nil }),
            "incomplete": .bool(false),
        ])
    }
}
