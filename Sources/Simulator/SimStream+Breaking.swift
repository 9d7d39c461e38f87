// How a connection breaks: RST, data for somebody who is gone, a silent peer, a process or a node that dies.

import Base
import Platform

extension SimStream {
    /// Ends this side at once; what waits to be sent is dropped.
    func abort(_ end: SimConnection, withReset: Bool) {
        let wasConnecting = end.state == .connecting
        world.record(.reset, end.process.node, serial, UInt32(end.side), 0) { label(end) }
        end.isOrphan = false
        detach(end)
        if let server, wasConnecting {
            // The half-open server side is a kernel's, not a process's.
            server.state = .gone
        } else if withReset, let other = self.end(1 - end.side) {
            sendReset(toward: other)
        }
        freeIfOver()
    }

    /// A RST on its way, behind everything that is on the wire already. Lost if the way is cut: nobody repeats it.
    func sendReset(toward end: SimConnection) {
        let flow = flow(from: 1 - end.side)
        guard let link = flow.link, !link.isCut, link.from.isUp else { return }
        observeHandshake(.reset(from: 1 - end.side))
        let time = flow.arrivalOfReset(link.arrival(0, now: world.now.nanoseconds))
        world.schedule(end.side == 0 ? .resetClient : .resetServer, at: time, target: slot, generation: generation)
    }

    func resetArrives(at end: SimConnection) {
        guard let link = flow(from: 1 - end.side).link, !link.isCut, link.to.isUp else { return }
        switch end.state {
        case .open, .connecting:
            if end.side == 1, !isAccepted {
                end.state = .gone
                return freeIfOver()
            }
            if deferredIfFrozen(end, end.side == 0 ? .resetClient : .resetServer) { return }
            report(end, HostFailure("read", .connectionReset, subject: "\(end.remoteAddress)"))
        case .gone:
            end.isOrphan = false
            freeIfOver()
        }
    }

    /// Something came for an end that nobody holds. A closed one throws it away for a while; else data is answered by RST, and
    /// what that end still had to say is lost. Source: Linux tcp_rcv_state_process with RCV_SHUTDOWN.
    func arriveAtNobody(_ flow: Flow, _ head: Segment, _ end: SimConnection) {
        flow.segments.removeFirst()
        let length = Int(head.length)
        if length > 0 {
            world.take(length, from: flow)
            flow.inFlight -= length
            end.lingeredBytes += length
            let isWithinTime = end.lingersUntil.map { world.now < $0 } ?? true
            if end.isLingering, isWithinTime, end.lingeredBytes <= SimulatorLimits.lingerBytesMax {
                flow.acknowledge(length, by: self.flow(from: end.side).link)
                observeHandshake(.dataAck(from: end.side))
            } else {
                end.isOrphan = false
                end.isLingering = false
                if let sender = self.end(flow.direction), sender.state != .gone || sender.isOrphan { sendReset(toward: sender) }
            }
        } else {
            end.isPeerFinished = true
            observeHandshake(.dataAck(from: end.side))
        }
        if !flow.segments.isEmpty { flow.scheduleHead() }
    }

    // MARK: Silence

    /// The sender of this flow gets no answer from now on.
    func senderIsUnheard(_ flow: Flow) {
        guard let sender = end(flow.direction), flow.unheardSince == nil else { return }
        flow.unheardSince = world.now
        scheduleGiveUp(sender, at: world.now + patience(of: sender))
    }

    private func patience(of end: SimConnection) -> Interval { end.userTimeout ?? SimulatorLimits.retransmissionGivesUp }

    private func scheduleGiveUp(_ end: SimConnection, at time: Instant) {
        world.schedule(end.side == 0 ? .giveUpClient : .giveUpServer, at: time.nanoseconds, target: slot, generation: generation)
    }

    /// The way between the ends has become bad: an idle end with keep-alive will find out.
    func wayBroke() {
        for side in 0..<2 {
            guard let end = end(side), end.state == .open, let patience = keepAlivePatience(end), end.silentSince == nil else { continue }
            end.silentSince = world.now
            scheduleGiveUp(end, at: world.now + patience)
        }
    }

    private func keepAlivePatience(_ end: SimConnection) -> Interval? {
        end.keepAlive.map { first in
            end.userTimeout.map { max(first, $0) } ?? first + SimulatorLimits.keepAliveProbeInterval * SimulatorLimits.keepAliveProbes
        }
    }

    /// The way between the ends is whole again.
    func wayHealed() {
        client.silentSince = nil
        server?.silentSince = nil
        forward.resume(back: backward.link)
        backward.resume(back: forward.link)
        // A probe of an idle end finds a kernel that knows nothing of the connection.
        for side in 0..<2 {
            guard let end = end(side), let other = self.end(1 - side), end.state == .open, end.keepAlive != nil, other.state == .gone, !other.isOrphan else { continue }
            sendReset(toward: end)
        }
    }

    func giveUp(_ end: SimConnection) {
        var due: Instant?
        if let since = flow(from: end.side).unheardSince { due = since + patience(of: end) }
        if let since = end.silentSince, let patience = keepAlivePatience(end) { due = min(due ?? .distantFuture, since + patience) }
        guard let due else { return }
        if due > world.now { return scheduleGiveUp(end, at: due) }
        if end.state == .gone {
            end.isOrphan = false
            return freeIfOver()
        }
        guard end.state == .open else { return }
        if deferredIfFrozen(end, end.side == 0 ? .giveUpClient : .giveUpServer) { return }
        report(end, HostFailure("read", .timedOut, subject: "\(end.remoteAddress)"))
    }

    // MARK: Death

    /// The process of this end is no more. Silently: no packet says so.
    func ownerDied(_ end: SimConnection, silently: Bool) {
        guard end.state != .gone else { return }
        if silently {
            end.isOrphan = false
            detach(end)
            return freeIfOver()
        }
        let incoming = flow(from: 1 - end.side)
        // A kernel answers a close with data unread by RST. Source: Linux tcp_close.
        if end.state == .connecting || incoming.isHeld && incoming.segments.first?.content == .data { return abort(end, withReset: true) }
        flow(from: end.side).truncate()
        world.record(.close, end.process.node, serial, UInt32(end.side), 0) { label(end) }
        orphan(end)
    }

    /// The process that closed this end before is no more: its kernel throws nothing away for it.
    func closerDied(_ end: SimConnection) {
        guard end.isLingering else { return }
        end.isLingering = false
        flow(from: end.side).truncate()
    }
}
