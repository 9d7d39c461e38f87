// May this caller do that? Role-based access control over the roles and bindings in the store.
// Source: k8s.io/kubernetes plugin/pkg/auth/authorizer/rbac.

import Documents
import Kube
import OrderedCollections

struct AccessRequest {
    var verb: String
    /// nil when it is about a path that is no resource.
    var resource: Resource?
    var path = ""

    struct Resource {
        var group = ""
        var plural = ""
        var subresource = ""
        var namespace = ""
        var name = ""
    }

    init(verb: String, resource: Resource? = nil, path: String = "") {
        self.verb = verb
        self.resource = resource
        self.path = path
    }
}

struct Authorizer {
    let registry: Registry

    /// What anybody may read, before any rule. Source: the bootstrap role system:public-info-viewer and, here, discovery.
    static func isPublic(_ request: AccessRequest) -> Bool {
        guard request.resource == nil, request.verb == "get" else { return false }
        let path = request.path
        return ["/healthz", "/livez", "/readyz", "/version", "/api", "/apis", "/openapi", "/.well-known"].contains { path == $0 || path.hasPrefix($0 + "/") }
    }

    /// The binding that allows it, in words; nil when nothing does.
    func allows(_ caller: Caller, _ request: AccessRequest) -> String? {
        if caller.groups.contains("system:masters") { return "" }
        for binding in registry.all(.clusterRoleBindings) where isSubject(caller, of: binding.value, namespace: "") {
            let role = binding.value.text("roleRef", "name") ?? ""
            guard let rules = registry.find(.clusterRoles, name: role) else { continue }
            if allows(rules.value, request) { return "RBAC: allowed by ClusterRoleBinding \"\(binding.name)\" of ClusterRole \"\(role)\"" }
        }
        guard let namespace = request.resource?.namespace, !namespace.isEmpty else { return nil }
        for binding in registry.all(.roleBindings, namespace: namespace) where isSubject(caller, of: binding.value, namespace: namespace) {
            let role = binding.value.text("roleRef", "name") ?? ""
            let kind = binding.value.text("roleRef", "kind") ?? ""
            let rules = kind == "ClusterRole" ? registry.find(.clusterRoles, name: role) : registry.find(.roles, namespace: namespace, name: role)
            if let rules, allows(rules.value, request) { return "RBAC: allowed by RoleBinding \"\(binding.name)/\(namespace)\" of \(kind) \"\(role)\"" }
        }
        return nil
    }

    private func isSubject(_ caller: Caller, of binding: Value, namespace: String) -> Bool {
        binding.items("subjects").contains { subject in
            let name = subject.text("name") ?? ""
            switch subject.text("kind") {
            case "User": return name == caller.name
            case "Group": return caller.groups.contains(name)
            case "ServiceAccount": return caller.name == "system:serviceaccount:\(subject.text("namespace") ?? namespace):\(name)"
            default: return false
            }
        }
    }

    private func allows(_ role: Value, _ request: AccessRequest, depth: Int = 0) -> Bool {
        if role.items("rules").contains(where: { allows(rule: $0, request) }) { return true }
        // Aggregated roles: the controller would copy the rules of the selected roles; the effect is the same.
        guard depth == 0 else { return false }
        let selectors = role.items("aggregationRule", "clusterRoleSelectors").compactMap { LabelSelector(structured: $0) }
        return !selectors.isEmpty && registry.all(.clusterRoles).contains { other in selectors.contains { $0.matches(other.labels) } && allows(other.value, request, depth: 1) }
    }

    private func allows(rule: Value, _ request: AccessRequest) -> Bool {
        func holds(_ member: String, _ word: String) -> Bool { rule.items(member).contains { $0.text() == "*" || $0.text() == word } }
        guard holds("verbs", request.verb) else { return false }
        guard let resource = request.resource else {
            return rule.items("nonResourceURLs").compactMap { $0.text() }.contains { url in
                url.hasSuffix("*") ? request.path.hasPrefix(url.dropLast()) : url == request.path
            }
        }
        guard holds("apiGroups", resource.group) else { return false }
        let full = resource.subresource.isEmpty ? resource.plural : "\(resource.plural)/\(resource.subresource)"
        let isNamed = rule.items("resources").compactMap { $0.text() }.contains { $0 == "*" || $0 == full || !resource.subresource.isEmpty && $0 == "*/\(resource.subresource)" }
        guard isNamed else { return false }
        let names = rule.items("resourceNames").compactMap { $0.text() }
        return names.isEmpty || names.contains(resource.name)
    }
}
