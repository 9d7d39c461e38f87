// What faults do to the world. A plan's entries and the verbs that a scenario calls are the same values and leave the same record.

import Base

extension World {
    func scheduleFaults() {
        planGeneration &+= 1
        for (index, timed) in faults.faults.enumerated() {
            let at = Instant.zero + timed.at
            schedule(.fault, at: max(at, now).nanoseconds, target: Int32(index), generation: planGeneration)
        }
    }

    func fireFault(_ event: Event) { apply(faults.faults[Int(event.target)].fault) }

    // MARK: Verbs

    public func partition(_ a: Node, _ b: Node) { apply(.partition(a.name, b.name)) }
    public func heal(_ a: Node, _ b: Node) { apply(.heal(a.name, b.name)) }
    public func clog(_ a: Node, _ b: Node, for time: Interval) { apply(.clog(a.name, b.name, time)) }
    public func resetConnections(_ a: Node, _ b: Node) { apply(.reset(a.name, b.name)) }
    public func crash(_ node: Node) { apply(.crash(node.name)) }
    public func restart(_ node: Node) { apply(.restart(node.name)) }
    public func crash(_ process: SimProcess) { apply(.crash(process.path)) }
    public func restart(_ process: SimProcess) { apply(.restart(process.path)) }
    public func freeze(_ process: SimProcess, for time: Interval) { apply(.freeze(process.path, time)) }
    public func stepWall(_ node: Node, by step: Interval) { apply(.wallStep(node.name, step)) }
    public func driftWall(_ node: Node, perMillion: Int64) { apply(.wallDrift(node.name, perMillion)) }

    /// Does it now.
    public func apply(_ fault: Fault) {
        let text = fault.description
        trace.add(time: now.nanoseconds, node: 0, kind: .fault, a: 0, b: 0, digest: digest(of: text))
        printLine("world", .fault, text)
        switch fault {
        case .partition(let a, let b):
            forPairs(a, b) {
                cut($0, $1)
                cut($1, $0)
            }
        case .cut(let a, let b): forPairs(a, b) { cut($0, $1) }
        case .heal(let a, let b):
            forPairs(a, b) { mend($0, $1) }
            mendStreams()
        case .healAll:
            for link in links {
                link.isCut = false
                link.cloggedUntil = .zero
            }
            mendStreams()
        case .clog(let a, let b, let time):
            forPairs(a, b) {
                link($0, $1).cloggedUntil = max(link($0, $1).cloggedUntil, now + time)
                link($1, $0).cloggedUntil = max(link($1, $0).cloggedUntil, now + time)
            }
        case .link(let a, let b, let options): forPairs(a, b) { setLink(from: $0, to: $1, options) }
        case .unlink(let a, let b): forPairs(a, b) { setLink(from: $0, to: $1, options.link) }
        case .reset(let a, let b): forPairs(a, b) { resetStreams($0, $1, both: true) }
        case .drop(let a, let b): forPairs(a, b) { resetStreams($0, $1, both: false) }
        case .crash(let place): forPlaces(place, crashNode) { $0.end(nil, silently: false) }
        case .restart(let place):
            forPlaces(place, restartNode) {
                $0.end(nil, silently: false)
                $0.start()
            }
        case .stop(let place): forPlaces(place, { $0.processes.forEach { $0.stop() } }) { $0.stop() }
        case .freeze(let place, let time):
            forPlaces(place, { $0.processes.forEach { freezeProcess($0, time) } }) { freezeProcess($0, time) }
        case .wallStep(let place, let step): forPlaces(place, { $0.stepWall(by: step) }) { _ in }
        case .wallDrift(let place, let drift): forPlaces(place, { $0.driftWall(perMillion: drift) }) { _ in }
        case .names(let trouble, let time): nameServer?.suffer(trouble, until: now + time)
        }
    }

    // MARK: Places

    private func matches(_ name: String, _ pattern: String) -> Bool {
        pattern.utf8.last == UInt8(ascii: "*") ? name.hasPrefix(pattern.dropLast()) : name == pattern
    }

    /// Each pair of different living nodes, in order of birth.
    private func forPairs(_ a: String, _ b: String, _ body: (Node, Node) -> Void) {
        for from in nodes where matches(from.name, a) && node(from.name) === from {
            for to in nodes where to !== from && matches(to.name, b) && node(to.name) === to { body(from, to) }
        }
    }

    private func forPlaces(_ place: String, _ nodeBody: (Node) -> Void, _ processBody: (SimProcess) -> Void) {
        let parts = place.split(separator: "/", maxSplits: 1).map(String.init)
        guard let nodePart = parts.first else { return }
        for node in nodes where matches(node.name, nodePart) && self.node(node.name) === node {
            if parts.count == 1 {
                nodeBody(node)
            } else {
                for process in node.processes where matches(process.name, parts[1]) { processBody(process) }
            }
        }
    }

    // MARK: Doing it

    private func cut(_ from: Node, _ to: Node) {
        let link = link(from, to)
        guard !link.isCut else { return }
        link.isCut = true
        forStreams { if $0.forward.link === link || $0.backward.link === link { $0.wayBroke() } }
    }

    private func mend(_ a: Node, _ b: Node) {
        for link in [link(a, b), link(b, a)] {
            link.isCut = false
            link.cloggedUntil = .zero
        }
    }

    /// Tells the streams whose way is whole.
    private func mendStreams() {
        forStreams { stream in
            guard let there = stream.forward.link, let back = stream.backward.link else { return }
            if there.from.isUp, there.to.isUp, !there.isCut, !back.isCut { stream.wayHealed() } else { stream.wayHealedPartly() }
        }
    }

    private func resetStreams(_ a: Node, _ b: Node, both: Bool) {
        forStreams { stream in
            guard let link = stream.forward.link else { return }
            if link.from === a && link.to === b || link.from === b && link.to === a { stream.sever(at: both ? nil : a) }
        }
    }

    private func crashNode(_ node: Node) {
        guard node.isUp else { return }
        for process in node.processes {
            process.restartsWithNode = process.isRunning
            process.end(nil, silently: true)
        }
        node.isUp = false
        forStreams { stream in
            guard stream.touches(node) else { return }
            // What its kernel still did for closed connections ends, too.
            for end in [stream.client, stream.server] {
                guard let end, end.process.node === node else { continue }
                end.isOrphan = false
                end.isLingering = false
            }
            stream.wayBroke()
        }
    }

    private func restartNode(_ node: Node) {
        if node.isUp { crashNode(node) }
        node.isUp = true
        mendStreams()
        for process in node.processes where process.restartsWithNode { process.start() }
    }

    private func freezeProcess(_ process: SimProcess, _ time: Interval) { process.frozenUntil = max(process.frozenUntil, now + time) }

    private func forStreams(_ body: (SimStream) -> Void) {
        for i in streams.indices {
            if let stream = streams[i].stream { body(stream) }
        }
    }
}

extension SimStream {
    func touches(_ node: Node) -> Bool { forward.link.map { $0.from === node || $0.to === node } ?? false }

    /// One way is whole, the other is not.
    func wayHealedPartly() {
        for flow in [forward, backward] as [Flow] {
            if let link = flow.link, !link.isCut, link.from.isUp, link.to.isUp { flow.resume(back: self.flow(from: 1 - flow.direction).link) }
        }
    }

    /// A middlebox loses patience: RST at both ends, or at the one on `node` only.
    func sever(at node: Node?) {
        for side in 0..<2 {
            guard let end = end(side), node == nil || end.process.node === node else { continue }
            world.schedule(side == 0 ? .resetClient : .resetServer, at: world.now.nanoseconds, target: slot, generation: generation)
        }
    }
}
