// What is served, in the forms that clients ask: groups, resources of a group, and everything at once (aggregated discovery).
// Source: kubernetes.io/docs/concepts/overview/kubernetes-api, "Discovery API"; k8s.io/api/apidiscovery/v2.

import Documents
import Kube
import OrderedCollections

struct Discovery {
    let catalog: Catalog
    /// Where the server is reached, for `serverAddressByClientCIDRs`.
    let address: String

    private static func strings(_ list: [String]) -> Value { .array(list.map { .string($0) }) }
    private static let verbs = ["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"]

    // MARK: The old form

    var coreVersions: Value {
        .members([
            "kind": .string("APIVersions"), "versions": Self.strings(["v1"]),
            "serverAddressByClientCIDRs": .array([.members(["clientCIDR": .string("0.0.0.0/0"), "serverAddress": .string(address)])]),
        ])
    }

    var groupList: Value {
        .members(["kind": .string("APIGroupList"), "apiVersion": .string("v1"), "groups": .array(catalog.groups.filter { !$0.name.isEmpty }.map { group($0.name, $0.versions) })])
    }

    func group(_ name: String) -> Value? {
        guard let found = catalog.groups.first(where: { $0.name == name }), !name.isEmpty else { return nil }
        var value = group(found.name, found.versions)
        value.put(.string("APIGroup"), at: "kind")
        value.put(.string("v1"), at: "apiVersion")
        return value
    }

    private func group(_ name: String, _ versions: [String]) -> Value {
        func version(_ version: String) -> Value { .members(["groupVersion": .string("\(name)/\(version)"), "version": .string(version)]) }
        return .members(["name": .string(name), "versions": .array(versions.map(version)), "preferredVersion": version(versions[0])])
    }

    func resources(group: String, version: String) -> Value? {
        let kinds = catalog.kinds(group: group, version: version)
        guard !kinds.isEmpty else { return nil }
        var resources: [Value] = []
        for (kind, version) in kinds {
            resources.append(
                .members([
                    "name": .string(kind.plural), "singularName": .string(kind.singular), "namespaced": .bool(kind.isNamespaced), "kind": .string(kind.kind),
                    "verbs": Self.strings(kind.isVirtual ? ["create"] : Self.verbs), "shortNames": kind.shortNames.isEmpty ? nil : Self.strings(kind.shortNames),
                    "categories": kind.categories.isEmpty ? nil : Self.strings(kind.categories),
                ]))
            for (name, verbs, target) in subresources(kind, version) {
                resources.append(
                    .members([
                        "name": .string("\(kind.plural)/\(name)"), "singularName": .string(""), "namespaced": .bool(kind.isNamespaced),
                        "group": target.group.isEmpty ? nil : .string(target.group), "version": target.version.isEmpty ? nil : .string(target.version), "kind": .string(target.kind),
                        "verbs": Self.strings(verbs),
                    ]))
            }
        }
        return .members([
            "kind": .string("APIResourceList"), "apiVersion": .string("v1"), "groupVersion": .string(group.isEmpty ? version : "\(group)/\(version)"), "resources": .array(resources),
        ])
    }

    private func subresources(_ kind: ServedKind, _ version: ServedVersion) -> [(name: String, verbs: [String], target: (group: String, version: String, kind: String))] {
        var found: [(name: String, verbs: [String], target: (group: String, version: String, kind: String))] = []
        if version.hasStatus { found.append(("status", ["get", "patch", "update"], (kind.group, version.name, kind.kind))) }
        if version.scale != nil { found.append(("scale", ["get", "patch", "update"], ("autoscaling", "v1", "Scale"))) }
        for name in version.otherSubresources {
            switch name {
            case "token": found.append((name, ["create"], ("authentication.k8s.io", "v1", "TokenRequest")))
            case "eviction": found.append((name, ["create"], ("policy", "v1", "Eviction")))
            case "binding": found.append((name, ["create"], ("", "v1", "Binding")))
            case "log": found.append((name, ["get"], ("", "v1", "Pod")))
            case "exec", "attach", "portforward": found.append((name, ["create", "get"], ("", "v1", "Pod\(name == "portforward" ? "PortForward" : name == "exec" ? "Exec" : "Attach")Options")))
            case "proxy": found.append((name, ["create", "delete", "get", "patch", "update"], ("", "v1", "PodProxyOptions")))
            case "finalize": found.append((name, ["update"], ("", "v1", "Namespace")))
            default: break
            }
        }
        return found
    }

    // MARK: Everything at once

    func aggregated(isCore: Bool) -> Value {
        let groups = catalog.groups.filter { $0.name.isEmpty == isCore }
        return .members([
            "kind": .string("APIGroupDiscoveryList"), "apiVersion": .string("apidiscovery.k8s.io/v2"), "metadata": .object(Object()),
            "items": .array(
                groups.map { group in
                    .members([
                        "metadata": .members(["name": group.name.isEmpty ? nil : .string(group.name), "creationTimestamp": .null]),
                        "versions": .array(group.versions.map { aggregated(group: group.name, version: $0) }),
                    ])
                }),
        ])
    }

    private func aggregated(group: String, version: String) -> Value {
        func target(_ group: String, _ version: String, _ kind: String) -> Value { .members(["group": .string(group), "version": .string(version), "kind": .string(kind)]) }
        let resources = catalog.kinds(group: group, version: version).map { kind, served in
            Value.members([
                "resource": .string(kind.plural), "responseKind": target(group, version, kind.kind), "scope": .string(kind.isNamespaced ? "Namespaced" : "Cluster"),
                "singularResource": .string(kind.singular), "verbs": Self.strings(kind.isVirtual ? ["create"] : Self.verbs),
                "shortNames": kind.shortNames.isEmpty ? nil : Self.strings(kind.shortNames), "categories": kind.categories.isEmpty ? nil : Self.strings(kind.categories),
                "subresources": .array(
                    subresources(kind, served).map { name, verbs, kind in
                        .members(["subresource": .string(name), "responseKind": target(kind.group, kind.version, kind.kind), "verbs": Self.strings(verbs)])
                    }),
            ])
        }
        return .members(["version": .string(version), "resources": .array(resources), "freshness": .string("Current")])
    }
}
