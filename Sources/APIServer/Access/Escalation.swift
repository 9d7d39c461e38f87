// Nobody gives what they do not have: a role may hold only what its writer may do, and a role may be bound only by who may do all that it
// allows, unless the verbs `escalate` and `bind` say otherwise.
// Source: kubernetes.io/docs/reference/access-authn-authz/rbac, "Privilege escalation prevention and bootstrapping".

import Documents
import Kube
import OrderedCollections

struct Escalation {
    let registry: Registry

    func check(_ pending: PendingWrite) throws(KubeStatus) {
        let caller = pending.caller
        if caller.groups.contains("system:masters") { return }
        let isBinding = pending.kind.plural.hasSuffix("bindings")
        if isBinding {
            if let old = pending.old, old.member("roleRef") == pending.object.member("roleRef"), old.member("subjects") == pending.object.member("subjects") { return }
            let name = pending.object.text("roleRef", "name") ?? ""
            let isCluster = pending.object.text("roleRef", "kind") == "ClusterRole"
            if may(caller, "bind", isCluster ? "clusterroles" : "roles", pending.key.namespace, name) { return }
            // A role that is not there allows nothing yet, but may come to.
            guard let role = isCluster ? registry.find(.clusterRoles, name: name) : registry.find(.roles, namespace: pending.key.namespace, name: name) else {
                throw .notFound(registry.kind(isCluster ? .clusterRoles : .roles), name)
            }
            try require(role.value.items("rules"), of: caller, pending)
        } else {
            if let old = pending.old, old.items("rules") == pending.object.items("rules"), old.member("aggregationRule") == pending.object.member("aggregationRule") { return }
            if may(caller, "escalate", pending.kind.plural, pending.key.namespace, pending.key.name) { return }
            var rules = pending.object.items("rules")
            // Whoever aggregates may get anything.
            if pending.object.member("aggregationRule") != nil {
                let all = Value.array([.string("*")])
                rules.append(.members(["verbs": all, "apiGroups": all, "resources": all]))
            }
            try require(rules, of: caller, pending)
        }
    }

    private func may(_ caller: Caller, _ verb: String, _ plural: String, _ namespace: String, _ name: String) -> Bool {
        let resource = AccessRequest.Resource(group: "rbac.authorization.k8s.io", plural: plural, namespace: namespace, name: name)
        return Authorizer(registry: registry).allows(caller, AccessRequest(verb: verb, resource: resource)) != nil
    }

    private func require(_ rules: [Value], of caller: Caller, _ pending: PendingWrite) throws(KubeStatus) {
        let missing = rules.filter { !holds(caller, $0, pending.key.namespace) }
        if missing.isEmpty { return }
        let list = missing.map { rule in
            func part(_ name: String, _ member: String) -> String? {
                let words = rule.items(member).compactMap { $0.text() }
                return words.isEmpty ? nil : "\(name):[" + words.map { "\"\($0)\"" }.joined(separator: " ") + "]"
            }
            return "{" + [part("APIGroups", "apiGroups"), part("Resources", "resources"), part("ResourceNames", "resourceNames"), part("NonResourceURLs", "nonResourceURLs"), part("Verbs", "verbs")]
                .compactMap { $0 }.joined(separator: ", ") + "}"
        }
        throw .forbidden(
            pending.kind, pending.key.name,
            "user \"\(caller.name)\" (groups=[\(caller.groups.map { "\"\($0)\"" }.joined(separator: " "))]) is attempting to grant RBAC permissions not currently held:\n\(list.joined(separator: "\n"))")
    }

    /// The caller may do everything that the rule allows.
    private func holds(_ caller: Caller, _ rule: Value, _ namespace: String) -> Bool {
        let authorizer = Authorizer(registry: registry)
        func words(_ member: String) -> [String] { rule.items(member).compactMap { $0.text() } }
        for verb in words("verbs") {
            for url in words("nonResourceURLs") where authorizer.allows(caller, AccessRequest(verb: verb, path: url)) == nil { return false }
            for group in words("apiGroups") {
                for full in words("resources") {
                    let parts = full.split(separator: "/", maxSplits: 1).map(String.init)
                    for name in words("resourceNames").isEmpty ? [""] : words("resourceNames") {
                        let resource = AccessRequest.Resource(group: group, plural: parts[0], subresource: parts.count > 1 ? parts[1] : "", namespace: namespace, name: name)
                        if authorizer.allows(caller, AccessRequest(verb: verb, resource: resource)) == nil { return false }
                    }
                }
            }
        }
        return true
    }
}
