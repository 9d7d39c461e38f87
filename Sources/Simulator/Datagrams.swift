// Datagrams: from socket to socket, late or never, whole or not at all, in any order.

import Base
import Platform

struct DatagramSlot {
    var source: SocketAddress
    var target: SocketAddress
    var link: Link?
    var bytes: [UInt8]
}

public final class SimDatagramSocket: DatagramSocket {
    public let address: SocketAddress
    unowned let process: SimProcess
    fileprivate var handler: (any DatagramHandler)?

    init(_ address: SocketAddress, process: SimProcess, handler: any DatagramHandler) {
        self.address = address
        self.process = process
        self.handler = handler
    }

    func covers(_ ip: IPAddress) -> Bool { Simulator.covers(address.ip, ip) }

    public func send(_ bytes: RawSpan, to target: SocketAddress) {
        guard handler != nil, process.isRunning else { return }
        process.world.sendDatagram(bytes, from: self, to: target)
    }

    public func close() {
        guard handler != nil else { return }
        handler = nil
        let node = process.node
        node.sockets[address.port]?.removeAll { $0 === self }
        if node.sockets[address.port]?.isEmpty ?? false { node.sockets[address.port] = nil }
        process.sockets.removeAll { $0 === self }
    }
}

extension World {
    fileprivate func sendDatagram(_ bytes: RawSpan, from socket: SimDatagramSocket, to target: SocketAddress) {
        let here = socket.process.node
        let length = UInt32(truncatingIfNeeded: bytes.byteCount)
        let digest = bytes.withUnsafeBytes { Simulator.digest(of: $0) }
        record(.datagramSent, here, UInt32(target.port), length, digest) { "\(socket.process.name) \(socket.address)→\(target) \(length) B" }
        let there = here.owns(target.ip) ? here : owner(of: target.ip)
        let ip = socket.address.ip.isUnspecified ? here.source(toward: target.ip) : socket.address.ip
        guard bytes.byteCount <= SimulatorLimits.datagramBytesMax, here.isUp, let there, let ip else { return lose(here, target, length) }
        let source = SocketAddress(ip, socket.address.port)
        let link = link(here, there)
        observeDatagram(bytes, from: source, to: target, on: link)
        guard !link.isCut, !link.losesOne() else { return lose(here, target, length) }
        let slot: Int32
        let entry = DatagramSlot(source: source, target: target, link: link, bytes: bytes.array())
        if let free = freeDatagrams.popLast() {
            slot = free
            datagrams[Int(slot)] = entry
        } else {
            slot = Int32(datagrams.count)
            datagrams.append(entry)
        }
        schedule(.datagram, at: link.arrival(bytes.byteCount, now: now.nanoseconds), target: slot, generation: 0)
    }

    private func lose(_ node: Node, _ target: SocketAddress, _ length: UInt32) {
        record(.datagramLost, node, UInt32(target.port), length, 0) { "to \(target)" }
    }

    func deliverDatagram(_ event: Event) {
        let entry = datagrams[Int(event.target)]
        guard let link = entry.link else { return }
        let there = link.to
        if let socket = there.socket(at: entry.target), socket.process.frozenUntil > now {
            return schedule(.datagram, at: socket.process.frozenUntil.nanoseconds, target: event.target, generation: 0)
        }
        if link.cloggedUntil > now, !link.isCut {
            return schedule(.datagram, at: link.cloggedUntil.nanoseconds, target: event.target, generation: 0)
        }
        datagrams[Int(event.target)] = DatagramSlot(source: entry.source, target: entry.target, link: nil, bytes: [])
        freeDatagrams.append(event.target)
        let length = UInt32(truncatingIfNeeded: entry.bytes.count)
        guard !link.isCut, there.isUp, let socket = there.socket(at: entry.target), socket.process.isRunning, let handler = socket.handler else {
            return lose(there, entry.target, length)
        }
        let digest = entry.bytes.withUnsafeBytes { Simulator.digest(of: $0) }
        record(.datagram, there, UInt32(entry.target.port), length, digest) { "\(socket.process.name) \(entry.target)←\(entry.source) \(length) B" }
        perform(socket.process) { handler.received(entry.bytes.span.bytes, from: entry.source, on: socket) }
    }
}
