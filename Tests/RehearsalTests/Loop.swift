// A world of one host and a loopback: virtual time, connections that deliver a millisecond later, nothing else. It proves caller and
// responder without a mesh in between; the mesh's own proofs run in the simulator.

import Base
import Platform

final class LoopHost: Host, Network, Files {
    private var queue: [(time: Instant, order: UInt64, action: () -> Void)] = []
    private var order: UInt64 = 0
    private(set) var now = Instant.zero
    private var cancelled: Set<UInt64> = []
    private var listeners: [SocketAddress: any AcceptHandler] = [:]
    /// Bug events.
    private(set) var surprises: [String] = []

    var wall: WallTime { WallTime(nanoseconds: now.nanoseconds) }
    var network: any Network { self }
    var files: any Files { self }
    var programs: any Programs { NoPrograms { [self] action in _ = after(.zero, action) } }
    var settings: Settings { Settings() }
    let log = Log(control: Log.Control(level: .off)) { _, _, _ in }
    var resolverConfiguration: ResolverConfiguration { ResolverConfiguration(servers: []) }

    func after(_ delay: Interval, _ action: @escaping () -> Void) -> TimerID {
        order += 1
        queue.append((now + max(.zero, delay), order, action))
        return TimerID(rawValue: order)
    }

    func cancel(_ timer: TimerID) { cancelled.insert(timer.rawValue) }
    func random(_ label: String) -> Random { Random(seed: 1).fork(label) }
    func onShutdown(_ action: @escaping () -> Void) {}
    func exit(_ status: Int32) {}
    func unexpected(_ fact: String) { surprises.append(fact) }
    func read(_ path: String) throws(HostFailure) -> [UInt8] { throw HostFailure("read", .notFound, subject: path) }
    func list(_ directory: String) throws(HostFailure) -> [String] { throw HostFailure("list", .notFound, subject: directory) }
    func write(_ path: String, _ bytes: [UInt8], mode: UInt32) throws(HostFailure) {}
    func datagrams(on address: SocketAddress, handler: any DatagramHandler) throws(HostFailure) -> any DatagramSocket { throw HostFailure("bind", .other) }

    /// Runs until nothing is left to do.
    func run() {
        while let next = queue.indices.min(by: { (queue[$0].time, queue[$0].order) < (queue[$1].time, queue[$1].order) }) {
            let event = queue.remove(at: next)
            now = max(now, event.time)
            if cancelled.remove(event.order) == nil { event.action() }
        }
    }

    func listen(on address: SocketAddress, options: ListenOptions, handler: any AcceptHandler) throws(HostFailure) -> any Listener {
        listeners[address] = handler
        return LoopListener(address: address)
    }

    func connect(to address: SocketAddress, options: ConnectOptions, handler: any ConnectionHandler) -> any Connection {
        let near = LoopConnection(self, remote: address)
        near.handler = handler
        _ = after(.milliseconds(1)) { [self] in
            guard let listener = listeners[address] else { return near.end(HostFailure("connect", .connectionRefused, subject: "\(address)")) }
            let far = LoopConnection(self, remote: SocketAddress(.loopback, 1))
            near.peer = far
            far.peer = near
            listener.accepted(far)
            near.handler?.connected(near)
        }
        return near
    }
}

private final class LoopListener: Listener {
    let address: SocketAddress
    init(address: SocketAddress) { self.address = address }
    func close() {}
}

private final class LoopConnection: Connection {
    private let host: LoopHost
    var handler: (any ConnectionHandler)?
    var peer: LoopConnection?
    let localAddress = SocketAddress(.loopback, 2)
    let remoteAddress: SocketAddress
    let originalDestination: SocketAddress? = nil
    let bytesQueued = 0
    var isReadingPaused = false
    private var isClosed = false

    init(_ host: LoopHost, remote: SocketAddress) {
        self.host = host
        remoteAddress = remote
    }

    /// Delivered in small pieces, so that every reader meets partial messages.
    func send(_ bytes: RawSpan) {
        guard !isClosed else { return }
        let all = bytes.array()
        for start in stride(from: 0, to: all.count, by: 700) {
            let piece = Array(all[start..<min(all.count, start + 700)])
            _ = host.after(.milliseconds(1)) { [peer] in
                guard let peer, !peer.isClosed else { return }
                peer.handler?.received(piece.span.bytes, on: peer)
            }
        }
    }

    func finish() {
        _ = host.after(.milliseconds(1)) { [peer] in
            guard let peer, !peer.isClosed else { return }
            peer.handler?.finished(peer)
        }
    }

    func close() {
        guard !isClosed else { return }
        finish()
        isClosed = true
        handler = nil
    }

    func reset() { close() }

    func end(_ failure: HostFailure) {
        guard !isClosed else { return }
        isClosed = true
        let last = handler
        handler = nil
        last?.closed(self, failure)
    }
}
