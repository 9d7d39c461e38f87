// Rate limits of Servers: HTTPLocalRateLimitPolicy read, found, and said in the proxy's words. The oldest of several for one Server
// counts. Status conditions are not written. Source: linkerd2 policy-controller k8s/index/src/ratelimit.rs and grpc/src/inbound.rs,
// shared facts on the control plane (httplocalratelimitpolicies) and on the data plane 3.6.

import Base
import Documents
import Kube
import MeshAPI
import SwiftProtobuf

extension Cluster {
    public struct RateLimitPolicy: Equatable, Sendable {
        public struct Override: Equatable, Sendable {
            public var requestsPerSecond: UInt32
            /// Service accounts.
            public var clients: [Name]

            public init(requestsPerSecond: UInt32, clients: [Name]) {
                self.requestsPerSecond = requestsPerSecond
                self.clients = clients
            }
        }

        public var name: Name
        public var createdAt: WallTime
        /// Of the policy's namespace.
        public var server: String
        public var total: UInt32?
        public var identity: UInt32?
        public var overrides: [Override]

        public init(name: Name, createdAt: WallTime, server: String, total: UInt32? = nil, identity: UInt32? = nil, overrides: [Override] = []) {
            self.name = name
            self.createdAt = createdAt
            self.server = server
            self.total = total
            self.identity = identity
            self.overrides = overrides
        }
    }
}

extension Cluster.RateLimitPolicy {
    /// nil: it targets no Server, or a limit of it is none.
    init?(_ object: KubeObject) {
        guard let target = object.spec.member("targetRef"), target.text("kind") == "Server", let server = target.text("name") else { return nil }
        let limits = ["total", "identity"].map { object.spec.member($0) }
        var rates: [UInt32?] = []
        for limit in limits {
            guard let limit else {
                rates.append(nil)
                continue
            }
            guard let rate = Self.rate(limit) else { return nil }
            rates.append(rate)
        }
        var overrides: [Override] = []
        for item in object.spec.items("overrides") {
            guard let rate = Self.rate(item) else { return nil }
            var clients: [Cluster.Name] = []
            for reference in item.items("clientRefs") {
                guard reference.text("kind") == "ServiceAccount", let name = reference.text("name") else { return nil }
                clients.append(Cluster.Name(reference.text("namespace") ?? object.namespace, name))
            }
            overrides.append(Override(requestsPerSecond: rate, clients: clients))
        }
        self.init(
            name: Cluster.Name(object), createdAt: object.createdAt ?? WallTime(seconds: 0), server: server, total: rates[0], identity: rates[1], overrides: overrides)
    }

    private static func rate(_ value: Value) -> UInt32? {
        guard case .int(let number)? = value.member("requestsPerSecond"), number > 0 else { return nil }
        return UInt32(exactly: number)
    }

    func message(_ translator: AuthorizationTranslator) -> Mesh.Inbound.HttpLocalRateLimit {
        func limit(_ rate: UInt32) -> Mesh.Inbound.HttpLocalRateLimit.Limit { .with { $0.requestsPerSecond = rate } }
        var message = Mesh.Inbound.HttpLocalRateLimit()
        message.metadata = Mesh.Meta.Metadata(group: "policy.linkerd.io", kind: "HTTPLocalRateLimitPolicy", namespace: name.namespace, name: name.name, port: 0)
        if let total { message.total = limit(total) }
        if let identity { message.identity = limit(identity) }
        message.overrides = overrides.map { override in
            Mesh.Inbound.HttpLocalRateLimit.Override.with {
                $0.limit = limit(override.requestsPerSecond)
                $0.clients.identities = override.clients.map { client in Mesh.Inbound.Identity.with { $0.name = translator.identity(client.name, client.namespace) } }
            }
        }
        return message
    }
}
