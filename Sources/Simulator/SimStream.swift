// A connection as the world holds it: two ends, two flows. Here the segments arrive and the ends' verbs take effect;
// how it comes into being is in SimStream+Opening, how it breaks in SimStream+Breaking.

import Base
import DequeModule
import Platform

struct StreamSlot {
    var stream: SimStream?
    var generation: UInt32
}

final class SimStream {
    /// Lets go of its streams when it goes.
    unowned(unsafe) let world: World
    let slot: Int32
    let generation: UInt32
    /// Counts from 1, never reused.
    let serial: UInt32
    let client: SimConnection
    var server: SimConnection?
    /// nil after the flows' owner was told apart; set for good in `init`.
    private(set) var forward: Flow!
    private(set) var backward: Flow!
    /// Where the client's kernel sends its packets.
    let target: SocketAddress
    /// Where the client meant to go.
    let meant: SocketAddress
    var listener: SimListener?
    var connectAttempts = 0
    var isRefusalFailure: HostFailure?
    private var manner = Manner.whole

    private enum Manner { case whole, ethernet, ragged, tiny, bytewise }

    init(world: World, slot: Int32, generation: UInt32, serial: UInt32, client: SimConnection, target: SocketAddress, meant: SocketAddress) {
        self.world = world
        self.slot = slot
        self.generation = generation
        self.serial = serial
        self.client = client
        self.target = target
        self.meant = meant
        let window = world.options.receiveWindowBytes
        forward = Flow(stream: self, direction: 0, window: window)
        backward = Flow(stream: self, direction: 1, window: window)
    }

    func flow(from side: Int) -> Flow { side == 0 ? forward : backward }
    func end(_ side: Int) -> SimConnection? { side == 0 ? client : server }

    /// Whether this side may put data on the wire.
    func isOpen(at side: Int) -> Bool {
        guard let end = end(side) else { return false }
        return end.state == .open || end.isOrphan
    }

    // MARK: Pieces

    func drawManner(_ link: Link) {
        switch world.options.segmentation {
        case .whole: manner = .whole
        case .ethernet: manner = .ethernet
        case .bytewise: manner = .bytewise
        case .seeded: manner = [.whole, .ethernet, .ragged, .tiny][link.below(4)]
        }
    }

    /// The longest next segment.
    @inline(__always)
    func segmentLimit(on flow: Flow, _ link: Link) -> Int {
        switch manner {
        case .whole: SimulatorLimits.segmentBytesMax
        case .ethernet: SimulatorLimits.segmentBytesEthernet
        case .ragged: 1 + link.below(2 * SimulatorLimits.segmentBytesEthernet)
        case .tiny: flow.wireBytes < 4096 ? 1 + link.below(16) : 1 + link.below(SimulatorLimits.segmentBytesEthernet)
        case .bytewise: 1
        }
    }

    // MARK: The ends' verbs

    func send(_ bytes: RawSpan, from end: SimConnection) {
        let flow = flow(from: end.side)
        bytes.withUnsafeBytes { flow.sent.mix($0) }
        flow.bytes.append(bytes)
        flow.sentValue = flow.sent.value
        world.record(.sent, end.process.node, serial, UInt32(truncatingIfNeeded: bytes.byteCount), flow.sentValue) { "\(label(end)) \(bytes.byteCount) B" }
        if end.state == .connecting {
            flow.isQueued = true
            return
        }
        flow.settle()
        flow.pump()
    }

    func finish(_ end: SimConnection) {
        world.record(.finish, end.process.node, serial, UInt32(end.side), 0) { label(end) }
        let flow = flow(from: end.side)
        flow.wantsEnd = true
        flow.settle()
        flow.pump()
    }

    /// By its owner: what is queued is still sent; what comes is thrown away for a while.
    func close(_ end: SimConnection) {
        let flow = flow(from: end.side)
        if end.state == .connecting {
            if flow.bytes.isEmpty { return abort(end, withReset: true) }
            end.isClosing = true
            end.handler = nil
            return
        }
        world.record(.close, end.process.node, serial, UInt32(end.side), 0) { label(end) }
        end.isLingering = true
        orphan(end)
    }

    /// Takes an end from its owner; its kernel goes on.
    func orphan(_ end: SimConnection) {
        end.isOrphan = true
        detach(end)
        let incoming = self.flow(from: 1 - end.side)
        incoming.isHeld = false
        if !incoming.isScheduled, !incoming.isStalled { incoming.scheduleHead() }
        let flow = flow(from: end.side)
        flow.wantsEnd = true
        flow.settle()
        flow.pump()
        if !flow.hasEnded { watchFlush(end) }
        freeIfOver()
    }

    /// A FIN went out.
    func endIsSent(_ end: SimConnection) {
        if end.isOrphan { end.lingersUntil = world.now + SimulatorLimits.lingerTime } else { endIfBothEnded(end) }
    }

    private func watchFlush(_ end: SimConnection) {
        end.lingeredBytes = 0
        flow(from: end.side).markProgress()
        world.schedule(end.side == 0 ? .flushClient : .flushServer, at: (world.now + SimulatorLimits.flushStallTime).nanoseconds, target: slot, generation: generation)
    }

    /// Nobody waits for a closed end, so nobody would end one whose peer takes nothing.
    private func checkFlush(_ end: SimConnection) {
        guard end.isOrphan, !flow(from: end.side).hasEnded else { return }
        if flow(from: end.side).hasProgressed { return watchFlush(end) }
        end.isOrphan = false
        end.isLingering = false
        world.record(.reset, end.process.node, serial, UInt32(end.side), 0) { label(end) }
        if let other = self.end(1 - end.side) { sendReset(toward: other) }
        freeIfOver()
    }

    func resumeReading(_ end: SimConnection) {
        let incoming = flow(from: 1 - end.side)
        guard incoming.isHeld else { return }
        incoming.isHeld = false
        if !incoming.isScheduled { incoming.scheduleHead() }
    }

    // MARK: Events

    func run(_ event: Event) {
        switch event.kind {
        case .forward: arrive(forward)
        case .backward: arrive(backward)
        case .ackClient: heard(client, forward)
        case .ackServer: if let server { heard(server, backward) }
        case .resetClient: resetArrives(at: client)
        case .resetServer: if let server { resetArrives(at: server) }
        case .syn: synArrives()
        case .synAck: synAckArrives()
        case .synRetry: trySyn()
        case .connectTimeout: failConnect(.timedOut)
        case .connectRefused: refusalArrives()
        case .endClient: tellEnd(client)
        case .endServer: if let server { tellEnd(server) }
        case .giveUpClient: giveUp(client)
        case .giveUpServer: if let server { giveUp(server) }
        case .flushClient: checkFlush(client)
        case .flushServer: if let server { checkFlush(server) }
        case .timer, .datagram, .fault, .processStart: invariantBroken("a stream's event is a stream's")
        }
    }

    /// Whether an event still concerns somebody: a deadline that was met moves no time.
    func isLive(_ kind: EventKind) -> Bool {
        switch kind {
        case .connectTimeout, .synRetry: client.state == .connecting
        case .flushClient: client.isOrphan && !forward.hasEnded
        case .flushServer: server?.isOrphan ?? false && !backward.hasEnded
        case .giveUpClient: client.silentSince != nil || forward.unheardSince != nil
        case .giveUpServer: server?.silentSince != nil || backward.unheardSince != nil
        default: true
        }
    }

    private func heard(_ end: SimConnection, _ flow: Flow) {
        if flow.hear(), end.state == .open {
            world.record(.drained, end.process.node, serial, 0, 0) { label(end) }
            if let handler = end.handler { world.perform(end.process) { handler.drained(end) } }
        }
        freeIfOver()
    }

    /// The head of a flow is at its receiver.
    private func arrive(_ flow: Flow) {
        flow.isScheduled = false
        guard let head = flow.segments.first, let link = flow.link, !flow.isStalled, !flow.isHeld else { return }
        let now = world.now.nanoseconds
        if head.arrival > now { return flow.scheduleHead() }
        if link.isCut || !link.to.isUp {
            flow.stall()
            return freeIfOver()
        }
        if link.cloggedUntil.nanoseconds > now {
            flow.segments[0].arrival = link.cloggedUntil.nanoseconds
            return flow.scheduleHead()
        }
        if head.content == .open { return openArrives(flow) }
        guard let end = end(1 - flow.direction) else { return }
        if end.state == .gone { return arriveAtNobody(flow, head, end) }
        if end.process.frozenUntil > world.now {
            flow.segments[0].arrival = end.process.frozenUntil.nanoseconds
            return flow.scheduleHead()
        }
        if end.isReadingPaused {
            flow.isHeld = true
            return
        }
        if head.content == .end { return endArrives(flow, end) }
        deliver(flow, end, now)
    }

    private func deliver(_ flow: Flow, _ end: SimConnection, _ now: Int64) {
        var length = Int(flow.segments.removeFirst().length)
        // What came at the same moment may be read at once.
        while let next = flow.segments.first, next.content == .data, next.arrival <= now, manner != .bytewise, length + Int(next.length) <= SimulatorLimits.segmentBytesMax {
            length += Int(next.length)
            flow.segments.removeFirst()
        }
        world.take(length, from: flow)
        flow.inFlight -= length
        let digest = flow.received.value
        world.record(.data, end.process.node, serial, UInt32(truncatingIfNeeded: length), digest) { "\(label(end)) \(length) B" }
        if flow.bytes.isEmpty, digest != flow.sentValue { world.reportSpoilt(flow, self) }
        flow.acknowledge(length, by: self.flow(from: end.side).link)
        observeHandshake(.dataAck(from: end.side))
        if !flow.segments.isEmpty { flow.scheduleHead() }
        guard let handler = end.handler else { return }
        var scratch = ByteBuffer()
        swap(&scratch, &world.scratch)
        world.perform(end.process) { scratch.withBytes { handler.received($0, on: end) } }
        swap(&scratch, &world.scratch)
    }

    private func endArrives(_ flow: Flow, _ end: SimConnection) {
        flow.segments.removeFirst()
        end.isPeerFinished = true
        world.record(.finished, end.process.node, serial, UInt32(end.side), flow.received.value) { label(end) }
        world.judgeConservation(flow, self)
        observeHandshake(.dataAck(from: end.side))
        if let handler = end.handler { world.perform(end.process) { handler.finished(end) } }
        endIfBothEnded(end)
    }

    /// Both directions have ended: the end hears it in a turn of its own.
    func endIfBothEnded(_ end: SimConnection) {
        guard end.state == .open, end.isPeerFinished, end.hasFinished, flow(from: end.side).hasEnded else { return }
        world.schedule(end.side == 0 ? .endClient : .endServer, at: world.now.nanoseconds, target: slot, generation: generation)
    }

    private func tellEnd(_ end: SimConnection) {
        guard end.state == .open else { return }
        report(end, nil)
    }

    // MARK: Ends going

    /// The last call to an end's handler.
    func report(_ end: SimConnection, _ failure: HostFailure?) {
        let handler = end.handler
        detach(end)
        world.record(.closed, end.process.node, serial, failure.map { UInt32($0.reason.rawValue) + 1 } ?? 0, 0) { "\(label(end)) \(failure.map { "\($0)" } ?? "")" }
        if let handler { world.perform(end.process) { handler.closed(end, failure) } }
        freeIfOver()
    }

    /// The process no longer has this end.
    func detach(_ end: SimConnection) {
        guard end.state != .gone else { return }
        end.state = .gone
        end.handler = nil
        if end.side == 0 || isAccepted { end.process.connectionsOpen -= 1 }
    }

    /// Frees the slot once nobody is interested any more.
    func freeIfOver() {
        // A half-open server side whose client is gone and whose third packet will not come is a kernel's to forget.
        if let server, server.state == .connecting, client.state == .gone, !client.isOrphan, forward.segments.isEmpty || forward.isStalled { server.state = .gone }
        guard client.state == .gone, server?.state ?? .gone == .gone, world.streams[Int(slot)].generation == generation else { return }
        if let listener, !isAccepted { listener.pending -= 1 }
        listener = nil
        if client.localAddress.port != 0 { client.process.node.releasePort(client.localAddress.port) }
        forward.release()
        backward.release()
        world.freeStream(slot)
        client.stream = nil
        server?.stream = nil
    }

    /// The third packet of the handshake has reached the listener.
    var isAccepted = false

    func label(_ end: SimConnection) -> String {
        "\(end.process.name) #\(serial) \(end.localAddress)\(end.side == 0 ? "→" : "←")\(end.remoteAddress)"
    }
}
