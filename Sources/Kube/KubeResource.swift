// Which kind of object, and where the API keeps it. The well-known kinds are constants here; any other, custom resources
// included, is made with the same initialiser. Discovery is deliberately absent: the mesh knows what it reads.

/// A kind of object at one version of its group.
public struct KubeResource: Hashable, Sendable, CustomStringConvertible {
    /// Empty for the core group.
    public var group: String
    public var version: String
    /// Lower case plural, as in paths: `endpointslices`.
    public var plural: String
    public var kind: String
    public var isNamespaced: Bool

    public init(group: String, version: String, plural: String, kind: String, isNamespaced: Bool = true) {
        self.group = group
        self.version = version
        self.plural = plural
        self.kind = kind
        self.isNamespaced = isNamespaced
    }

    /// `v1`, `apps/v1`.
    public var apiVersion: String { group.isEmpty ? version : "\(group)/\(version)" }
    /// `pods`, `deployments.apps`: the form messages use.
    public var description: String { group.isEmpty ? plural : "\(plural).\(group)" }

    /// The path of the collection, or of one object, or of a subresource of it. A nil namespace means all namespaces.
    public func path(namespace: String? = nil, name: String? = nil, subresource: String? = nil) -> String {
        var path = group.isEmpty ? "/api/\(version)" : "/apis/\(group)/\(version)"
        if isNamespaced, let namespace { path += "/namespaces/" + percentEncoded(namespace) }
        path += "/" + plural
        if let name { path += "/" + percentEncoded(name) }
        if let subresource { path += "/" + subresource }
        return path
    }
}

extension KubeResource {
    public static let pods = KubeResource(group: "", version: "v1", plural: "pods", kind: "Pod")
    public static let services = KubeResource(group: "", version: "v1", plural: "services", kind: "Service")
    public static let endpoints = KubeResource(group: "", version: "v1", plural: "endpoints", kind: "Endpoints")
    public static let serviceAccounts = KubeResource(group: "", version: "v1", plural: "serviceaccounts", kind: "ServiceAccount")
    public static let configMaps = KubeResource(group: "", version: "v1", plural: "configmaps", kind: "ConfigMap")
    public static let secrets = KubeResource(group: "", version: "v1", plural: "secrets", kind: "Secret")
    public static let events = KubeResource(group: "", version: "v1", plural: "events", kind: "Event")
    public static let namespaces = KubeResource(group: "", version: "v1", plural: "namespaces", kind: "Namespace", isNamespaced: false)
    public static let nodes = KubeResource(group: "", version: "v1", plural: "nodes", kind: "Node", isNamespaced: false)
    public static let deployments = KubeResource(group: "apps", version: "v1", plural: "deployments", kind: "Deployment")
    public static let replicaSets = KubeResource(group: "apps", version: "v1", plural: "replicasets", kind: "ReplicaSet")
    public static let statefulSets = KubeResource(group: "apps", version: "v1", plural: "statefulsets", kind: "StatefulSet")
    public static let daemonSets = KubeResource(group: "apps", version: "v1", plural: "daemonsets", kind: "DaemonSet")
    public static let jobs = KubeResource(group: "batch", version: "v1", plural: "jobs", kind: "Job")
    public static let cronJobs = KubeResource(group: "batch", version: "v1", plural: "cronjobs", kind: "CronJob")
    public static let endpointSlices = KubeResource(group: "discovery.k8s.io", version: "v1", plural: "endpointslices", kind: "EndpointSlice")
    public static let leases = KubeResource(group: "coordination.k8s.io", version: "v1", plural: "leases", kind: "Lease")
    public static let roles = KubeResource(group: "rbac.authorization.k8s.io", version: "v1", plural: "roles", kind: "Role")
    public static let roleBindings = KubeResource(group: "rbac.authorization.k8s.io", version: "v1", plural: "rolebindings", kind: "RoleBinding")
    public static let clusterRoles = KubeResource(group: "rbac.authorization.k8s.io", version: "v1", plural: "clusterroles", kind: "ClusterRole", isNamespaced: false)
    public static let clusterRoleBindings = KubeResource(group: "rbac.authorization.k8s.io", version: "v1", plural: "clusterrolebindings", kind: "ClusterRoleBinding", isNamespaced: false)
    public static let tokenReviews = KubeResource(group: "authentication.k8s.io", version: "v1", plural: "tokenreviews", kind: "TokenReview", isNamespaced: false)
    public static let selfSubjectAccessReviews = KubeResource(group: "authorization.k8s.io", version: "v1", plural: "selfsubjectaccessreviews", kind: "SelfSubjectAccessReview", isNamespaced: false)
    public static let subjectAccessReviews = KubeResource(group: "authorization.k8s.io", version: "v1", plural: "subjectaccessreviews", kind: "SubjectAccessReview", isNamespaced: false)
    public static let customResourceDefinitions = KubeResource(group: "apiextensions.k8s.io", version: "v1", plural: "customresourcedefinitions", kind: "CustomResourceDefinition", isNamespaced: false)
    public static let mutatingWebhookConfigurations = KubeResource(group: "admissionregistration.k8s.io", version: "v1", plural: "mutatingwebhookconfigurations", kind: "MutatingWebhookConfiguration", isNamespaced: false)
    public static let validatingWebhookConfigurations = KubeResource(group: "admissionregistration.k8s.io", version: "v1", plural: "validatingwebhookconfigurations", kind: "ValidatingWebhookConfiguration", isNamespaced: false)
    public static let serviceProfiles = KubeResource(group: "linkerd.io", version: "v1alpha2", plural: "serviceprofiles", kind: "ServiceProfile")
    // Versions: the storage versions of Linkerd 2's CRDs (charts/linkerd-crds/templates/policy).
    public static let servers = KubeResource(group: "policy.linkerd.io", version: "v1beta3", plural: "servers", kind: "Server")
    public static let serverAuthorizations = KubeResource(group: "policy.linkerd.io", version: "v1beta1", plural: "serverauthorizations", kind: "ServerAuthorization")
    public static let authorizationPolicies = KubeResource(group: "policy.linkerd.io", version: "v1alpha1", plural: "authorizationpolicies", kind: "AuthorizationPolicy")
    public static let meshTLSAuthentications = KubeResource(group: "policy.linkerd.io", version: "v1alpha1", plural: "meshtlsauthentications", kind: "MeshTLSAuthentication")
    public static let networkAuthentications = KubeResource(group: "policy.linkerd.io", version: "v1alpha1", plural: "networkauthentications", kind: "NetworkAuthentication")
    public static let policyHTTPRoutes = KubeResource(group: "policy.linkerd.io", version: "v1beta3", plural: "httproutes", kind: "HTTPRoute")
    public static let httpLocalRateLimitPolicies = KubeResource(group: "policy.linkerd.io", version: "v1alpha1", plural: "httplocalratelimitpolicies", kind: "HTTPLocalRateLimitPolicy")
    public static let egressNetworks = KubeResource(group: "policy.linkerd.io", version: "v1alpha1", plural: "egressnetworks", kind: "EgressNetwork")
    public static let externalWorkloads = KubeResource(group: "workload.linkerd.io", version: "v1beta1", plural: "externalworkloads", kind: "ExternalWorkload")
    /// Of the Service Mesh Interface, long superseded. Source: linkerd2 2.10's destination, which reads v1alpha1.
    public static let trafficSplits = KubeResource(group: "split.smi-spec.io", version: "v1alpha1", plural: "trafficsplits", kind: "TrafficSplit")
    public static let httpRoutes = KubeResource(group: "gateway.networking.k8s.io", version: "v1", plural: "httproutes", kind: "HTTPRoute")
    public static let grpcRoutes = KubeResource(group: "gateway.networking.k8s.io", version: "v1", plural: "grpcroutes", kind: "GRPCRoute")
}

/// One path segment or query value: everything but RFC 3986's unreserved characters is escaped.
public func percentEncoded(_ text: String) -> String {
    var bytes: [UInt8] = []
    for byte in text.utf8 {
        switch byte {
        case 0x30...0x39, 0x41...0x5a, 0x61...0x7a, 0x2d, 0x2e, 0x5f, 0x7e: bytes.append(byte)
        default:
            let digits = Array("0123456789ABCDEF".utf8)
            bytes += [0x25, digits[Int(byte >> 4)], digits[Int(byte & 15)]]
        }
    }
    return String(decoding: bytes, as: UTF8.self)
}
