// What the cluster does by itself.

import APIServer
import Base
import Documents
import Kube
import Testing

@Suite struct ControllerTests {
    private func slices(_ cluster: Cluster, _ service: String = "web") -> [EndpointSlice] {
        cluster.objects(.endpointSlices).map(EndpointSlice.init).filter { $0.serviceName == service }
    }

    private func ready(_ cluster: Cluster, _ service: String = "web") -> [String] {
        slices(cluster, service).flatMap(\.endpoints).filter { $0.isReady == true }.flatMap { $0.addresses.map(\.description) }.sorted()
    }

    @Test func `a deployment becomes pods and its service finds them`() throws {
        let cluster = try Cluster()
        try cluster.apply(webYAML)
        cluster.await("three endpoints") { ready(cluster).count == 3 }
        let slice = try #require(slices(cluster).first)
        #expect(slice.ports.map(\.name) == ["http"] && slice.ports[0].port == 8080 && slice.ports[0].transport == "TCP")
        let endpoint = slice.endpoints[0]
        #expect(endpoint.nodeName == "node-1" && endpoint.zone == "west" && endpoint.targetKind == "Pod")
        #expect(endpoint.isServing == true && !endpoint.isTerminating)
        let endpoints = try #require(cluster.server.object(.endpoints, namespace: "default", name: "web"))
        #expect(endpoints.value.items("subsets")[0].items("addresses").count == 3)
        let deployment = try #require(cluster.server.object(.deployments, namespace: "default", name: "web"))
        cluster.await("status") { cluster.server.object(.deployments, namespace: "default", name: "web")?.value.number("status", "availableReplicas") == 3 }
        #expect(cluster.objects(.replicaSets)[0].controller?.uid == deployment.uid)
    }

    @Test func `a new template rolls without losing more than a quarter`() throws {
        let cluster = try Cluster()
        try cluster.apply(webYAML.replacing("replicas: 3", with: "replicas: 4"))
        cluster.await("four endpoints") { ready(cluster).count == 4 }
        try cluster.apply(webYAML.replacing("replicas: 3", with: "replicas: 4").replacing("web:1", with: "web:2"))
        var least = 4
        cluster.await("the new version") {
            least = min(least, ready(cluster).count)
            let pods = cluster.objects(.pods)
            return pods.count == 4 && pods.allSatisfy { $0.value.items("spec", "containers")[0].text("image") == "web:2" } && ready(cluster).count == 4
        }
        #expect(least >= 3)
        #expect(cluster.objects(.replicaSets).count == 2)
    }

    @Test func `terminating pods serve but are not ready`() throws {
        let cluster = try Cluster()
        try cluster.apply(webYAML)
        cluster.await("three endpoints") { ready(cluster).count == 3 }
        let pod = cluster.objects(.pods)[0]
        try cluster.onServer { try $0.delete(.pods, namespace: "default", name: pod.name) }
        var seen: EndpointSlice.Endpoint?
        cluster.await("the terminating endpoint") {
            seen = slices(cluster).flatMap(\.endpoints).first { $0.isTerminating }
            return seen != nil
        }
        #expect(seen?.isReady == false && seen?.isServing == true)
        cluster.await("its replacement") { ready(cluster).count == 3 && cluster.objects(.pods).count == 3 }
    }

    @Test func `named ports that differ by pod give slices of their own`() throws {
        let cluster = try Cluster()
        try cluster.apply(
            """
            apiVersion: v1
            kind: Service
            metadata: {name: mixed}
            spec: {selector: {app: mixed}, ports: [{name: a, port: 80, targetPort: named}]}
            ---
            apiVersion: v1
            kind: Pod
            metadata: {name: p1, labels: {app: mixed}}
            spec: {containers: [{name: c, image: i, ports: [{name: named, containerPort: 1000}]}]}
            ---
            apiVersion: v1
            kind: Pod
            metadata: {name: p2, labels: {app: mixed}}
            spec: {containers: [{name: c, image: i, ports: [{name: named, containerPort: 2000}]}]}
            """)
        cluster.await("two slices") { slices(cluster, "mixed").filter { !$0.endpoints.isEmpty }.count == 2 }
        #expect(Set(slices(cluster, "mixed").flatMap(\.ports).compactMap(\.port)) == [1000, 2000])
        try cluster.onServer { try $0.delete(.services, namespace: "default", name: "mixed") }
        cluster.await("no slices, no endpoints") { slices(cluster, "mixed").isEmpty && cluster.server.object(.endpoints, namespace: "default", name: "mixed") == nil }
    }

    @Test func `hand-written endpoints are mirrored into slices`() throws {
        let cluster = try Cluster()
        try cluster.apply(
            """
            apiVersion: v1
            kind: Service
            metadata: {name: far}
            spec: {ports: [{name: a, port: 80}]}
            ---
            apiVersion: v1
            kind: Endpoints
            metadata: {name: far, labels: {x: z}}
            subsets: [{addresses: [{ip: 192.0.2.1}], ports: [{name: a, port: 4143}]}]
            """)
        cluster.await("a slice") { ready(cluster, "far") == ["192.0.2.1"] }
    }

    @Test func `a namespace empties before it vanishes, and its dependents with it`() throws {
        let cluster = try Cluster()
        try cluster.apply("{apiVersion: v1, kind: Namespace, metadata: {name: shop}}")
        try cluster.apply(webYAML.replacing("metadata: {name: web", with: "metadata: {namespace: shop, name: web"))
        cluster.await("pods") { cluster.objects(.pods, namespace: "shop").filter { $0.value.text("status", "phase") == "Running" }.count == 3 }
        #expect(cluster.server.object(.serviceAccounts, namespace: "shop", name: "default") != nil)
        try cluster.onServer { try $0.delete(.namespaces, name: "shop") }
        #expect(cluster.server.object(.namespaces, name: "shop")?.value.text("status", "phase") == "Terminating")
        let late = KubeObject(.configMaps, namespace: "shop", name: "late")
        #expect(cluster.status { $0.create(.configMaps, late, $1) }?.code == 403)
        cluster.await("the end of the namespace") { cluster.server.object(.namespaces, name: "shop") == nil }
        for resource in [KubeResource.pods, .services, .endpointSlices, .endpoints, .replicaSets, .deployments, .serviceAccounts] {
            #expect(cluster.objects(resource, namespace: "shop").isEmpty, "\(resource)")
        }
    }

    @Test(arguments: ["Background", "Foreground", "Orphan"]) func `dependents go after, before or without their owner`(_ policy: String) throws {
        let cluster = try Cluster()
        try cluster.apply(webYAML)
        cluster.await("pods") { cluster.objects(.pods).count == 3 }
        _ = try cluster.send(.delete, "/apis/apps/v1/namespaces/default/deployments/web?propagationPolicy=\(policy)")
        var order: [String] = []
        cluster.await("the end of the deployment") {
            if cluster.server.object(.deployments, namespace: "default", name: "web") == nil, !order.contains("owner") { order.append("owner") }
            if cluster.objects(.pods).isEmpty, !order.contains("pods") { order.append("pods") }
            return order.contains("owner") && (order.contains("pods") || policy == "Orphan")
        }
        cluster.world.run(for: .seconds(5))
        switch policy {
        case "Background": #expect(order == ["owner", "pods"])
        case "Foreground": #expect(order == ["pods", "owner"])
        default:
            #expect(cluster.objects(.pods).count == 3)
            #expect(cluster.objects(.replicaSets)[0].ownerReferences.isEmpty)
        }
    }

    @Test func `stateful sets start in order, daemon sets on every node, jobs until done`() throws {
        let cluster = try Cluster()
        try cluster.apply(
            """
            apiVersion: apps/v1
            kind: StatefulSet
            metadata: {name: db}
            spec:
              serviceName: db
              replicas: 2
              selector: {matchLabels: {app: db}}
              template: {metadata: {labels: {app: db}}, spec: {containers: [{name: c, image: i}]}}
            ---
            apiVersion: apps/v1
            kind: DaemonSet
            metadata: {name: agent}
            spec:
              selector: {matchLabels: {app: agent}}
              template: {metadata: {labels: {app: agent}}, spec: {containers: [{name: c, image: i}]}}
            ---
            apiVersion: batch/v1
            kind: Job
            metadata: {name: once}
            spec: {template: {spec: {restartPolicy: Never, containers: [{name: c, image: i}]}}}
            """)
        cluster.await("all pods") { cluster.objects(.pods).filter(\.isReady).count == 4 }
        let names = cluster.objects(.pods).map(\.name)
        #expect(names.contains("db-0") && names.contains("db-1"))
        #expect(cluster.objects(.pods).first { $0.name == "db-1" }?.value.text("spec", "subdomain") == "db")
        let job = try #require(cluster.objects(.pods).first { $0.name.hasPrefix("once-") })
        try cluster.onServer { try $0.update(.pods, namespace: "default", name: job.name, subresource: "status") { $0.value.put("Succeeded", at: "status", "phase") } }
        cluster.await("completion") {
            cluster.server.object(.jobs, namespace: "default", name: "once")?.value.items("status", "conditions").contains { $0.text("type") == "Complete" } ?? false
        }
        #expect(cluster.objects(.pods).count == 4)
    }
}

extension KubeObject {
    var isReady: Bool { value.items("status", "conditions").contains { $0.text("type") == "Ready" && $0.text("status") == "True" } }
}
