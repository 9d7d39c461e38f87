// The roles and bindings that every cluster is born with, as far as people and installers rely on them.
// Source: k8s.io/kubernetes plugin/pkg/auth/authorizer/rbac/bootstrappolicy/policy.go.

import Documents
import Kube
import OrderedCollections

enum BootstrapRoles {
    private static let mark: KubeLabels = ["kubernetes.io/bootstrapping": "rbac-defaults"]
    private static let read = ["get", "list", "watch"]
    private static let write = ["create", "delete", "deletecollection", "patch", "update"]

    static var objects: [KubeObject] {
        [
            role("cluster-admin", rules: [rule(["*"], ["*"], ["*"]), paths(["*"], ["*"])]),
            role("admin", aggregating: "admin", labels: [:]),
            role("edit", aggregating: "edit", labels: ["rbac.authorization.k8s.io/aggregate-to-admin": "true"]),
            role("view", aggregating: "view", labels: ["rbac.authorization.k8s.io/aggregate-to-edit": "true"]),
            role(
                "system:aggregate-to-admin", labels: ["rbac.authorization.k8s.io/aggregate-to-admin": "true"],
                rules: [rule(write + read, ["rbac.authorization.k8s.io"], ["roles", "rolebindings"]), rule(["create"], ["authorization.k8s.io"], ["localsubjectaccessreviews"])]),
            role(
                "system:aggregate-to-edit", labels: ["rbac.authorization.k8s.io/aggregate-to-edit": "true"],
                rules: [
                    rule(read, [""], ["pods/attach", "pods/exec", "pods/portforward", "pods/proxy", "secrets", "services/proxy"]), rule(["impersonate"], [""], ["serviceaccounts"]),
                    rule(write, [""], ["pods", "pods/attach", "pods/exec", "pods/portforward", "pods/proxy"]), rule(["create"], [""], ["pods/eviction"]),
                    rule(write, [""], ["configmaps", "events", "persistentvolumeclaims", "replicationcontrollers", "replicationcontrollers/scale", "secrets", "serviceaccounts", "services", "services/proxy"]),
                    rule(["create"], [""], ["serviceaccounts/token"]),
                    rule(write, ["apps"], ["daemonsets", "deployments", "deployments/rollback", "deployments/scale", "replicasets", "replicasets/scale", "statefulsets", "statefulsets/scale"]),
                    rule(write, ["autoscaling"], ["horizontalpodautoscalers"]), rule(write, ["batch"], ["cronjobs", "jobs"]), rule(write, ["policy"], ["poddisruptionbudgets"]),
                    rule(write, ["networking.k8s.io"], ["ingresses", "networkpolicies"]), rule(write + read, ["coordination.k8s.io"], ["leases"]),
                ]),
            role(
                "system:aggregate-to-view", labels: ["rbac.authorization.k8s.io/aggregate-to-view": "true"],
                rules: [
                    rule(
                        read, [""],
                        [
                            "configmaps", "endpoints", "persistentvolumeclaims", "persistentvolumeclaims/status", "pods", "replicationcontrollers", "replicationcontrollers/scale", "serviceaccounts",
                            "services", "services/status", "bindings", "events", "limitranges", "namespaces/status", "pods/log", "pods/status", "replicationcontrollers/status", "resourcequotas",
                            "resourcequotas/status", "namespaces",
                        ]), rule(read, ["discovery.k8s.io"], ["endpointslices"]),
                    rule(
                        read, ["apps"],
                        [
                            "controllerrevisions", "daemonsets", "daemonsets/status", "deployments", "deployments/scale", "deployments/status", "replicasets", "replicasets/scale",
                            "replicasets/status", "statefulsets", "statefulsets/scale", "statefulsets/status",
                        ]), rule(read, ["autoscaling"], ["horizontalpodautoscalers", "horizontalpodautoscalers/status"]),
                    rule(read, ["batch"], ["cronjobs", "cronjobs/status", "jobs", "jobs/status"]), rule(read, ["policy"], ["poddisruptionbudgets", "poddisruptionbudgets/status"]),
                    rule(read, ["networking.k8s.io"], ["ingresses", "ingresses/status", "networkpolicies"]),
                ]),
            role("system:discovery", rules: [paths(["get"], ["/api", "/api/*", "/apis", "/apis/*", "/healthz", "/livez", "/openapi", "/openapi/*", "/readyz", "/version", "/version/"])]),
            role(
                "system:basic-user",
                rules: [
                    rule(["create"], ["authorization.k8s.io"], ["selfsubjectaccessreviews", "selfsubjectrulesreviews"]), rule(["create"], ["authentication.k8s.io"], ["selfsubjectreviews"]),
                ]), role("system:public-info-viewer", rules: [paths(["get"], ["/healthz", "/livez", "/readyz", "/version", "/version/"])]),
            role(
                "system:auth-delegator",
                rules: [rule(["create"], ["authentication.k8s.io"], ["tokenreviews"]), rule(["create"], ["authorization.k8s.io"], ["subjectaccessreviews"])]),
            role("system:service-account-issuer-discovery", rules: [paths(["get"], ["/.well-known/openid-configuration", "/.well-known/openid-configuration/", "/openid/v1/jwks", "/openid/v1/jwks/"])]),
            binding("cluster-admin", ["system:masters"]), binding("system:discovery", ["system:authenticated"]), binding("system:basic-user", ["system:authenticated"]),
            binding("system:public-info-viewer", ["system:authenticated", "system:unauthenticated"]), binding("system:service-account-issuer-discovery", ["system:serviceaccounts"]),
        ]
    }

    private static func strings(_ words: [String]) -> Value { .array(words.map { .string($0) }) }

    private static func rule(_ verbs: [String], _ groups: [String], _ resources: [String]) -> Value {
        .members(["verbs": strings(verbs), "apiGroups": strings(groups), "resources": strings(resources)])
    }

    private static func paths(_ verbs: [String], _ urls: [String]) -> Value { .members(["verbs": strings(verbs), "nonResourceURLs": strings(urls)]) }

    private static func role(_ name: String, aggregating target: String? = nil, labels: KubeLabels = [:], rules: [Value] = []) -> KubeObject {
        var all = mark
        for (key, value) in labels { all[key] = value }
        var role = KubeObject(.clusterRoles, name: name, labels: all)
        if let target {
            let selector = Value.members(["matchLabels": .members(["rbac.authorization.k8s.io/aggregate-to-\(target)": .string("true")] as KeyValuePairs<String, Value?>)])
            role.value.put(.members(["clusterRoleSelectors": .array([selector])]), at: "aggregationRule")
        }
        role.value.put(.array(rules), at: "rules")
        return role
    }

    private static func binding(_ role: String, _ groups: [String]) -> KubeObject {
        var binding = KubeObject(.clusterRoleBindings, name: role, labels: mark)
        binding.value.put(.members(["apiGroup": .string("rbac.authorization.k8s.io"), "kind": .string("ClusterRole"), "name": .string(role)]), at: "roleRef")
        binding.value.put(
            .array(groups.map { .members(["apiGroup": .string("rbac.authorization.k8s.io"), "kind": .string("Group"), "name": .string($0)]) }), at: "subjects")
        return binding
    }
}
