// What a request's path names: a resource of the API with its parts, or something else (discovery, health, proxied services).
// Source: kubernetes.io/docs/reference/using-api/api-concepts, "Resource URIs".

import Kube

enum APIPath: Equatable {
    case resource(ResourcePath)
    /// Everything that is no resource, as its segments.
    case other([String])

    /// `path` without the query, percent-encoded.
    init(_ path: Substring) {
        let segments = path.split(separator: "/", omittingEmptySubsequences: true).map { percentDecoded($0) }
        let group: String
        let version: String
        var rest: ArraySlice<String>
        switch segments.first {
        case "api" where segments.count > 2:
            (group, version, rest) = ("", segments[1], segments[2...])
        case "apis" where segments.count > 3:
            (group, version, rest) = (segments[1], segments[2], segments[3...])
        default:
            self = .other(segments)
            return
        }
        // The old form of a watch: /api/v1/watch/...
        var isWatch = false
        if rest.first == "watch", rest.count > 1 {
            isWatch = true
            rest = rest.dropFirst()
        }
        var parts = Array(rest)
        var namespace: String?
        // `namespaces/x/status` is a subresource of the namespace itself.
        if parts[0] == "namespaces", parts.count > 2, !(group.isEmpty && ["status", "finalize"].contains(parts[2])) {
            namespace = parts[1]
            parts.removeFirst(2)
        }
        guard parts.count <= 3 || parts[2] == "proxy" else {
            self = .other(segments)
            return
        }
        self = .resource(
            ResourcePath(
                group: group, version: version, namespace: namespace, plural: parts[0], name: parts.count > 1 ? parts[1] : nil,
                subresource: parts.count > 2 ? parts[2...].joined(separator: "/") : "", isWatch: isWatch))
    }
}

extension APIPath {
    var resource: ResourcePath? { if case .resource(let path) = self { path } else { nil } }

    /// The query with what an old path says of watching.
    func watches(_ query: Query) -> Query {
        guard resource?.isWatch == true else { return query }
        var query = query
        query.items.append(("watch", "true"))
        return query
    }
}

struct ResourcePath: Equatable {
    var group: String
    var version: String
    /// nil: none named.
    var namespace: String?
    var plural: String
    var name: String?
    var subresource = ""
    var isWatch = false
}
