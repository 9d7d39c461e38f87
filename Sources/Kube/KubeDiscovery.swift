// What the API server serves: the versions of a group, the kinds of a version, and from them the version that both sides know.
// Answers are kept for a while, since every informer asks. Source: Kubernetes API concepts, "API discovery".

import Base
import Documents
import HTTP
import Platform

/// One kind as the API server describes it.
public struct KubeAPIResource: Hashable, Sendable {
    public var resource: KubeResource
    public var verbs: [String]
    public var shortNames: [String]
    /// `status`, `scale`, …: what stands behind the slash.
    public var subresources: [String]
}

final class DiscoveryCache {
    struct Entry<T> {
        var value: T
        var until: Instant
    }
    /// Versions by group, preferred first; empty: no such group. Look-up only.
    var versions: [String: Entry<[String]>] = [:]
    /// By `group/version`. Look-up only.
    var resources: [String: Entry<[KubeAPIResource]>] = [:]
}

extension KubeClient {
    private var cache: DiscoveryCache {
        if let discovery { return discovery }
        let made = DiscoveryCache()
        discovery = made
        return made
    }

    /// Forgets what was found out: a kind may have come or gone.
    public func forgetDiscovery() { discovery = nil }

    /// The versions of a group (empty: the core group), the preferred one first; none when there is no such group.
    public func versions(of group: String, _ answer: @escaping (Result<[String], KubeError>) -> Void) {
        let cache = cache
        if let entry = cache.versions[group], entry.until > host.now {
            host.after(.zero) { answer(.success(entry.value)) }
            return
        }
        _ = object(KubeRequest(.get, group.isEmpty ? "/api" : "/apis/" + percentEncoded(group))) { [self] result in
            let found: Result<[String], KubeError> = result.flatMap { object in
                if group.isEmpty { return .success(object.value.items("versions").compactMap { $0.text() }) }
                guard object.kind == "APIGroup" else { return .failure(.malformed("the answer is no APIGroup")) }
                let all = object.value.items("versions").compactMap { $0.text("version") }
                guard let preferred = object.value.text("preferredVersion", "version"), all.contains(preferred) else { return .success(all) }
                return .success([preferred] + all.filter { $0 != preferred })
            }
            switch found {
            case .failure(let error) where error.isNotFound:
                cache.versions[group] = DiscoveryCache.Entry(value: [], until: host.now + limits.discoveryPeriod)
                answer(.success([]))
            case .success(let versions):
                cache.versions[group] = DiscoveryCache.Entry(value: versions, until: host.now + limits.discoveryPeriod)
                answer(found)
            case .failure: answer(found)
            }
        }
    }

    /// The kinds of a version of a group; none when there is no such version.
    public func resources(of group: String, _ version: String, _ answer: @escaping (Result<[KubeAPIResource], KubeError>) -> Void) {
        let cache = cache
        let key = "\(group)/\(version)"
        if let entry = cache.resources[key], entry.until > host.now {
            host.after(.zero) { answer(.success(entry.value)) }
            return
        }
        let path = group.isEmpty ? "/api/" + percentEncoded(version) : "/apis/\(percentEncoded(group))/\(percentEncoded(version))"
        _ = object(KubeRequest(.get, path)) { [self] result in
            let found: Result<[KubeAPIResource], KubeError> = result.flatMap { object in
                guard object.kind == "APIResourceList" else { return .failure(.malformed("the answer is no APIResourceList")) }
                return .success(Self.read(object.value, group, version))
            }
            switch found {
            case .failure(let error) where error.isNotFound:
                cache.resources[key] = DiscoveryCache.Entry(value: [], until: host.now + limits.discoveryPeriod)
                answer(.success([]))
            case .success(let resources):
                cache.resources[key] = DiscoveryCache.Entry(value: resources, until: host.now + limits.discoveryPeriod)
                answer(found)
            case .failure: answer(found)
            }
        }
    }

    private static func read(_ document: Value, _ group: String, _ version: String) -> [KubeAPIResource] {
        var resources: [KubeAPIResource] = []
        for item in document.items("resources") {
            guard let name = item.text("name") else { continue }
            let parts = name.split(separator: "/", maxSplits: 1).map(String.init)
            if parts.count == 2 {
                if let i = resources.firstIndex(where: { $0.resource.plural == parts[0] }) { resources[i].subresources.append(parts[1]) }
                continue
            }
            let resource = KubeResource(group: group, version: version, plural: name, kind: item.text("kind") ?? "", isNamespaced: item.flag("namespaced") ?? true)
            resources.append(
                KubeAPIResource(
                    resource: resource, verbs: item.items("verbs").compactMap { $0.text() }, shortNames: item.items("shortNames").compactMap { $0.text() }, subresources: []))
        }
        return resources
    }

    /// The first of some forms of one kind, most wanted first, that the API server serves; nil when it serves none.
    public func negotiate(_ candidates: [KubeResource], _ answer: @escaping (Result<KubeResource?, KubeError>) -> Void) { negotiate(candidates[...], answer) }

    private func negotiate(_ candidates: ArraySlice<KubeResource>, _ answer: @escaping (Result<KubeResource?, KubeError>) -> Void) {
        guard let candidate = candidates.first else { return answer(.success(nil)) }
        let next = { [self] in negotiate(candidates.dropFirst(), answer) }
        versions(of: candidate.group) { [self] result in
            switch result {
            case .failure(let error): answer(.failure(error))
            case .success(let versions):
                guard versions.contains(candidate.version) else { return next() }
                resources(of: candidate.group, candidate.version) { result in
                    switch result {
                    case .failure(let error): answer(.failure(error))
                    case .success(let resources):
                        if resources.contains(where: { $0.resource.plural == candidate.plural }) { answer(.success(candidate)) } else { next() }
                    }
                }
            }
        }
    }
}

extension KubeResource {
    /// This kind and its other versions whose documents read the same as far as we read them, the most wanted first.
    public var forms: [KubeResource] {
        let versions = Self.versions["\(plural).\(group)"] ?? [version]
        return versions.map { KubeResource(group: group, version: $0, plural: plural, kind: kind, isNamespaced: isNamespaced) }
    }

    /// Source: the served versions of Linkerd's CRDs since 2.11, of the Gateway API's since 0.7, of Kubernetes' since 1.21. Look-up only.
    private static let versions: [String: [String]] = [
        "servers.policy.linkerd.io": ["v1beta3", "v1beta2", "v1beta1"],
        "serverauthorizations.policy.linkerd.io": ["v1beta1", "v1alpha1"],
        "httproutes.policy.linkerd.io": ["v1beta3", "v1beta2", "v1beta1", "v1alpha1"],
        "externalworkloads.workload.linkerd.io": ["v1beta1", "v1alpha1"],
        "httproutes.gateway.networking.k8s.io": ["v1", "v1beta1"],
        "grpcroutes.gateway.networking.k8s.io": ["v1", "v1alpha2"],
        "tlsroutes.gateway.networking.k8s.io": ["v1", "v1alpha3", "v1alpha2"],
        "links.multicluster.linkerd.io": ["v1alpha3", "v1alpha2", "v1alpha1"],
        "trafficsplits.split.smi-spec.io": ["v1alpha2", "v1alpha1"],
        "endpointslices.discovery.k8s.io": ["v1", "v1beta1"],
    ]
}
