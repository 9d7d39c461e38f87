// One end of a simulated connection, as its process holds it. What it does is the stream's business; here is only what an end
// knows by itself.

import Base
import Platform

public final class SimConnection: Connection {
    enum State { case connecting, open, gone }

    public var handler: (any ConnectionHandler)?
    public let localAddress: SocketAddress
    public let remoteAddress: SocketAddress
    public let originalDestination: SocketAddress?
    /// Touched by the stream only, and that is gone before the process.
    unowned(unsafe) let process: SimProcess
    /// 0: the client's end. 1: the server's.
    let side: Int
    /// nil once both ends are gone.
    var stream: SimStream?
    var state: State
    var hasFinished = false
    var isPeerFinished = false
    /// `close` was called before the connection stood, with something to send.
    var isClosing = false
    /// Nobody holds this end any more; what is queued is still sent.
    var isOrphan = false
    /// Closed by its owner: what still comes is thrown away for a while. Ends at `lingersUntil`, set with the FIN.
    var isLingering = false
    var lingersUntil: Instant?
    var lingeredBytes = 0
    /// The way to the peer is broken since then; kept for ends with keep-alive.
    var silentSince: Instant?
    let userTimeout: Interval?
    let keepAlive: Interval?

    init(process: SimProcess, side: Int, local: SocketAddress, remote: SocketAddress, originalDestination: SocketAddress?, stream: SimStream?, state: State, userTimeout: Interval?, keepAlive: Interval?) {
        self.process = process
        self.side = side
        localAddress = local
        remoteAddress = remote
        self.originalDestination = originalDestination
        self.stream = stream
        self.state = state
        self.userTimeout = userTimeout
        self.keepAlive = keepAlive
    }

    /// Names the connection in the trace, the same at both ends.
    public var serial: UInt32 { stream?.serial ?? 0 }

    public func send(_ bytes: RawSpan) {
        guard state != .gone, !hasFinished, !isClosing, bytes.byteCount > 0 else { return }
        stream?.send(bytes, from: self)
    }

    public var bytesQueued: Int {
        guard state != .gone, let stream else { return 0 }
        let flow = stream.flow(from: side)
        if state == .connecting { return flow.bytes.count }
        flow.settle()
        return flow.queuedBytes
    }

    public func finish() {
        guard state != .gone, !hasFinished, !isClosing else { return }
        hasFinished = true
        stream?.finish(self)
    }

    public func close() {
        guard state != .gone, !isClosing else { return }
        stream?.close(self)
    }

    public func reset() {
        guard state != .gone else { return }
        stream?.abort(self, withReset: true)
    }

    public var isReadingPaused = false {
        didSet { if oldValue, !isReadingPaused { stream?.resumeReading(self) } }
    }
}

/// A bound port.
public final class SimListener: Listener {
    public let address: SocketAddress
    unowned let process: SimProcess
    let options: ListenOptions
    private(set) var handler: (any AcceptHandler)?
    /// Connections begun and not accepted.
    var pending = 0

    init(_ address: SocketAddress, process: SimProcess, options: ListenOptions, handler: any AcceptHandler) {
        self.address = address
        self.process = process
        self.options = options
        self.handler = handler
    }

    var isOpen: Bool { handler != nil }
    func covers(_ ip: IPAddress) -> Bool { Simulator.covers(address.ip, ip) }

    public func close() {
        guard isOpen else { return }
        handler = nil
        process.world.unlisten(self)
    }
}
