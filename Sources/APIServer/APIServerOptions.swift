// What an API server is started with. Whatever is left out is drawn from the host's chance or has Kubernetes' own default.

import Base
import Kube
import OrderedCollections
import TLS

public struct APIServerOptions: Sendable {
    /// Addresses of services. Source: kubeadm's default service subnet.
    public var serviceNetwork = IPNetwork(.v4(0x0a60_0000), prefixBits: 12)
    /// `iss` of tokens.
    public var issuer = "https://kubernetes.default.svc.cluster.local"
    /// Audiences of tokens that name none, and accepted where none is asked for.
    public var audiences = ["https://kubernetes.default.svc.cluster.local"]
    /// Signs tokens; nil: one is made.
    public var signingKey: PrivateKey?
    /// Who has this token is in `system:masters`; nil: one is made.
    public var adminToken: String?
    public var tokens: [StaticToken] = []
    /// Roles and bindings decide; off, every authenticated caller may do everything.
    public var enforcesAccess = false
    /// Callers without credentials are `system:anonymous`, who may read discovery; off, they get 401.
    public var allowsAnonymous = true
    /// Put into every namespace's ConfigMap `kube-root-ca.crt`; nil: none is made.
    public var rootCertificatePEM: String?
    /// What `/version` says. Source: the newest minimum that Linkerd names, Kubernetes 1.31.
    public var version = "v1.31.0"
    /// Which of the cluster's own controllers run here.
    public var controllers = ControllerSet.all
    /// Controllers tell people what they did, as events, which are forgotten after an hour.
    public var recordsEvents = false
    /// Nodes that only say that pods run: for clusters without machines.
    public var standInNodes = 0
    public var limits = APIServerLimits()

    public struct StaticToken: Sendable {
        public var token: String
        public var user: String
        public var groups: [String]

        /// `groups` besides `system:authenticated`.
        public init(token: String, user: String, groups: [String] = []) {
            self.token = token
            self.user = user
            self.groups = groups
        }
    }

    public init() {}
}

/// The controllers that a cluster takes for granted.
public struct ControllerSet: OptionSet, Sendable {
    public let rawValue: UInt16
    public init(rawValue: UInt16) { self.rawValue = rawValue }

    /// Default service account and root certificate of each namespace; emptying of deleted namespaces; tokens in secrets; aggregated roles.
    public static let namespaces = ControllerSet(rawValue: 1)
    /// EndpointSlices and Endpoints of services with a selector.
    public static let endpoints = ControllerSet(rawValue: 2)
    /// Deployments, ReplicaSets, StatefulSets and DaemonSets make pods.
    public static let workloads = ControllerSet(rawValue: 4)
    /// Jobs, and the jobs of schedules.
    public static let jobs = ControllerSet(rawValue: 8)
    /// Owner references: dependents go with, before or without their owners. Pods whose node is gone, and finished ones beyond a number.
    public static let garbage = ControllerSet(rawValue: 16)
    /// Pods are bound to nodes in turn.
    public static let scheduler = ControllerSet(rawValue: 32)
    /// Budgets of disruptions.
    public static let disruption = ControllerSet(rawValue: 64)
    public static let all: ControllerSet = [.namespaces, .endpoints, .workloads, .jobs, .garbage, .scheduler, .disruption]
}
