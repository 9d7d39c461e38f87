// Cluster addresses and node ports of services, handed out in order from one block each, so that the same manifests loaded in
// the same order get the same addresses. An address asked for by name is granted when it is free.

import Base
import Documents
import Kube
import OrderedCollections

struct ServiceAddresses {
    let network: IPNetwork
    /// Look-up only.
    private var taken: Set<IPAddress> = []
    private var takenNodePorts: Set<Int64> = []
    /// Offset in the block of the next address to try.
    private var next: UInt64 = 1
    private var nextNodePort: Int64 = 30_000

    init(network: IPNetwork) { self.network = network }

    /// The n-th address of the block; nil when it lies outside. The last IPv4 address, the broadcast, is left out.
    func address(_ offset: UInt64) -> IPAddress? {
        switch network.base {
        case .v4(let word):
            let count = UInt64(1) << UInt64(32 - network.prefixBits)
            return offset < count - 1 ? .v4(word &+ UInt32(truncatingIfNeeded: offset)) : nil
        case .v6(let high, let low):
            // Kubernetes uses at most 2^16 addresses of a block (k8s.io/kubernetes pkg/registry/core/service/ipallocator).
            return offset < 65_536 ? .v6(high, low &+ offset) : nil
        }
    }

    mutating func allocate(_ service: inout Value, kind: ServedKind, isDryRun: Bool) throws(KubeStatus) {
        let type = service.text("spec", "type") ?? "ClusterIP"
        let name = service.text("metadata", "name") ?? ""
        if type == "ExternalName" { return }
        let given = service.text("spec", "clusterIP") ?? service.items("spec", "clusterIPs").first?.text() ?? ""
        let before = self
        if given.isEmpty {
            guard let found = free() else { throw .internalError("failed to allocate a serviceIP: range is full") }
            taken.insert(found)
            service.put(.string(found.description), at: "spec", "clusterIP")
        } else if given != "None" {
            guard let ip = IPAddress(given) else { throw .invalid(kind, name, [.invalid("spec.clusterIPs[0]", .string(given), "must be empty, 'None', or a valid IP address")]) }
            guard network.contains(ip) else {
                throw .invalid(kind, name, [.invalid("spec.clusterIPs", .array([.string(given)]), "failed to allocate IP \(given): the provided IP (\(given)) is not in the valid range. The range of valid IPs is \(network)")])
            }
            guard taken.insert(ip).inserted else {
                throw .invalid(kind, name, [.invalid("spec.clusterIPs", .array([.string(given)]), "failed to allocate IP \(given): provided IP is already allocated")])
            }
            service.put(.string(given), at: "spec", "clusterIP")
        } else {
            service.put(.string("None"), at: "spec", "clusterIP")
        }
        let ip = service.text("spec", "clusterIP") ?? ""
        service.put(.array([.string(ip)]), at: "spec", "clusterIPs")
        allocateNodePorts(&service)
        if isDryRun { self = before }
    }

    /// The next free address; freed ones come again only when the block has been walked through.
    private mutating func free() -> IPAddress? {
        for start in [next, 1] {
            var offset = start
            while let candidate = address(offset) {
                offset += 1
                if !taken.contains(candidate) {
                    next = offset
                    return candidate
                }
            }
        }
        return nil
    }

    private mutating func allocateNodePorts(_ service: inout Value) {
        guard ["NodePort", "LoadBalancer"].contains(service.text("spec", "type") ?? "") else { return }
        let ports = service.items("spec", "ports").map { port in
            var port = port
            if let given = port.number("nodePort"), given != 0 {
                takenNodePorts.insert(given)
            } else {
                while takenNodePorts.contains(nextNodePort) { nextNodePort += 1 }
                takenNodePorts.insert(nextNodePort)
                port.put(.int(nextNodePort), at: "nodePort")
            }
            return port
        }
        service.put(.array(ports), at: "spec", "ports")
    }

    /// Keeps what a service has, gives what its new type needs, frees what it needs no more.
    mutating func reallocate(_ service: inout Value, old: Value, kind: ServedKind, isDryRun: Bool) throws(KubeStatus) {
        let hadAddress = !(old.text("spec", "clusterIP") ?? "").isEmpty
        let wantsAddress = service.text("spec", "type") != "ExternalName"
        let before = self
        if hadAddress, !wantsAddress {
            release(old)
            service.put(nil, at: "spec", "clusterIP")
            service.put(nil, at: "spec", "clusterIPs")
        } else if !hadAddress, wantsAddress {
            try allocate(&service, kind: kind, isDryRun: false)
        } else if hadAddress {
            if (service.text("spec", "clusterIP") ?? "").isEmpty { service.put(old.member("spec", "clusterIP"), at: "spec", "clusterIP") }
            if service.items("spec", "clusterIPs").isEmpty { service.put(old.member("spec", "clusterIPs"), at: "spec", "clusterIPs") }
            guard service.text("spec", "clusterIP") == old.text("spec", "clusterIP") else {
                throw .invalid(kind, service.text("metadata", "name") ?? "", [.invalid("spec.clusterIPs[0]", .array([service.member("spec", "clusterIP") ?? .null]), "may not change once set")])
            }
            keepNodePorts(&service, old: old)
            allocateNodePorts(&service)
        }
        if isDryRun { self = before }
    }

    /// A port that does not name its node port keeps the one it has.
    private func keepNodePorts(_ service: inout Value, old: Value) {
        guard ["NodePort", "LoadBalancer"].contains(service.text("spec", "type") ?? "") else { return }
        let known = old.items("spec", "ports")
        let ports = service.items("spec", "ports").map { port in
            guard port.number("nodePort") ?? 0 == 0, let same = known.first(where: { $0.number("port") == port.number("port") && $0.text("protocol") == port.text("protocol") }) else { return port }
            var port = port
            port.put(same.member("nodePort"), at: "nodePort")
            return port
        }
        service.put(.array(ports), at: "spec", "ports")
    }

    /// What a service of an earlier life holds.
    mutating func restore(_ service: Value) {
        if let ip = service.text("spec", "clusterIP").flatMap({ IPAddress($0) }) { taken.insert(ip) }
        for port in service.items("spec", "ports") { if let number = port.number("nodePort"), number > 0 { takenNodePorts.insert(number) } }
    }

    mutating func release(_ service: Value) {
        if let ip = service.text("spec", "clusterIP").flatMap({ IPAddress($0) }) { taken.remove(ip) }
        for port in service.items("spec", "ports") { if let number = port.number("nodePort") { takenNodePorts.remove(number) } }
    }
}
