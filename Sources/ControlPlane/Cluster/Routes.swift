// Routes of both groups, as the policy services read them: matches and filters are the API's messages already, since nothing but the
// API reads them. A route that asks for what the mesh cannot do says so in `fault` and is not carried out at all, because half a
// route would send requests where nobody meant them to go. Source: linkerd2 policy-controller k8s/index/src/routes.

import Base
import Documents
import Kube
import MeshAPI
import OrderedCollections

extension Cluster {
    public struct Route: Equatable, Sendable {
        public enum Kind: String, Sendable, CaseIterable {
            /// policy.linkerd.io HTTPRoute.
            case policyHTTP
            /// gateway.networking.k8s.io.
            case http, grpc, tls, tcp

            public var resource: KubeResource {
                switch self {
                case .policyHTTP: .policyHTTPRoutes
                case .http: .httpRoutes
                case .grpc: .grpcRoutes
                case .tls: KubeResource(group: "gateway.networking.k8s.io", version: "v1alpha2", plural: "tlsroutes", kind: "TLSRoute")
                case .tcp: KubeResource(group: "gateway.networking.k8s.io", version: "v1alpha2", plural: "tcproutes", kind: "TCPRoute")
                }
            }

            var isHTTP: Bool { self == .policyHTTP || self == .http }
            /// Of several kinds of routes with one parent the one of the highest precedence is carried out. Source: GEP-1426.
            var precedence: Int {
                switch self {
                case .grpc: 3
                case .policyHTTP, .http: 2
                case .tls: 1
                case .tcp: 0
                }
            }
        }

        public struct ID: Hashable, Comparable, Sendable, CustomStringConvertible {
            public var kind: Kind
            public var name: Name

            public init(_ kind: Kind, _ name: Name) {
                self.kind = kind
                self.name = name
            }

            public var description: String { "\(kind.resource) \(name)" }
            public static func < (a: ID, b: ID) -> Bool { (a.name, a.kind.rawValue) < (b.name, b.kind.rawValue) }
        }

        /// What a route belongs to.
        public struct Parent: Equatable, Sendable {
            public enum Kind: Hashable, Sendable { case server, service, egressNetwork }

            public var kind: Kind
            public var name: Name
            /// nil: every port.
            public var port: UInt16?
            /// The reference as it is written, which statuses repeat.
            public var written: Value

            public init(_ kind: Kind, _ name: Name, port: UInt16? = nil, written: Value = .null) {
                self.kind = kind
                self.name = name
                self.port = port
                self.written = written
            }
        }

        public struct Rule: Equatable, Sendable {
            public var http: [Mesh.HTTPRoute.HttpRouteMatch] = []
            public var grpc: [Mesh.GRPCRoute.GrpcRouteMatch] = []
            public var filters: [Filter] = []
            public var backends: [Backend] = []
            /// Of the whole exchange, and of one try. nil: none.
            public var requestTimeout: Interval?
            public var backendTimeout: Interval?

            public init() {}
        }

        public enum Filter: Equatable, Sendable {
            case requestHeaders(Mesh.HTTPRoute.RequestHeaderModifier)
            case responseHeaders(Mesh.HTTPRoute.ResponseHeaderModifier)
            case redirect(Mesh.HTTPRoute.RequestRedirect)
        }

        public struct Backend: Equatable, Sendable {
            public enum Target: Equatable, Sendable {
                case service(Name, port: UInt16)
                case egressNetwork(Name, port: UInt16?)
                /// The reason, told to whoever is sent there.
                case invalid(String)
            }

            public var target: Target
            public var weight: UInt32
            public var filters: [Filter]
            /// The kind is one that no backend has.
            public var isForeign = false

            public init(_ target: Target, weight: UInt32 = 1, filters: [Filter] = []) {
                self.target = target
                self.weight = weight
                self.filters = filters
            }
        }

        public var id: ID
        public var createdAt: WallTime
        public var generation: Int64 = 0
        public var annotations: KubeLabels = [:]
        public var hostnames: [String] = []
        public var parents: [Parent] = []
        public var rules: [Rule] = []
        /// Why it cannot be carried out; nil: it can.
        public var fault: String?

        public init(_ id: ID, createdAt: WallTime) {
            self.id = id
            self.createdAt = createdAt
        }

        /// Names that this route's policies and statuses use.
        var metadata: Mesh.Meta.Metadata { Mesh.Meta.Metadata(group: id.kind.resource.group, kind: id.kind.resource.kind, namespace: id.name.namespace, name: id.name.name) }
    }

    /// policy.linkerd.io EgressNetwork: traffic that leaves the cluster.
    public struct EgressNetwork: Equatable, Sendable {
        public var name: Name
        public var createdAt: WallTime
        public var generation: Int64 = 0
        public var annotations: KubeLabels = [:]
        /// nil: all that is not the cluster's.
        public var networks: [NetworkMatch]?
        /// What no route says is let through.
        public var allows: Bool

        public init(name: Name, createdAt: WallTime, networks: [NetworkMatch]? = nil, allows: Bool) {
            self.name = name
            self.createdAt = createdAt
            self.networks = networks
            self.allows = allows
        }
    }
}
