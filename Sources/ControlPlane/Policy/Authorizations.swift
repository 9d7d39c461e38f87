// Who may connect to the ports of a Server, or send what a route matches: ServerAuthorization and AuthorizationPolicy with the
// authentications they name.
// Source: linkerd2 policy-controller k8s/index/src/inbound, shared facts on the control plane 3.2.

import Base
import Documents
import Kube
import MeshAPI
import OrderedCollections
import SwiftProtobuf

extension Cluster {
    /// A block of addresses without some blocks inside it.
    public struct NetworkMatch: Equatable, Sendable {
        public var network: IPNetwork
        public var except: [IPNetwork]

        public init(_ network: IPNetwork, except: [IPNetwork] = []) {
            self.network = network
            self.except = except
        }

        public static let everywhere = [NetworkMatch(IPNetwork("0.0.0.0/0")!), NetworkMatch(IPNetwork("::/0")!)]
    }

    /// What a client must show.
    public enum ClientMatch: Equatable, Sendable {
        case anybody
        /// TLS within the mesh, without a certificate of its own.
        case anyTLS
        /// One of these: a name, `*`, or `*.` and a suffix.
        case identities([String])
    }

    public struct ServerAuthorization: Equatable, Sendable {
        public enum Target: Equatable, Sendable {
            case server(String)
            case servers(LabelSelector)
        }

        public var name: Name
        public var target: Target
        public var networks: [NetworkMatch]
        public var clients: ClientMatch

        public init(name: Name, target: Target, networks: [NetworkMatch] = NetworkMatch.everywhere, clients: ClientMatch) {
            self.name = name
            self.target = target
            self.networks = networks
            self.clients = clients
        }
    }

    public struct AuthorizationPolicy: Equatable, Sendable {
        public enum Target: Equatable, Sendable {
            case server(String)
            /// Every Server of the namespace, never the default policy.
            case namespace
            /// Of the policy's namespace.
            case route(Route.Kind, String)
        }

        public enum Requirement: Equatable, Sendable {
            case meshTLS(Name)
            case network(Name)
            case serviceAccount(Name)
        }

        public var name: Name
        public var target: Target
        /// All must hold; none lets everybody in.
        public var requirements: [Requirement]

        public init(name: Name, target: Target, requirements: [Requirement]) {
            self.name = name
            self.target = target
            self.requirements = requirements
        }
    }

    public struct MeshTLSAuthentication: Equatable, Sendable {
        public enum Reference: Equatable, Sendable {
            case serviceAccount(Name)
            case namespace(String)
        }

        public var name: Name
        public var identities: [String]
        public var references: [Reference]

        public init(name: Name, identities: [String] = [], references: [Reference] = []) {
            self.name = name
            self.identities = identities
            self.references = references
        }
    }

    public struct NetworkAuthentication: Equatable, Sendable {
        public var name: Name
        public var networks: [NetworkMatch]

        public init(name: Name, networks: [NetworkMatch]) {
            self.name = name
            self.networks = networks
        }
    }
}

/// The policy resources of the cluster. In the order of their names.
struct AuthorizationTable {
    private(set) var serverAuthorizations: [Cluster.ServerAuthorization] = []
    private(set) var policies: [Cluster.AuthorizationPolicy] = []
    private(set) var meshTLS: [Cluster.Name: Cluster.MeshTLSAuthentication] = [:]
    private(set) var networks: [Cluster.Name: Cluster.NetworkAuthentication] = [:]

    /// The namespaces whose answers can depend on authentications, in order.
    var namespaces: [String] {
        var seen: [String] = []
        for policy in policies where seen.last != policy.name.namespace { seen.append(policy.name.namespace) }
        return seen
    }

    /// False: nothing changed. nil removes.
    mutating func set(_ name: Cluster.Name, _ value: Cluster.ServerAuthorization?) -> Bool { Self.set(&serverAuthorizations, \.name, name, value) }
    mutating func set(_ name: Cluster.Name, _ value: Cluster.AuthorizationPolicy?) -> Bool { Self.set(&policies, \.name, name, value) }

    mutating func set(_ name: Cluster.Name, _ value: Cluster.MeshTLSAuthentication?) -> Bool {
        if meshTLS[name] == value { return false }
        meshTLS[name] = value
        return true
    }

    mutating func set(_ name: Cluster.Name, _ value: Cluster.NetworkAuthentication?) -> Bool {
        if networks[name] == value { return false }
        networks[name] = value
        return true
    }

    private static func set<T: Equatable>(_ list: inout [T], _ key: (T) -> Cluster.Name, _ name: Cluster.Name, _ value: T?) -> Bool {
        let i = list.firstIndex { key($0) >= name } ?? list.count
        let isThere = i < list.count && key(list[i]) == name
        if isThere, list[i] == value { return false }
        switch (isThere, value) {
        case (true, let value?): list[i] = value
        case (true, nil): list.remove(at: i)
        case (false, let value?): list.insert(value, at: i)
        case (false, nil): return false
        }
        return true
    }
}

/// The authorizations of a Server as messages.
struct AuthorizationTranslator {
    let table: AuthorizationTable
    let options: PolicyOptions

    func authorizations(of server: Cluster.Server) -> [Mesh.Inbound.Authz] {
        var found: [Mesh.Inbound.Authz] = []
        for authorization in table.serverAuthorizations where authorization.name.namespace == server.name.namespace {
            switch authorization.target {
            case .server(let name): if name != server.name.name { continue }
            case .servers(let selector): if !selector.matches(server.labels) { continue }
            }
            found.append(message("serverauthorization", authorization.name.name, authorization.networks, authorization.clients))
        }
        for policy in table.policies where policy.name.namespace == server.name.namespace {
            switch policy.target {
            case .server(let name): if name != server.name.name { continue }
            case .namespace: break
            case .route: continue
            }
            if let (networks, clients) = resolve(policy) { found.append(message("authorizationpolicy", policy.name.name, networks, clients)) }
        }
        return found
    }

    /// Those for the route alone.
    func authorizations(of route: Cluster.Route) -> [Mesh.Inbound.Authz] {
        var found: [Mesh.Inbound.Authz] = []
        for policy in table.policies where policy.name.namespace == route.id.name.namespace && policy.target == .route(route.id.kind, route.id.name.name) {
            if let (networks, clients) = resolve(policy) { found.append(message("authorizationpolicy", policy.name.name, networks, clients)) }
        }
        return found
    }

    /// nil: something that the policy requires does not exist, or is required twice; then it grants nothing.
    private func resolve(_ policy: Cluster.AuthorizationPolicy) -> (networks: [Cluster.NetworkMatch], clients: Cluster.ClientMatch)? {
        var networks: [Cluster.NetworkMatch]?
        var identities: [String]?
        for requirement in policy.requirements {
            switch requirement {
            case .network(let name):
                guard networks == nil, let found = table.networks[name] else { return nil }
                networks = found.networks
            case .meshTLS(let name):
                guard identities == nil, let found = table.meshTLS[name] else { return nil }
                identities = found.identities + found.references.map { reference in
                    switch reference {
                    case .serviceAccount(let account): identity(account.name, account.namespace)
                    case .namespace(let namespace): identity("*", namespace)
                    }
                }
            case .serviceAccount(let account):
                guard identities == nil else { return nil }
                identities = [identity(account.name, account.namespace)]
            }
        }
        return (networks ?? Cluster.NetworkMatch.everywhere, identities.map { .identities($0) } ?? .anybody)
    }

    func identity(_ account: String, _ namespace: String) -> String {
        "\(account).\(namespace).serviceaccount.identity.\(options.controlPlaneNamespace).\(options.identityDomain)"
    }

    private func message(_ kind: String, _ name: String, _ networks: [Cluster.NetworkMatch], _ clients: Cluster.ClientMatch) -> Mesh.Inbound.Authz {
        var authz = Mesh.Inbound.Authz()
        authz.labels = ["group": "policy.linkerd.io", "kind": kind, "name": name]
        authz.metadata = Mesh.Meta.Metadata(group: "policy.linkerd.io", kind: kind, namespace: "", name: name)
        authz.networks = networks.map { match in
            Mesh.Inbound.Network.with {
                $0.net = Mesh.Net.IPNetwork(match.network)
                $0.except = match.except.map { Mesh.Net.IPNetwork($0) }
            }
        }
        switch clients {
        case .anybody: authz.authentication.unauthenticated = .init()
        case .anyTLS: authz.authentication.meshTls.unauthenticated = .init()
        case .identities(let names):
            var permitted = Mesh.Inbound.Authn.PermitMeshTLS.PermitClientIdentities()
            for name in names {
                if name == "*" {
                    permitted.suffixes.append(.init())
                } else if name.hasPrefix("*.") {
                    permitted.suffixes.append(.with { $0.parts = name.dropFirst(2).split(separator: ".").map(String.init) })
                } else {
                    permitted.identities.append(.with { $0.name = name })
                }
            }
            authz.authentication.meshTls.identities = permitted
        }
        return authz
    }
}

// MARK: Reading

extension Cluster.NetworkMatch {
    /// `{cidr, except}`; nil: not networks.
    init?(_ value: Value) {
        guard let network = value.text("cidr").flatMap({ IPNetwork($0) }) else { return nil }
        let except = value.items("except").map { $0.text().flatMap { IPNetwork($0) } }
        if except.contains(nil) { return nil }
        self.init(network, except: except.compactMap { $0 })
    }

    /// nil: one of them cannot be read, so none may be believed.
    static func list(_ values: [Value]) -> [Self]? {
        let networks = values.map { Self($0) }
        return networks.contains(nil) ? nil : networks.compactMap { $0 }
    }
}

extension Cluster.ServerAuthorization {
    init?(_ object: KubeObject, options: PolicyOptions) {
        let target: Target
        if let name = object.spec.text("server", "name") {
            target = .server(name)
        } else if let selector = object.spec.member("server", "selector").flatMap({ LabelSelector(reading: $0) }) {
            target = .servers(selector)
        } else {
            return nil
        }
        guard let client = object.spec.member("client") else { return nil }
        guard let networks = client.member("networks") == nil ? Cluster.NetworkMatch.everywhere : Cluster.NetworkMatch.list(client.items("networks")) else { return nil }
        let clients: Cluster.ClientMatch
        if client.flag("unauthenticated") == true {
            clients = .anybody
        } else if client.flag("meshTLS", "unauthenticatedTLS") == true {
            clients = .anyTLS
        } else {
            let translator = AuthorizationTranslator(table: AuthorizationTable(), options: options)
            let accounts = client.items("meshTLS", "serviceAccounts").compactMap { account in
                account.text("name").map { translator.identity($0, account.text("namespace") ?? object.namespace) }
            }
            let names = client.items("meshTLS", "identities").compactMap { $0.text() } + accounts
            guard !names.isEmpty else { return nil }
            clients = .identities(names)
        }
        self.init(name: Cluster.Name(object), target: target, networks: networks, clients: clients)
    }
}

extension Cluster.AuthorizationPolicy {
    /// nil: the target is something that nobody is let into, or a requirement is of a kind nobody knows.
    init?(_ object: KubeObject) {
        let target: Target
        let reference = Reference(object.spec.member("targetRef") ?? .null)
        if reference.name.isEmpty { return nil }
        if reference.isServer {
            target = .server(reference.name)
        } else if reference.isNamespace {
            guard reference.name == object.namespace else { return nil }
            target = .namespace
        } else if reference.isPolicy("HTTPRoute") {
            target = .route(.policyHTTP, reference.name)
        } else if reference.isGateway("HTTPRoute") {
            target = .route(.http, reference.name)
        } else if reference.isGateway("GRPCRoute") {
            target = .route(.grpc, reference.name)
        } else {
            return nil
        }
        var requirements: [Requirement] = []
        for reference in object.spec.items("requiredAuthenticationRefs") {
            guard let name = reference.text("name") else { return nil }
            let key = Cluster.Name(reference.text("namespace") ?? object.namespace, name)
            switch reference.text("kind")?.lowercased() {
            case "meshtlsauthentication": requirements.append(.meshTLS(key))
            case "networkauthentication": requirements.append(.network(key))
            case "serviceaccount": requirements.append(.serviceAccount(key))
            default: return nil
            }
        }
        self.init(name: Cluster.Name(object), target: target, requirements: requirements)
    }
}

extension Cluster.MeshTLSAuthentication {
    init?(_ object: KubeObject) {
        var references: [Reference] = []
        for reference in object.spec.items("identityRefs") {
            switch reference.text("kind")?.lowercased() {
            case "serviceaccount":
                guard let name = reference.text("name") else { return nil }
                references.append(.serviceAccount(Cluster.Name(reference.text("namespace") ?? object.namespace, name)))
            case "namespace": references.append(.namespace(reference.text("name") ?? object.namespace))
            default: return nil
            }
        }
        self.init(name: Cluster.Name(object), identities: object.spec.items("identities").compactMap { $0.text() }, references: references)
        if identities.isEmpty && references.isEmpty { return nil }
    }
}

extension Cluster.NetworkAuthentication {
    init?(_ object: KubeObject) {
        guard let networks = Cluster.NetworkMatch.list(object.spec.items("networks")), !networks.isEmpty else { return nil }
        self.init(name: Cluster.Name(object), networks: networks)
    }
}
