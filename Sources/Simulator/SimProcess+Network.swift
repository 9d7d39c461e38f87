// The process's network: binding ports and beginning connections. Here addresses are rewritten at the sending node; rewriting at
// the receiving node happens when the SYN is there.

import Base
import Platform

extension SimProcess: Network {
    public var resolverConfiguration: ResolverConfiguration { node.resolver }

    public func listen(on address: SocketAddress, options: ListenOptions, handler: any AcceptHandler) throws(HostFailure) -> any Listener {
        guard isRunning else { throw HostFailure("listen", .other, subject: "\(address)") }
        guard address.ip.isUnspecified || node.owns(address.ip) else { throw HostFailure("listen", .other, subject: "\(address)", errno: 99) }
        var bound = address
        if address.port == 0 {
            guard let port = node.takePort() else { throw HostFailure("listen", .addressInUse, subject: "\(address)") }
            node.releasePort(port)
            bound.port = port
        }
        let clash = node.listeners[bound.port, default: []].contains { $0.covers(bound.ip) || covers(bound.ip, $0.address.ip) }
        if clash { throw HostFailure("listen", .addressInUse, subject: "\(bound)") }
        let listener = SimListener(bound, process: self, options: options, handler: handler)
        node.listeners[bound.port, default: []].append(listener)
        listeners.append(listener)
        world.record(.listen, node, UInt32(bound.port), UInt32(index), digest(of: "\(bound)")) { "\(name) \(bound)" }
        return listener
    }

    public func connect(to address: SocketAddress, options: ConnectOptions, handler: any ConnectionHandler) -> any Connection {
        world.connect(self, to: address, options: options, handler: handler)
    }

    public func datagrams(on address: SocketAddress, handler: any DatagramHandler) throws(HostFailure) -> any DatagramSocket {
        guard isRunning else { throw HostFailure("bind", .other, subject: "\(address)") }
        guard address.ip.isUnspecified || node.owns(address.ip) else { throw HostFailure("bind", .other, subject: "\(address)", errno: 99) }
        var bound = address
        if address.port == 0 {
            guard let port = node.takePort() else { throw HostFailure("bind", .addressInUse, subject: "\(address)") }
            node.releasePort(port)
            bound.port = port
        }
        let clash = node.sockets[bound.port, default: []].contains { $0.covers(bound.ip) || covers(bound.ip, $0.address.ip) }
        if clash { throw HostFailure("bind", .addressInUse, subject: "\(bound)") }
        let socket = SimDatagramSocket(bound, process: self, handler: handler)
        node.sockets[bound.port, default: []].append(socket)
        sockets.append(socket)
        return socket
    }
}

extension World {
    func unlisten(_ listener: SimListener) {
        let process = listener.process
        process.node.listeners[listener.address.port]?.removeAll { $0 === listener }
        if process.node.listeners[listener.address.port]?.isEmpty ?? false { process.node.listeners[listener.address.port] = nil }
        process.listeners.removeAll { $0 === listener }
        record(.listenEnd, process.node, UInt32(listener.address.port), UInt32(process.index), 0) { "\(process.name) \(listener.address)" }
    }

    func connect(_ process: SimProcess, to address: SocketAddress, options: ConnectOptions, handler: any ConnectionHandler) -> any Connection {
        let node = process.node
        var target = address
        let local: SocketAddress
        var failure: HostFailure?
        if let source = node.source(toward: address.ip), let port = node.takePort() {
            local = SocketAddress(source, port)
        } else {
            local = SocketAddress(address.ip.isV4 ? .any : .v6(0, 0), 0)
            let isFamilyMissing = node.source(toward: address.ip) == nil
            failure = HostFailure("connect", isFamilyMissing ? .hostUnreachable : .other, subject: "\(address)", errno: isFamilyMissing ? 0 : 99)
        }
        if !node.owns(address.ip), let rules = node.redirect, rules.redirectsOutbound(userID: process.userID, port: address.port) {
            target = SocketAddress(address.ip.isV4 ? .loopback : .v6(0, 1), rules.outboundPort)
        } else if let backends = forwards[address] {
            if backends.isEmpty {
                failure = failure ?? HostFailure("connect", .connectionRefused, subject: "\(address)")
            } else {
                target = backends[backends.count == 1 ? 0 : link(node, node).below(backends.count)]
            }
        }
        let end = SimConnection(
            process: process, side: 0, local: local, remote: address, originalDestination: nil, stream: nil, state: .gone, userTimeout: options.userTimeout, keepAlive: options.keepAlive)
        guard process.isRunning else { return end }
        let slot = makeStreamSlot()
        streamsMade &+= 1
        let stream = SimStream(world: self, slot: slot, generation: streams[Int(slot)].generation, serial: streamsMade, client: end, target: target, meant: address)
        streams[Int(slot)].stream = stream
        end.stream = stream
        end.state = .connecting
        end.handler = handler
        process.connectionsOpen += 1
        record(.connect, node, stream.serial, UInt32(address.port), digest(of: "\(address)")) { "\(stream.label(end))\(target == address ? "" : " by \(target)")" }
        if let failure {
            stream.isRefusalFailure = failure
            schedule(.connectRefused, at: now.nanoseconds, target: slot, generation: stream.generation)
            return end
        }
        let limit = min(options.timeout ?? SimulatorLimits.connectGivesUp, SimulatorLimits.connectGivesUp)
        schedule(.connectTimeout, at: (now + max(.zero, limit)).nanoseconds, target: slot, generation: stream.generation)
        stream.trySyn()
        return end
    }

    private func makeStreamSlot() -> Int32 {
        if let free = freeStreams.popLast() { return free }
        streams.append(StreamSlot(stream: nil, generation: 1))
        return Int32(streams.count - 1)
    }

    func freeStream(_ slot: Int32) {
        streams[Int(slot)].stream = nil
        streams[Int(slot)].generation &+= 1
        freeStreams.append(slot)
    }

    func dropConnections(of process: SimProcess, silently: Bool) {
        for i in streams.indices {
            guard let stream = streams[i].stream else { continue }
            for end in [stream.client, stream.server] {
                guard let end, end.process === process else { continue }
                if end.isLingering, !silently { stream.closerDied(end) }
                if end.isOrphan, silently {
                    end.isOrphan = false
                    end.isLingering = false
                }
                if end.side == 0 || end.state == .open { stream.ownerDied(end, silently: silently) }
            }
        }
    }

    /// Moves the next bytes of a flow to the scratch buffer and into its digest.
    @inline(__always)
    func take(_ length: Int, from flow: Flow) {
        scratch.removeAll()
        flow.bytes.withUnsafeBytes { all in
            let head = UnsafeRawBufferPointer(rebasing: all[..<length])
            scratch.append(head)
        }
        flow.bytes.consume(length)
        if let planted { spoil(planted, flow) }
        scratch.withUnsafeBytes { flow.received.mix($0) }
        if flow.bytes.isEmpty, flow.bytes.capacityBytes > 65_536 { flow.bytes.release() }
    }
}
