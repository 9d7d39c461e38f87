// Statuses of policy resources, written by policy controllers into a real API server: what is said of whom, that others' words stay,
// that only one replica writes, and that another takes over.

import APIServer
import Base
import ControlPlane
import DNS
import Documents
import HTTP
import Kube
import Manifests
import Platform
import Simulator
import Testing
import Transport

/// An API server with the mesh's kinds, and any number of policy controllers.
private final class StatusPlane {
    let world: World
    let apiProcess: SimProcess
    private(set) var server: KubeAPIServer!
    private var made = 0

    init() throws {
        var options = WorldOptions(start: WallTime(year: 2026, month: 6, day: 1, hour: 12)!)
        options.build = "test"
        world = World(seed: 1, options: options)
        apiProcess = world.addProcess("api", on: world.addNode("api", ip: IPAddress(10, 0, 0, 1)), userID: 1, settings: Settings()) { _ in }
        world.addNameServer("names", ip: IPAddress(10, 0, 0, 53), zone: DNSName("cluster.local")!)
        apiProcess.start()
        world.run(for: .zero)
        try apiProcess.run {
            Result {
                server = try KubeAPIServer(host: apiProcess)
                try server.start(address: SocketAddress(IPAddress(10, 0, 0, 1), 6443))
            }
        }.get()
        try apply(EmbeddedManifests.customResources)
        try apply("{apiVersion: v1, kind: Namespace, metadata: {name: linkerd}}\n---\n{apiVersion: v1, kind: Namespace, metadata: {name: shop}}")
    }

    func apply(_ yaml: String) throws {
        let documents = try YAML.parse(Array(yaml.utf8)).map(\.value).filter { $0 != .null }
        try apiProcess.run { Result { _ = try server.apply(documents) } }.get()
    }

    func replica() -> SimProcess {
        made += 1
        let node = world.addNode("policy-\(made)", ip: IPAddress(10, 0, 1, UInt8(made)))
        node.files.put("/kubeconfig", text: server.kubeconfig())
        let process = world.addProcess("policy-\(made)", on: node, userID: 1, settings: Settings(environment: [("KUBECONFIG", "/kubeconfig"), ("HOSTNAME", "policy-\(made)")])) { process in
            do { process.keep(try PolicyController.run(host: process, policy: PolicyOptions())) } catch { Issue.record("\(error)") }
        }
        process.start()
        return process
    }

    func run(_ seconds: Int64) { world.run(for: .seconds(seconds)) }
    func status(_ resource: KubeResource, _ name: String) -> Value { server.object(resource, namespace: "shop", name: name)?.status ?? .null }

    /// `parent Accepted=True/Accepted ResolvedRefs=…`, one line a parent of ours.
    func conditions(_ resource: KubeResource, _ name: String) -> [String] {
        status(resource, name).items("parents").map { parent in
            (["\(parent.text("controllerName") ?? "") \(parent.text("parentRef", "name") ?? "")"]
                + parent.items("conditions").map { "\($0.text("type") ?? "")=\($0.text("status") ?? "")/\($0.text("reason") ?? "")" }).joined(separator: " ")
        }
    }

    var holder: String { server.object(.leases, namespace: "linkerd", name: "policy-controller-write")?.value.text("spec", "holderIdentity") ?? "" }
}

@Suite struct `Statuses of policy resources` {
    private static let service = "{apiVersion: v1, kind: Service, metadata: {name: web, namespace: shop}, spec: {ports: [{port: 80}]}}"
    private static func route(_ name: String, parent: String, backend: String) -> String {
        """
        apiVersion: policy.linkerd.io/v1beta3
        kind: HTTPRoute
        metadata: {name: \(name), namespace: shop}
        spec: {parentRefs: [{kind: Service, group: core, name: \(parent), port: 80}], rules: [{backendRefs: [{name: \(backend), port: 80}]}]}
        """
    }

    @Test func `tell of each parent whether it takes the route, and follow what changes`() throws {
        let plane = try StatusPlane()
        try plane.apply([Self.service, Self.route("good", parent: "web", backend: "web"), Self.route("lost", parent: "gone", backend: "nowhere")].joined(separator: "\n---\n"))
        _ = plane.replica()
        plane.run(10)
        let ours = "linkerd.io/policy-controller"
        #expect(plane.conditions(.policyHTTPRoutes, "good") == ["\(ours) web Accepted=True/Accepted ResolvedRefs=True/ResolvedRefs"])
        #expect(plane.conditions(.policyHTTPRoutes, "lost") == ["\(ours) gone Accepted=False/NoMatchingParent ResolvedRefs=False/BackendNotFound"])
        let first = plane.status(.policyHTTPRoutes, "good")
        plane.run(60)
        #expect(plane.status(.policyHTTPRoutes, "good").canonical == first.canonical, "what is right is not written again")
        try plane.apply("{apiVersion: v1, kind: Service, metadata: {name: gone, namespace: shop}, spec: {ports: [{port: 80}]}}\n---\n{apiVersion: v1, kind: Service, metadata: {name: nowhere, namespace: shop}, spec: {ports: [{port: 80}]}}")
        plane.run(2)
        #expect(plane.conditions(.policyHTTPRoutes, "lost") == ["\(ours) gone Accepted=True/Accepted ResolvedRefs=True/ResolvedRefs"])
    }

    @Test func `leave the words of other controllers, and mend their own`() throws {
        let plane = try StatusPlane()
        try plane.apply(Self.service + "\n---\n" + Self.route("good", parent: "web", backend: "web"))
        let foreign = Value.members([
            "controllerName": .string("example.com/other"), "parentRef": .members(["name": .string("gateway")]),
            "conditions": .array([.members(["type": .string("Accepted"), "status": .string("True"), "reason": .string("Accepted"), "message": .string(""), "lastTransitionTime": .string("2026-06-01T00:00:00Z")])]),
        ])
        try plane.apiProcess.run { Result { _ = try plane.server.update(.policyHTTPRoutes, namespace: "shop", name: "good", subresource: "status") { $0.value.put(.array([foreign]), at: "status", "parents") } } }.get()
        _ = plane.replica()
        plane.run(10)
        let both = ["example.com/other gateway Accepted=True/Accepted", "linkerd.io/policy-controller web Accepted=True/Accepted ResolvedRefs=True/ResolvedRefs"]
        #expect(plane.conditions(.policyHTTPRoutes, "good") == both)
        // Somebody wipes our entry out.
        try plane.apiProcess.run { Result { _ = try plane.server.update(.policyHTTPRoutes, namespace: "shop", name: "good", subresource: "status") { $0.value.put(.array([foreign]), at: "status", "parents") } } }.get()
        plane.run(15)
        #expect(plane.conditions(.policyHTTPRoutes, "good") == both)
    }

    @Test func `are written for networks outside and rate limits, too`() throws {
        let plane = try StatusPlane()
        try plane.apply(
            """
            {apiVersion: policy.linkerd.io/v1alpha1, kind: EgressNetwork, metadata: {name: internet, namespace: shop}, spec: {trafficPolicy: Allow, networks: [{cidr: 1.0.0.0/8}]}}
            ---
            {apiVersion: policy.linkerd.io/v1alpha1, kind: EgressNetwork, metadata: {name: greedy, namespace: shop}, spec: {trafficPolicy: Allow, networks: [{cidr: 10.0.0.0/8}]}}
            ---
            {apiVersion: policy.linkerd.io/v1alpha1, kind: HTTPLocalRateLimitPolicy, metadata: {name: limit, namespace: shop}, spec: {targetRef: {group: policy.linkerd.io, kind: Server, name: none}, total: {requestsPerSecond: 5}}}
            """)
        _ = plane.replica()
        plane.run(10)
        func reasons(_ resource: KubeResource, _ name: String) -> [String] { plane.status(resource, name).items("conditions").map { $0.text("reason") ?? "" } }
        #expect(reasons(.egressNetworks, "internet") == ["Accepted"] && reasons(.egressNetworks, "greedy") == ["EgressReasonNetworkOverlap"])
        #expect(reasons(.httpLocalRateLimitPolicies, "limit") == ["NoMatchingTarget"])
    }

    @Test func `a kind that is not installed is complained of once`() throws {
        let plane = try StatusPlane()
        let replica = plane.replica()
        plane.run(120)
        let complaints = replica.logLines.filter { $0.contains("warn controller::watch") }
        #expect(!complaints.isEmpty && Set(complaints.map { $0.drop { $0 != ":" } }).count == complaints.count)
    }

    @Test func `are written by one replica, and by another when that one dies or leaves`() throws {
        let plane = try StatusPlane()
        try plane.apply(Self.service)
        var replicas = [plane.replica()]
        plane.run(5)
        replicas.append(plane.replica())
        plane.run(10)
        #expect(plane.holder == "policy-1")
        plane.world.crash(replicas[0])
        try plane.apply(Self.route("later", parent: "web", backend: "web"))
        plane.run(10)
        #expect(plane.conditions(.policyHTTPRoutes, "later").isEmpty, "the dead one's term is not over")
        plane.run(45)
        #expect(plane.holder == "policy-2" && plane.conditions(.policyHTTPRoutes, "later").count == 1)
        // One that leaves in order gives its lease up at once.
        replicas.append(plane.replica())
        plane.run(10)
        replicas[1].stop()
        plane.run(6)
        #expect(replicas[1].state == .exited(0) && plane.holder == "policy-3")
    }
}
