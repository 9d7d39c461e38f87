// A small cluster in the words of the tests, and what a stream has said.

import Base
import CDeterminism
import ControlPlane
import GRPC
import MeshAPI
import Transport

func name(_ text: String) -> Cluster.Name {
    let parts = text.split(separator: "/")
    return Cluster.Name(String(parts[0]), String(parts[1]))
}

func service(_ text: String, ip: String? = "10.96.0.1", ports: [Cluster.Service.Port] = [.init(name: "http", port: 80)], _ change: (inout Cluster.Service) -> Void = { _ in }) -> Cluster.Service {
    var service = Cluster.Service(name: name(text))
    service.clusterIPs = ip.map { [IPAddress($0)!] } ?? []
    service.ports = ports
    change(&service)
    return service
}

func pod(_ text: String, ip: String, meshed: Bool = true, _ change: (inout Cluster.Pod) -> Void = { _ in }) -> Cluster.Pod {
    var pod = Cluster.Pod(name: name(text))
    pod.ips = [IPAddress(ip)!]
    pod.hostIPs = [IPAddress("192.168.1.1")!]
    pod.nodeName = "node-1"
    pod.serviceAccount = "web"
    var app = Cluster.Pod.Container(name: "app")
    app.ports = [.init(name: "http", port: 8080)]
    pod.containers = [app]
    if meshed {
        pod.labels["linkerd.io/control-plane-ns"] = "linkerd"
        var proxy = Cluster.Pod.Container(name: "linkerd-proxy")
        proxy.inboundListenAddress = "[::]:4143"
        proxy.adminListenAddress = "[::]:4191"
        proxy.controlListenAddress = "0.0.0.0:4190"
        pod.containers.append(proxy)
    }
    change(&pod)
    return pod
}

/// A slice with these pods, ready, target port 8080 for the port named `http`.
func slice(_ text: String, of service: String, _ pods: [Cluster.Pod], _ change: (inout Cluster.EndpointSlice) -> Void = { _ in }) -> Cluster.EndpointSlice {
    var slice = Cluster.EndpointSlice(name: name(text), serviceName: service)
    slice.ports = [("http", 8080)]
    slice.endpoints = pods.map { pod in
        var endpoint = Cluster.EndpointSlice.Endpoint(addresses: [pod.ips[0]], pod: pod.name)
        endpoint.nodeName = pod.nodeName
        return endpoint
    }
    change(&slice)
    return slice
}

extension ResponseStream {
    /// Everything that waits.
    func drain() -> [Message] {
        var messages: [Message] = []
        while let message = next() { messages.append(message) }
        return messages
    }
}

/// `add 10.0.0.1:8080 10.0.0.2:8080` or `remove …`.
func summary(_ update: Mesh.Destination.Update) -> String {
    switch update.update {
    case .add(let set): (["add"] + set.addrs.map { SocketAddress($0.addr)!.description }).joined(separator: " ")
    case .remove(let set): (["remove"] + set.addrs.map { SocketAddress($0)!.description }).joined(separator: " ")
    case .noEndpoints(let none): "none, \(none.exists ? "though it exists" : "it does not exist")"
    default: "?"
    }
}

func destination(_ path: String, token: String = "") -> Mesh.Destination.GetDestination {
    var request = Mesh.Destination.GetDestination()
    request.path = path
    request.contextToken = token
    return request
}

/// OpenSSL draws from a seeded stream on this thread from here on. Simulated worlds replace its randomness for the whole process,
/// and outside their turns an unbound draw fails.
func bindRandomness(seed: UInt64 = 1) {
    precondition(weft_rand_install() == 1)
    let stream = UnsafeMutablePointer<Random>.allocate(capacity: 1)
    stream.initialize(to: Random(seed: seed))
    weft_rand_bind({ context, bytes, count in context!.assumingMemoryBound(to: Random.self).pointee.fill(UnsafeMutableRawBufferPointer(start: bytes, count: count)) }, stream)
}
