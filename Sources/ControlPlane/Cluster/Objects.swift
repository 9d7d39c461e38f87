// What the control plane knows of Kubernetes objects: the fields it reads, as values. Objects become these in one place, so
// that the services can be judged without an API server.

import Base
import Kube
import MeshAPI
import OrderedCollections

public enum Cluster {
    public struct Name: Hashable, Comparable, Sendable, CustomStringConvertible {
        public var namespace: String
        public var name: String

        public init(_ namespace: String, _ name: String) {
            self.namespace = namespace
            self.name = name
        }

        public var description: String { "\(namespace)/\(name)" }
        public static func < (a: Name, b: Name) -> Bool { (a.namespace, a.name) < (b.namespace, b.name) }
    }

    public struct Service: Equatable, Sendable {
        public struct Port: Equatable, Sendable {
            public var name: String
            public var port: UInt16
            public var appProtocol: String?

            public init(name: String = "", port: UInt16, appProtocol: String? = nil) {
                self.name = name
                self.port = port
                self.appProtocol = appProtocol
            }
        }

        public var name: Name
        public var labels: KubeLabels = [:]
        public var annotations: KubeLabels = [:]
        public var isExternalName = false
        /// Empty for a headless service.
        public var clusterIPs: [IPAddress] = []
        public var ports: [Port] = []
        /// internalTrafficPolicy: Local.
        public var isTrafficLocal = false

        public init(name: Name) { self.name = name }

        public func port(_ number: UInt16) -> Port? { ports.first { $0.port == number } }
    }

    public struct Pod: Equatable, Sendable {
        public struct Container: Equatable, Sendable {
            public struct Port: Equatable, Sendable {
                public var name: String
                public var port: UInt16
                public var hostPort: UInt16?

                public init(name: String = "", port: UInt16, hostPort: UInt16? = nil) {
                    self.name = name
                    self.port = port
                    self.hostPort = hostPort
                }
            }

            /// An HTTP probe of the kubelet.
            public struct Probe: Equatable, Sendable {
                /// Without query.
                public var path: String
                public var port: UInt16

                public init(path: String, port: UInt16) {
                    self.path = path
                    self.port = port
                }
            }

            public var name: String
            public var ports: [Port] = []
            public var probes: [Probe] = []
            /// The values of `LINKERD2_PROXY_{INBOUND,ADMIN,CONTROL}_LISTEN_ADDR` that this container sets.
            public var inboundListenAddress: String?
            public var adminListenAddress: String?
            public var controlListenAddress: String?

            public init(name: String) { self.name = name }
        }

        public struct Owner: Equatable, Sendable {
            /// Lower case.
            public var kind: String
            public var name: String

            public init(kind: String, name: String) {
                self.kind = kind
                self.name = name
            }
        }

        public var name: Name
        public var labels: KubeLabels = [:]
        public var annotations: KubeLabels = [:]
        public var ips: [IPAddress] = []
        public var hostIPs: [IPAddress] = []
        public var isHostNetwork = false
        /// `Pending`, `Running`, `Succeeded`, `Failed`, `Unknown`.
        public var phase = "Running"
        public var isTerminating = false
        public var nodeName = ""
        /// As written; empty means `default`.
        public var serviceAccount = ""
        /// Empty unless there is exactly one.
        public var owner: Owner?
        /// Init containers first.
        public var containers: [Container] = []

        public init(name: Name) { self.name = name }

        /// The namespace of the control plane that injected a proxy; nil: no proxy.
        public var controlPlaneNamespace: String? { labels["linkerd.io/control-plane-ns"] }
        /// Has an address of its own to be found by.
        public var isReachable: Bool { !isHostNetwork && !isTerminating && phase != "Succeeded" && phase != "Failed" }

        /// The number of a container port by name.
        public func port(named name: String) -> UInt16? {
            for container in containers { for port in container.ports where port.name == name { return port.port } }
            return nil
        }
    }

    public struct EndpointSlice: Equatable, Sendable {
        public struct Endpoint: Equatable, Sendable {
            public var addresses: [IPAddress]
            /// nil counts as ready.
            public var isReady: Bool?
            public var pod: Name?
            public var hostname: String?
            public var nodeName: String?
            public var zone: String?
            /// nil: no hints.
            public var hintZones: [String]?

            public init(addresses: [IPAddress], pod: Name? = nil) {
                self.addresses = addresses
                self.pod = pod
            }
        }

        public var name: Name
        /// Of the label `kubernetes.io/service-name`.
        public var serviceName: String
        public var labels: KubeLabels = [:]
        public var annotations: KubeLabels = [:]
        /// Target ports by the name of the service's port.
        public var ports: [(name: String, port: UInt16)] = []
        public var endpoints: [Endpoint] = []

        public init(name: Name, serviceName: String) {
            self.name = name
            self.serviceName = serviceName
        }

        public static func == (a: EndpointSlice, b: EndpointSlice) -> Bool {
            a.name == b.name && a.serviceName == b.serviceName && a.labels == b.labels && a.annotations == b.annotations && a.endpoints == b.endpoints
                && a.ports.elementsEqual(b.ports, by: ==)
        }
    }

    public struct Node: Equatable, Sendable {
        public var name: String
        /// Label `topology.kubernetes.io/zone`.
        public var zone: String

        public init(name: String, zone: String) {
            self.name = name
            self.zone = zone
        }
    }

    public struct Namespace: Equatable, Sendable {
        public var name: String
        public var annotations: KubeLabels = [:]

        public init(name: String) { self.name = name }
    }

    /// What owns a ReplicaSet or Job: a pod's grandparent.
    public struct Ownership: Equatable, Sendable {
        /// `replicaset` or `job`.
        public var kind: String
        public var name: Name
        public var owner: Pod.Owner

        public init(kind: String, name: Name, owner: Pod.Owner) {
            self.kind = kind
            self.name = name
            self.owner = owner
        }
    }

    /// linkerd.io ServiceProfile; its routes are those of the API already.
    public struct ServiceProfile: Equatable, Sendable {
        public var name: Name
        public var routes: [Mesh.Destination.Route] = []
        /// nil: the default.
        public var retryBudget: Mesh.Destination.RetryBudget?
        /// Authorities may lack a port.
        public var overrides: [Mesh.Destination.WeightedDst] = []

        public init(name: Name) { self.name = name }
    }

    /// split.smi-spec.io TrafficSplit: a service's traffic divided among services of its namespace.
    public struct TrafficSplit: Equatable, Sendable {
        public struct Backend: Equatable, Sendable {
            public var service: String
            public var weight: UInt32

            public init(service: String, weight: UInt32) {
                self.service = service
                self.weight = weight
            }
        }

        public var name: Name
        public var createdAt: WallTime
        public var service: String
        public var backends: [Backend] = []

        public init(name: Name, createdAt: WallTime, service: String) {
            self.name = name
            self.createdAt = createdAt
            self.service = service
        }
    }

    /// policy.linkerd.io Server that selects pods.
    public struct Server: Equatable, Sendable {
        public enum Port: Equatable, Sendable {
            case number(UInt16)
            case name(String)
        }

        public var name: Name
        public var createdAt: WallTime
        public var labels: KubeLabels = [:]
        public var podSelector: LabelSelector
        public var port: Port
        /// `unknown`, `HTTP/1`, `HTTP/2`, `gRPC`, `opaque`, `TLS`.
        public var proxyProtocol = "unknown"
        public var accessPolicy = "deny"

        public init(name: Name, createdAt: WallTime, podSelector: LabelSelector, port: Port) {
            self.name = name
            self.createdAt = createdAt
            self.podSelector = podSelector
            self.port = port
        }

        /// Whether this server describes the pod's port.
        public func selects(_ pod: Pod, port number: UInt16) -> Bool {
            guard pod.name.namespace == name.namespace, podSelector.matches(pod.labels) else { return false }
            switch port {
            case .number(let wanted):
                if wanted == number { return true }
                return pod.containers.contains { $0.ports.contains { $0.port == number && $0.hostPort == wanted } }
            case .name(let wanted): return pod.containers.contains { $0.ports.contains { $0.name == wanted && $0.port == number } }
            }
        }
    }
}
