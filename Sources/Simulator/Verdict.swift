// What the judges found. A run passes when nothing was violated; the last line says which run it was.

import Base

/// One broken promise.
public struct Violation: Hashable, Sendable, CustomStringConvertible {
    /// Virtual time.
    public var time: Instant
    /// nil: the world as a whole.
    public var node: String?
    /// Which promise: `conservation`, `leak`, `timer`, `plaintext`, `secret`, `unexpected`, `stall`, or a scenario's own word.
    public var rule: String
    public var text: String

    public var description: String { "\(time - .zero) \(node ?? "world") \(rule): \(text)" }
}

public struct Verdict: Sendable, CustomStringConvertible {
    public var violations: [Violation]
    /// Violations that were only counted.
    public var violationsDropped: Int
    /// The last records, oldest first.
    public var lastRecords: [Trace.Record]
    /// The same for people.
    public var lastLines: [String]
    /// `TRACE v1 seed=S plan=P build=B events=N vtime=T hash=H`. Equal lines: equal runs.
    public var traceLine: String
    /// The numbers that every stream of the world would draw next, as one: runs that drew differently differ in it.
    public var unseed: UInt64
    /// The whole fault plan, as text.
    public var plan: String

    public var passes: Bool { violations.isEmpty }

    /// The trace line, and before it whatever was violated.
    public var description: String {
        var text = violations.map { "VIOLATION \($0)\n" }.joined()
        if violationsDropped > 0 { text += "VIOLATION and \(violationsDropped) more\n" }
        return text + traceLine + " unseed=\(unseed.hex)"
    }
}

extension World {
    /// A scenario's own judge found something.
    public func violate(_ rule: String, node: Node?, _ text: String) {
        let mixed = digest(of: rule + text)
        trace.add(time: now.nanoseconds, node: node?.number ?? 0, kind: .violation, a: 0, b: 0, digest: mixed)
        printLine(node?.name ?? "world", .violation, "\(rule): \(text)")
        guard violations.count < SimulatorLimits.violationsKept else {
            violationsDropped += 1
            return
        }
        violations.append(Violation(time: now, node: node?.name, rule: rule, text: text))
    }

    func violate(_ check: Checks, node: Node?, _ text: String) {
        guard options.checks.contains(check) else { return }
        let names: [(Checks, String)] = [
            (.conservation, "conservation"), (.leaks, "leak"), (.timers, "timer"), (.plaintext, "plaintext"), (.secrets, "secret"), (.unexpected, "unexpected"),
            (.stalls, "stall"),
        ]
        violate(names.first { $0.0 == check }?.1 ?? "check", node: node, text)
    }

    /// Bytes that must never cross from node to node in the clear. Connections made from now on are searched for them.
    public func declareSecret(_ bytes: [UInt8]) {
        secrets.add(bytes)
    }

    /// Asks every running process to stop.
    public func stopAll() {
        for process in processes { process.stop() }
    }

    /// Runs the judges that look at the end, and closes the trace. Call it once, after `stopAll` and a run that let them stop.
    public func finish() -> Verdict {
        for process in processes { judgeLeaks(process) }
        for slot in streams {
            guard let stream = slot.stream else { continue }
            for side in 0..<2 {
                let flow = stream.flow(from: side)
                if flow.received.length > flow.sent.length { violate(.conservation, node: nil, "stream #\(stream.serial) delivered more than was sent") }
            }
        }
        trace.add(time: now.nanoseconds, node: 0, kind: .end, a: UInt32(processes.count), b: UInt32(nodes.count), digest: seed)
        var unseed = Digest64()
        for link in links { unseed.mix(link.next()) }
        for process in processes { unseed.mix(process.secrets.next()) }
        let line =
            "TRACE v1 seed=\(seed) plan=\(faults.digest.hex) build=\(options.build) events=\(trace.events) vtime=\(now.nanoseconds) hash=\(trace.hash.hex)"
        return Verdict(
            violations: violations, violationsDropped: violationsDropped, lastRecords: trace.last,
            lastLines: trace.last.map { Trace.describe($0, nodes: nodes.map(\.name)) }, traceLine: line, unseed: unseed.value, plan: faults.description)
    }

    private func judgeLeaks(_ process: SimProcess) {
        switch process.state {
        case .running where process.isShuttingDown:
            let bound = process.connectionsOpen + process.listeners.count + process.sockets.count
            if bound > 0, !process.exemptFrom.contains(.leaks) { violate(.leaks, node: process.node, "\(process.path) was stopped and still has \(process.open)") }
            if process.timersSet > 0, !process.exemptFrom.contains(.timers) {
                violate(.timers, node: process.node, "\(process.path) was stopped and still has \(process.timersSet) timers")
            }
        case .exited:
            // An exit gives listeners, sockets and timers back to the kernel; connections cut by it were somebody's requests.
            if let left = process.leftover, !process.exemptFrom.contains(.leaks) { violate(.leaks, node: process.node, "\(process.path) exited with \(left)") }
        case .running, .notStarted, .crashed: break
        }
    }

    // MARK: Judges on the way

    /// A direction has ended in order: what was read is what was sent.
    func judgeConservation(_ flow: Flow, _ stream: SimStream) {
        if flow.sentValue != flow.received.value || flow.sent.length != flow.received.length, flow.dropped == 0 { reportSpoilt(flow, stream) }
    }

    /// Once a flow.
    func reportSpoilt(_ flow: Flow, _ stream: SimStream) {
        guard !flow.isSpoilt, flow.sent.length > 0 || flow.received.length > 0 else { return }
        flow.isSpoilt = true
        violate(
            .conservation, node: flow.link?.to,
            "stream #\(stream.serial) to \(stream.meant), \(flow.direction == 0 ? "forward" : "back"): \(flow.sent.length) bytes in, \(flow.received.length) out, or others")
    }

    /// Sets inspectors on a stream whose ends are known now.
    func inspect(_ stream: SimStream) {
        guard let link = stream.forward.link, !link.isLoopback else { return }
        let isDeclared = link.to.plaintextPorts.contains { $0.contains(stream.target.port) }
        let wantsTLS = options.checks.contains(.plaintext) && link.from.isMeshed && link.to.isMeshed && !isDeclared
        let secrets = options.checks.contains(.secrets) ? self.secrets : nil
        guard wantsTLS || secrets != nil else { return }
        stream.forward.inspector = WireInspector(wantsTLS: wantsTLS, secrets: secrets)
        stream.backward.inspector = WireInspector(wantsTLS: wantsTLS, secrets: secrets)
    }

    func report(_ finding: WireInspector.Finding, _ link: Link, _ what: String) {
        switch finding {
        case .plaintext(let why): violate(.plaintext, node: link.from, "\(what) to \(link.to.name) is no TLS: \(why)")
        case .secret(let index): violate(.secrets, node: link.from, "\(what) to \(link.to.name) carries secret \(index)")
        }
    }
}

extension SimStream {
    /// A segment is about to go on the wire; its bytes are the first unsent ones of the flow.
    func observe(_ segment: Segment, on flow: Flow) {
        guard let link = flow.link else { return }
        let range = flow.inFlight..<flow.inFlight + Int(segment.length)
        if flow.inspector != nil, segment.length > 0 {
            let finding = flow.bytes.withUnsafeBytes { flow.inspector?.inspect(UnsafeRawBufferPointer(rebasing: $0[range])) }
            if let finding {
                flow.inspector = nil
                world.report(finding, link, "stream #\(serial) \(client.localAddress)→\(target)")
            }
        }
        for capture in world.captures where capture.wants(link) {
            flow.bytes.withUnsafeBytes { capture.segment(self, flow.direction, UnsafeRawBufferPointer(rebasing: $0[range]), isEnd: segment.content == .end) }
        }
    }

    enum HandshakePacket { case syn, synAck, ack, refusal, reset(from: Int), dataAck(from: Int) }

    func observeHandshake(_ packet: HandshakePacket) {
        guard !world.captures.isEmpty, let link = forward.link else { return }
        for capture in world.captures where capture.wants(link) { capture.handshake(self, packet) }
    }
}

extension World {
    func observeDatagram(_ bytes: RawSpan, from source: SocketAddress, to target: SocketAddress, on link: Link) {
        if !link.isLoopback, options.checks.contains(.secrets) {
            let index = bytes.withUnsafeBytes { secrets.find(in: $0) }
            if let index { report(.secret(index), link, "datagram \(source)→\(target)") }
        }
        for capture in captures where capture.wants(link) {
            bytes.withUnsafeBytes { capture.datagram($0, from: source, to: target) }
        }
    }
}
