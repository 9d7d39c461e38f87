// The kinds that every cluster has, as one table. Only facts that differ between kinds are here; defaults, validation and
// columns are with their topics.

import Kube

struct BuiltInKind: Sendable {
    var resource: KubeResource
    var shortNames: [String]
    var categories: [String]
    var hasStatus: Bool
    var scale: ScalePaths?
    var hasGeneration: Bool
    var otherSubresources: [String]
    var isVirtual: Bool
    /// The kind is another form of one that is kept elsewhere.
    var conversion: Conversion?

    init(
        _ resource: KubeResource, _ shortNames: [String] = [], categories: [String] = [], status: Bool = false, scale: Bool = false, generation: Bool = false,
        subresources: [String] = [], isVirtual: Bool = false, conversion: Conversion? = nil
    ) {
        self.conversion = conversion
        self.resource = resource
        self.shortNames = shortNames
        self.categories = categories
        hasStatus = status
        self.scale = scale ? ScalePaths() : nil
        hasGeneration = generation
        otherSubresources = subresources
        self.isVirtual = isVirtual
    }

    private static func other(_ group: String, _ version: String, _ plural: String, _ kind: String, isNamespaced: Bool = true) -> KubeResource {
        KubeResource(group: group, version: version, plural: plural, kind: kind, isNamespaced: isNamespaced)
    }

    static let all: [BuiltInKind] = [
        BuiltInKind(.namespaces, ["ns"], status: true, subresources: ["finalize"]),
        BuiltInKind(.nodes, ["no"], status: true),
        BuiltInKind(.pods, ["po"], categories: ["all"], status: true, generation: true, subresources: ["binding", "eviction", "log", "exec", "attach", "portforward", "proxy"]),
        BuiltInKind(.services, ["svc"], categories: ["all"], status: true),
        BuiltInKind(.endpoints, ["ep"]),
        BuiltInKind(.serviceAccounts, ["sa"], subresources: ["token"]),
        BuiltInKind(.secrets),
        BuiltInKind(.configMaps, ["cm"]),
        BuiltInKind(.events, ["ev"]),
        BuiltInKind(other("events.k8s.io", "v1", "events", "Event"), ["ev"], conversion: .events),
        BuiltInKind(other("", "v1", "persistentvolumeclaims", "PersistentVolumeClaim"), ["pvc"], status: true),
        BuiltInKind(other("", "v1", "persistentvolumes", "PersistentVolume", isNamespaced: false), ["pv"], status: true),
        BuiltInKind(other("", "v1", "limitranges", "LimitRange"), ["limits"]),
        BuiltInKind(other("", "v1", "resourcequotas", "ResourceQuota"), ["quota"], status: true),
        BuiltInKind(other("", "v1", "replicationcontrollers", "ReplicationController"), ["rc"], categories: ["all"], status: true, scale: true, generation: true),
        BuiltInKind(.deployments, ["deploy"], categories: ["all"], status: true, scale: true, generation: true),
        BuiltInKind(.replicaSets, ["rs"], categories: ["all"], status: true, scale: true, generation: true),
        BuiltInKind(.statefulSets, ["sts"], categories: ["all"], status: true, scale: true, generation: true),
        BuiltInKind(.daemonSets, ["ds"], categories: ["all"], status: true, generation: true),
        BuiltInKind(other("apps", "v1", "controllerrevisions", "ControllerRevision")),
        BuiltInKind(.jobs, categories: ["all"], status: true, generation: true),
        BuiltInKind(.cronJobs, ["cj"], categories: ["all"], status: true, generation: true),
        BuiltInKind(.endpointSlices, generation: true),
        BuiltInKind(.leases),
        BuiltInKind(.roles), BuiltInKind(.roleBindings), BuiltInKind(.clusterRoles), BuiltInKind(.clusterRoleBindings),
        BuiltInKind(.mutatingWebhookConfigurations, categories: ["api-extensions"], generation: true),
        BuiltInKind(.validatingWebhookConfigurations, categories: ["api-extensions"], generation: true),
        BuiltInKind(.customResourceDefinitions, ["crd", "crds"], categories: ["api-extensions"], status: true, generation: true),
        BuiltInKind(other("apiregistration.k8s.io", "v1", "apiservices", "APIService", isNamespaced: false), categories: ["api-extensions"], status: true),
        BuiltInKind(other("policy", "v1", "poddisruptionbudgets", "PodDisruptionBudget"), ["pdb"], status: true, generation: true),
        BuiltInKind(other("autoscaling", "v2", "horizontalpodautoscalers", "HorizontalPodAutoscaler"), ["hpa"], categories: ["all"], status: true),
        BuiltInKind(other("networking.k8s.io", "v1", "ingresses", "Ingress"), ["ing"], status: true, generation: true),
        BuiltInKind(other("networking.k8s.io", "v1", "ingressclasses", "IngressClass", isNamespaced: false), generation: true),
        BuiltInKind(other("networking.k8s.io", "v1", "networkpolicies", "NetworkPolicy"), ["netpol"], generation: true),
        BuiltInKind(other("scheduling.k8s.io", "v1", "priorityclasses", "PriorityClass", isNamespaced: false), ["pc"], generation: true),
        BuiltInKind(other("storage.k8s.io", "v1", "storageclasses", "StorageClass", isNamespaced: false), ["sc"]),
        BuiltInKind(.tokenReviews, isVirtual: true),
        BuiltInKind(other("authentication.k8s.io", "v1", "selfsubjectreviews", "SelfSubjectReview", isNamespaced: false), isVirtual: true),
        BuiltInKind(.subjectAccessReviews, isVirtual: true),
        BuiltInKind(.selfSubjectAccessReviews, isVirtual: true),
        BuiltInKind(other("authorization.k8s.io", "v1", "localsubjectaccessreviews", "LocalSubjectAccessReview"), isVirtual: true),
        BuiltInKind(other("authorization.k8s.io", "v1", "selfsubjectrulesreviews", "SelfSubjectRulesReview", isNamespaced: false), isVirtual: true),
    ]

    func served(in store: ObjectStore) -> ServedKind {
        ServedKind(
            group: resource.group, plural: resource.plural, singular: singular, kind: resource.kind, shortNames: shortNames, categories: categories,
            isNamespaced: resource.isNamespaced,
            versions: [
                ServedVersion(
                    name: resource.version, hasStatus: hasStatus, scale: scale, otherSubresources: otherSubresources, schema: nil,
                    columns: builtInColumns(conversion?.collection ?? resource.description), deprecation: nil, selectableFields: Selection.selectableFields(of: conversion?.collection ?? resource.description))
            ],
            storageVersion: resource.version, hasGeneration: hasGeneration, isVirtual: isVirtual,
            collection: isVirtual ? -1 : store.collection(named: conversion?.collection ?? resource.description), conversion: conversion)
    }

    private var singular: String { resource.kind.lowercased() }
}
