// Which kinds the server serves now: the built-in ones from birth, the custom ones as their definitions come and go. Look-up
// by path, by kind and by collection; the order of discovery is the order of registration.

import Documents
import Kube
import OrderedCollections

final class Catalog {
    /// In the order registered.
    private(set) var kinds: [ServedKind] = []
    // Look-up only, all of them.
    private var byPlural: [String: ServedKind] = [:]
    private var byKind: [String: ServedKind] = [:]
    private var byCollection: [Int: ServedKind] = [:]
    /// Counts changes, so that what is derived (discovery, OpenAPI) knows when it is stale.
    private(set) var revision = 0

    /// Adds the kind, or replaces the one of the same group and plural in its place.
    func register(_ kind: ServedKind) {
        if let i = kinds.firstIndex(where: { $0.name == kind.name }) {
            byKind[kinds[i].qualifiedKind] = nil
            kinds[i] = kind
        } else {
            kinds.append(kind)
        }
        byPlural[kind.name] = kind
        byKind[kind.qualifiedKind] = kind
        if kind.collection >= 0 { byCollection[kind.collection] = kind }
        revision += 1
    }

    func remove(named name: String) {
        guard let kind = byPlural[name] else { return }
        kinds.removeAll { $0 === kind }
        byPlural[name] = nil
        byKind[kind.qualifiedKind] = nil
        byCollection[kind.collection] = nil
        revision += 1
    }

    func kind(group: String, plural: String) -> ServedKind? { byPlural[group.isEmpty ? plural : "\(plural).\(group)"] }
    func kind(named name: String) -> ServedKind? { byPlural[name] }
    func kind(collection: Int) -> ServedKind? { byCollection[collection] }

    /// By the type members of a document.
    func kind(apiVersion: String, kind: String) -> (ServedKind, ServedVersion)? {
        let parts = apiVersion.split(separator: "/", omittingEmptySubsequences: false).map(String.init)
        let group = parts.count == 2 ? parts[0] : ""
        guard let served = byKind[group.isEmpty ? kind : "\(kind).\(group)"], let version = served.version(parts[parts.count - 1]) else { return nil }
        return (served, version)
    }

    /// Groups in the order of their first kind, each with its versions, the preferred first. The core group is the empty one.
    var groups: [(name: String, versions: [String])] {
        var groups: [(name: String, versions: [String])] = []
        for kind in kinds {
            let names = kind.versions.map(\.name)
            if let i = groups.firstIndex(where: { $0.name == kind.group }) {
                for name in names where !groups[i].versions.contains(name) { groups[i].versions.append(name) }
            } else {
                groups.append((kind.group, names))
            }
        }
        for i in groups.indices { groups[i].versions.sort { versionPrecedes($0, $1) } }
        return groups
    }

    func kinds(group: String, version: String) -> [(ServedKind, ServedVersion)] {
        kinds.compactMap { kind in kind.group == group ? kind.version(version).map { (kind, $0) } : nil }
    }
}

/// `v2` before `v1` before `v1beta2` before `v1beta1` before `v1alpha1` before everything else by name.
/// Source: k8s.io/apimachinery pkg/version/helpers.go CompareKubeAwareVersionStrings.
func versionPrecedes(_ a: String, _ b: String) -> Bool {
    func rank(_ text: String) -> (Int, Int, Int)? {
        guard text.first == "v" else { return nil }
        let rest = text.dropFirst()
        let major = rest.prefix { $0.isNumber }
        guard let number = Int(major) else { return nil }
        let tail = rest.dropFirst(major.count)
        if tail.isEmpty { return (2, number, 0) }
        for (level, word) in [(1, "beta"), (0, "alpha")] where tail.hasPrefix(word) {
            if let minor = Int(tail.dropFirst(word.count)) { return (level, number, minor) }
        }
        return nil
    }
    switch (rank(a), rank(b)) {
    case (let x?, let y?): return x > y
    case (.some, nil): return true
    case (nil, .some): return false
    case (nil, nil): return a < b
    }
}
