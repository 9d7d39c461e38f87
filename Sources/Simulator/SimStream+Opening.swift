// How a connection comes into being: SYN, its repetitions, the listener's backlog, redirection at the node that is reached, the
// answer, and the third packet, which is an ordinary segment at the head of the client's flow.

import Base
import DequeModule
import Platform

extension SimStream {
    /// Sends a SYN toward `target`, and arranges for the next attempt.
    func trySyn() {
        guard client.state == .connecting else { return }
        connectAttempts += 1
        let retry = SimulatorLimits.connectRetryFirst * Int64(1 << min(connectAttempts - 1, 6))
        world.schedule(.synRetry, at: (world.now + retry).nanoseconds, target: slot, generation: generation)
        let here = client.process.node
        guard let there = here.owns(target.ip) ? here : world.owner(of: target.ip) else {
            if world.options.unknownAddressesAnswer {
                isRefusalFailure = HostFailure("connect", .hostUnreachable, subject: "\(client.remoteAddress)")
                world.schedule(.connectRefused, at: (world.now + world.options.link.latency * 2).nanoseconds, target: slot, generation: generation)
            }
            return
        }
        let link = world.link(here, there)
        if forward.link == nil { drawManner(link) }
        forward.link = link
        backward.link = world.link(there, here)
        guard here.isUp, !link.isCut, !link.losesOne() else { return }
        observeHandshake(.syn)
        world.schedule(.syn, at: link.arrival(0, now: world.now.nanoseconds), target: slot, generation: generation)
    }

    func synArrives() {
        guard client.state == .connecting, let link = forward.link, !link.isCut, link.to.isUp else { return }
        let there = link.to
        if server != nil { return answerSyn() }
        var address = target
        var wasRedirected = target != meant
        if !link.isLoopback, let rules = there.redirect, rules.redirectsInbound(from: client.localAddress.ip, port: target.port) {
            address = SocketAddress(there.addresses.first { $0.isV4 == target.ip.isV4 } ?? target.ip, rules.inboundPort)
            wasRedirected = true
        }
        guard let listener = there.listener(at: address), listener.process.isRunning else { return refuse() }
        // A full backlog is silence, as Linux has it.
        guard listener.pending < Int(listener.options.backlog ?? SimulatorLimits.backlogDefault) else { return }
        let isTracked = there.redirect != nil || wasRedirected
        let original: SocketAddress? = listener.options.wantsOriginalDestination && isTracked ? (link.isLoopback ? meant : target) : nil
        let end = SimConnection(
            process: listener.process, side: 1, local: address, remote: client.localAddress, originalDestination: original, stream: self, state: .connecting,
            userTimeout: listener.options.userTimeout, keepAlive: listener.options.keepAlive)
        server = end
        self.listener = listener
        listener.pending += 1
        world.inspect(self)
        answerSyn()
    }

    private func answerSyn() {
        guard let back = backward.link, !back.isCut, !back.losesOne() else { return }
        observeHandshake(.synAck)
        world.schedule(.synAck, at: back.arrival(0, now: world.now.nanoseconds), target: slot, generation: generation)
    }

    /// Nobody listens: RST.
    private func refuse() {
        guard let back = backward.link, !back.isCut else { return }
        observeHandshake(.refusal)
        isRefusalFailure = HostFailure("connect", .connectionRefused, subject: "\(client.remoteAddress)")
        world.schedule(.connectRefused, at: back.arrival(0, now: world.now.nanoseconds), target: slot, generation: generation)
    }

    func refusalArrives() {
        guard client.state == .connecting, let failure = isRefusalFailure else { return }
        if let back = backward.link, back.isCut || !back.to.isUp { return }
        if deferredIfFrozen(client, .connectRefused) { return }
        report(client, failure)
    }

    func synAckArrives() {
        guard client.state == .connecting, let link = forward.link, let back = backward.link, !back.isCut else { return }
        if deferredIfFrozen(client, .synAck) { return }
        client.state = .open
        world.record(.connected, client.process.node, serial, 0, 0) { label(client) }
        observeHandshake(.ack)
        forward.emit(Segment(arrival: 0, length: 0, content: .open), link, world.now.nanoseconds)
        if let handler = client.handler { world.perform(client.process) { handler.connected(client) } }
        if client.isClosing {
            client.isClosing = false
            return close(client)
        }
        guard client.state == .open || client.isOrphan else { return }
        let waited = forward.isQueued
        forward.isQueued = false
        forward.pump()
        if waited, !forward.isQueued, client.state == .open, let handler = client.handler {
            world.record(.drained, client.process.node, serial, 0, 0) { label(client) }
            world.perform(client.process) { handler.drained(client) }
        }
    }

    /// The third packet: the listener's owner gets the connection.
    func openArrives(_ flow: Flow) {
        guard let server, let listener, server.state == .connecting else { return }
        if listener.process.frozenUntil > world.now {
            flow.segments[0].arrival = listener.process.frozenUntil.nanoseconds
            return flow.scheduleHead()
        }
        flow.segments.removeFirst()
        guard let handler = listener.handler, listener.process.isRunning else {
            // Closed meanwhile.
            server.state = .gone
            sendReset(toward: client)
            return freeIfOver()
        }
        isAccepted = true
        listener.pending -= 1
        server.state = .open
        server.process.connectionsOpen += 1
        world.record(.accept, server.process.node, serial, UInt32(server.localAddress.port), digest(of: "\(server.remoteAddress)")) {
            label(server) + (server.originalDestination.map { " meant for \($0)" } ?? "")
        }
        if !flow.segments.isEmpty { flow.scheduleHead() }
        world.perform(server.process) { handler.accepted(server) }
    }

    func failConnect(_ reason: HostFailure.Reason) {
        guard client.state == .connecting else { return }
        if deferredIfFrozen(client, .connectTimeout) { return }
        report(client, HostFailure("connect", reason, subject: "\(client.remoteAddress)"))
    }

    /// A frozen process hears of it when it thaws.
    func deferredIfFrozen(_ end: SimConnection, _ kind: EventKind) -> Bool {
        guard end.process.frozenUntil > world.now else { return false }
        world.schedule(kind, at: end.process.frozenUntil.nanoseconds, target: slot, generation: generation)
        return true
    }
}
