// What the destination controller costs: the process that ships, over real sockets, with an API server full of services and pods before it
// and proxies behind it that follow some of them. Pods change at a steady pace; timed is from a change's write to the moment when the last
// proxy that follows the service has heard. API server and proxies share one core, the controller has the other.

import APIServer
import Base
import Documents
import GRPC
import Kube
import Linux
import MeshAPI
import Platform
import Transport

struct DestinationPlan {
    var services = 1000
    var podsPerService = 10
    var proxies = 1000
    /// Of each proxy, besides the one that all follow.
    var follows = 10
    var changesPerSecond = 100
    var seconds = 30
}

final class DestinationBench {
    private let plan: DestinationPlan
    private let host: LinuxHost
    private let batch: FlushBatch
    private let api: KubeAPIServer
    private var controller: ControllerProcess!
    private var channels: [GRPCChannel] = []
    /// Streams that follow each service.
    private var followers: [Int]
    private var firsts = 0
    private var streams = 0
    /// Of each service whose change is on its way.
    private var began: [Double]
    private var awaited: [Int]
    private var isOpaque: [Bool]
    private var took: [Double] = []
    private var changes = 0
    private var stillOnTheWay = 0
    private var cpuAtStart = 0.0
    private var startedAt = 0.0

    init(_ plan: DestinationPlan) throws {
        self.plan = plan
        host = try benchHost()
        batch = FlushBatch(host: host)
        var options = APIServerOptions()
        options.controllers = []
        api = try KubeAPIServer(batch: batch, options: options)
        followers = Array(repeating: 0, count: plan.services)
        began = Array(repeating: 0, count: plan.services)
        awaited = Array(repeating: 0, count: plan.services)
        isOpaque = Array(repeating: false, count: plan.services)
    }

    private func fill() throws {
        try api.apply([try YAML.parse(Array("{apiVersion: v1, kind: Namespace, metadata: {name: bench}}".utf8))[0].value])
        for i in 0..<plan.services {
            var text = """
                {"apiVersion":"v1","kind":"Service","metadata":{"name":"web-\(i)","namespace":"bench"},"spec":{"selector":{"app":"web-\(i)"},"ports":[{"name":"http","port":80,"targetPort":8080}]}}
                """
            var endpoints: [String] = []
            var documents = [text]
            for p in 0..<plan.podsPerService {
                let number = i * plan.podsPerService + p
                let ip = "10.\(64 + number / 65536).\(number / 256 % 256).\(number % 256)"
                text = """
                    {"apiVersion":"v1","kind":"Pod","metadata":{"name":"web-\(i)-\(p)","namespace":"bench","labels":{"app":"web-\(i)","linkerd.io/control-plane-ns":"linkerd"}},
                    "spec":{"serviceAccountName":"web","nodeName":"node-\(number % 50)","containers":[{"name":"app","image":"app","ports":[{"name":"http","containerPort":8080}]},
                    {"name":"linkerd-proxy","image":"proxy","env":[{"name":"LINKERD2_PROXY_INBOUND_LISTEN_ADDR","value":"0.0.0.0:4143"}]}]}}
                    """
                documents.append(text)
                endpoints.append(#"{"addresses":["\#(ip)"],"conditions":{"ready":true},"nodeName":"node-\#(number % 50)","targetRef":{"kind":"Pod","namespace":"bench","name":"web-\#(i)-\#(p)"}}"#)
            }
            documents.append(
                """
                {"apiVersion":"discovery.k8s.io/v1","kind":"EndpointSlice","metadata":{"name":"web-\(i)-s","namespace":"bench","labels":{"kubernetes.io/service-name":"web-\(i)"}},
                "addressType":"IPv4","ports":[{"name":"http","port":8080,"protocol":"TCP"}],"endpoints":[\(endpoints.joined(separator: ","))]}
                """)
            try api.apply(try documents.map { try Value(json: Array($0.utf8)) })
            for p in 0..<plan.podsPerService {
                let number = i * plan.podsPerService + p
                let ip = Value.string("10.\(64 + number / 65536).\(number / 256 % 256).\(number % 256)")
                try api.update(.pods, namespace: "bench", name: "web-\(i)-\(p)", subresource: "status") { pod in
                    pod.value.put(.members(["phase": .string("Running"), "podIP": ip, "podIPs": .array([.members(["ip": ip])])]), at: "status")
                }
            }
        }
    }

    func run(directory: String) throws -> Never {
        try fill()
        try api.start(address: SocketAddress(.loopback, 0))
        try host.files.write("\(directory)/kubeconfig", Array(api.kubeconfig().utf8), mode: 0o600)
        let (port, admin) = (try freePort(host), try freePort(host))
        let address = SocketAddress(.loopback, port)
        controller = try ControllerProcess(
            ["destination", "--kubeconfig", "\(directory)/kubeconfig", "--addr", "127.0.0.1:\(port)", "--metrics-addr", "127.0.0.1:\(admin)", "--log-level", "warn"],
            admin: SocketAddress(.loopback, admin), batch: batch, host: host)
        controller.awaitReady { [self] in
            say("filled_megabytes \(controller.residentMegabytes)")
            follow(address)
        }
        withExtendedLifetime(self) { host.runProcess() }
    }

    private func follow(_ address: SocketAddress) {
        for i in 0..<plan.proxies {
            let channel = GRPCChannel(batch: batch, connector: TCPConnector(host: host, address: address), authority: "destination")
            channels.append(channel)
            // The first service is everybody's.
            var mine = [0]
            for j in 0..<plan.follows { mine.append(1 + (i * plan.follows + j * 97) % (plan.services - 1)) }
            for service in mine {
                followers[service] += 1
                streams += 1
                var request = Mesh.Destination.GetDestination()
                request.path = "web-\(service).bench.svc.cluster.local:80"
                request.contextToken = #"{"ns":"bench","nodeName":"node-\#(i % 50)"}"#
                var isFirst = true
                channel.call(Mesh.Destination.get, request, onMessage: { [self] _ in
                    if isFirst {
                        isFirst = false
                        firsts += 1
                        if firsts == streams, channels.count == plan.proxies { host.after(.seconds(2)) { [self] in begin() } }
                    } else { heard(service) }
                }, onEnd: { status in say("a stream ended: \(status)") })
            }
        }
    }

    private func begin() {
        say("streams \(streams)")
        cpuAtStart = controller.cpuSeconds
        startedAt = clockSeconds()
        change()
    }

    /// The next change is due by the clock, not after the last one.
    private func change() {
        let elapsed = clockSeconds() - startedAt
        guard elapsed < Double(plan.seconds) else { return end() }
        while changes < Int(elapsed * Double(plan.changesPerSecond)) {
            // One change in a hundred is of the service that everybody follows.
            let service = changes % 100 == 50 ? 0 : 1 + changes % (plan.services - 1)
            changes += 1
            if awaited[service] > 0 {
                stillOnTheWay += 1
                continue
            }
            isOpaque[service].toggle()
            awaited[service] = followers[service]
            began[service] = clockSeconds()
            do {
                try api.update(.pods, namespace: "bench", name: "web-\(service)-\(changes % plan.podsPerService)") { pod in
                    let name = "config.linkerd.io/opaque-ports"
                    pod.value.put(.string(pod.value.text("metadata", "annotations", name) == "8080" ? "" : "8080"), at: "metadata", "annotations", name)
                }
            } catch { say("a change failed: \(error)") }
        }
        host.after(.milliseconds(2)) { [self] in change() }
    }

    private func heard(_ service: Int) {
        guard awaited[service] > 0 else { return }
        awaited[service] -= 1
        if awaited[service] == 0 { took.append(clockSeconds() - began[service]) }
    }

    private func end() {
        let cpu = controller.cpuSeconds - cpuAtStart
        let elapsed = clockSeconds() - startedAt
        host.after(.seconds(2)) { [self] in
            took.sort()
            func milliseconds(_ share: Double) -> Double { took.isEmpty ? 0 : Double(Int(took[min(took.count - 1, Int(Double(took.count) * share))] * 100_000)) / 100 }
            say("changes \(changes)")
            say("changes_heard_by_all \(took.count)")
            say("changes_not_made_because_the_last_was_on_its_way \(stillOnTheWay)")
            say("change_to_last_proxy_p50_milliseconds \(milliseconds(0.5))")
            say("change_to_last_proxy_p99_milliseconds \(milliseconds(0.99))")
            say("change_to_last_proxy_max_milliseconds \(milliseconds(1))")
            say("controller_cores \(Double(Int(cpu / elapsed * 1000)) / 1000)")
            say("controller_resident_megabytes \(controller.residentMegabytes)")
            say("controller_peak_megabytes \(controller.peakMegabytes)")
            controller.stop()
            host.exit(0)
        }
    }
}
