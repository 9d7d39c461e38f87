// A TCP connection on the loop: registered once for both directions, edge-triggered. A short read means drained, so no read
// is spent on EAGAIN; writes are tried at once and only what the kernel refuses is kept, so an idle connection owns no buffer.
// What must be told outside of an event (failures of a call, the end of both directions, resumed reading) goes through
// the host's ready list, so that no callback runs inside the call that caused it.

import Base
import CLinux
import Glibc
import Platform

public final class LinuxConnection: Connection, LoopSource {
    private enum Phase { case connecting, open, lingering, gone }

    private let host: LinuxHost
    private var fd: Int32
    private var registration: UInt32 = 0
    private var phase: Phase
    private var isRegistered = false

    /// The kernel may hold bytes or FIN that were not read.
    private var mayRead = false
    /// FIN or an error was announced: read until it shows, short read or not.
    private var sawHangup = false
    private var readEnded = false
    private var writeEnded = false
    private var finishAsked = false
    private var closeAsked = false
    private var isPaused = false
    private var isBulk = false
    private var isEnqueued = false
    /// A failure not told yet. The kernel's number.
    private var pendingErrno: Int32 = 0
    private var lingeredBytes = 0
    private var timer: TimerID?
    private var output = ByteBuffer()
    private var handlerNow: (any ConnectionHandler)?

    public private(set) var localAddress: SocketAddress
    public let remoteAddress: SocketAddress
    public private(set) var originalDestination: SocketAddress?

    /// An accepted descriptor, owned from here on.
    init(accepted fd: Int32, from peer: SocketAddress, wantsOriginalDestination: Bool, host: LinuxHost) throws(HostFailure) {
        self.host = host
        self.fd = fd
        phase = .open
        remoteAddress = peer
        localAddress = SocketAddress(.any, 0)
        originalDestination = nil
        readLocalAddress()
        if wantsOriginalDestination {
            var address = clinux_address()
            if clinux_original_destination(fd, peer.ip.isV4 ? 1 : 0, &address) == 0 { originalDestination = SocketAddress(kernel: address) }
        }
        try register()
    }

    /// Starts to connect; whatever comes of it is told later.
    init(to address: SocketAddress, options: ConnectOptions, handler: any ConnectionHandler, host: LinuxHost) {
        self.host = host
        phase = .connecting
        remoteAddress = address
        localAddress = SocketAddress(.any, 0)
        handlerNow = handler
        var stream = clinux_stream_options(keepAlive: options.keepAlive, userTimeout: options.userTimeout)
        fd = clinux_stream_socket(address.ip.isV4 ? 0 : 1, &stream)
        guard fd >= 0 else {
            pendingErrno = -fd
            enqueue()
            return
        }
        var kernel = address.kernel
        let result = clinux_connect(fd, &kernel)
        guard result == 0 || result == -EINPROGRESS else {
            pendingErrno = -result
            enqueue()
            return
        }
        do throws(HostFailure) { try register() } catch {
            pendingErrno = error.errno != 0 ? error.errno : ENOMEM
            enqueue()
            return
        }
        if let timeout = options.timeout {
            timer = host.after(timeout) { [self] in
                timer = nil
                end(HostFailure("connect", .timedOut, subject: remoteAddress.description))
            }
        }
    }

    private func register() throws(HostFailure) {
        let mask = (CLINUX_IN | CLINUX_OUT | CLINUX_RDHUP) | CLINUX_EDGE
        registration = try host.register(self, fd, mask)
        isRegistered = true
    }

    private func readLocalAddress() {
        var address = clinux_address()
        if clinux_local_address(fd, &address) == 0 { localAddress = SocketAddress(kernel: address) }
    }

    // MARK: What the owner asks

    /// While nil, nothing is read.
    public var handler: (any ConnectionHandler)? {
        get { handlerNow }
        set {
            if closeAsked || phase == .gone { return }
            handlerNow = newValue
            if newValue != nil, mayRead { enqueue() }
        }
    }

    public var bytesQueued: Int { output.count }
    /// Memory held for output. Unit: bytes. 0 while nothing is queued.
    public var bufferBytes: Int { output.capacityBytes }

    public var isReadingPaused: Bool {
        get { isPaused }
        set {
            if isPaused == newValue { return }
            isPaused = newValue
            if !newValue, mayRead { enqueue() }
        }
    }

    public func send(_ bytes: RawSpan) {
        guard !finishAsked, !closeAsked, pendingErrno == 0, phase != .gone, bytes.byteCount > 0 else { return }
        if phase == .connecting || !output.isEmpty { return output.append(bytes) }
        bytes.withUnsafeBytes { raw in
            var sent = 0
            while sent < raw.count {
                let n = clinux_send(fd, raw.baseAddress.unsafelyUnwrapped + sent, raw.count - sent)
                if n < 0 {
                    // EAGAIN asks the kernel for the EPOLLOUT that will bring us back.
                    if n == -Int(EAGAIN) { return output.append(UnsafeRawBufferPointer(rebasing: raw[sent...])) }
                    return failLater(Int32(-n))
                }
                sent += n
            }
        }
    }

    public func finish() {
        guard !finishAsked, !closeAsked, phase != .gone else { return }
        finishAsked = true
        if phase == .open, output.isEmpty, pendingErrno == 0 { endWriting() }
        if readEnded, writeEnded { enqueue() }
    }

    public func close() {
        guard !closeAsked, phase != .gone else { return }
        closeAsked = true
        handlerNow = nil
        isPaused = false
        // A connection that never stood, or one that failed, has nothing left to send.
        if pendingErrno != 0 || (phase == .connecting && output.isEmpty) { return release() }
        if phase == .open { output.isEmpty ? linger() : watchFlush(output.count) }
    }

    /// Someone answers for it, or it is over.
    var isSettled: Bool { handlerNow != nil || closeAsked || phase == .gone }

    public func reset() {
        guard phase != .gone else { return }
        if fd >= 0, phase != .connecting { _ = clinux_linger_zero(fd) }
        closeAsked = true
        release()
    }

    // MARK: What the kernel tells

    func ready(_ mask: UInt32) {
        if phase == .connecting {
            guard mask & (CLINUX_OUT | CLINUX_ERR | CLINUX_HUP) != 0 else { return }
            if !becomeConnected() { return }
        }
        if mask & (CLINUX_IN | CLINUX_RDHUP | CLINUX_HUP | CLINUX_ERR) != 0 {
            mayRead = true
            if mask & (CLINUX_RDHUP | CLINUX_HUP | CLINUX_ERR) != 0 { sawHangup = true }
        }
        if phase == .lingering { return discard() }
        // Nobody reads now, so nobody would find the error.
        if mask & CLINUX_ERR != 0, readEnded || isPaused || handlerNow == nil {
            let error = clinux_socket_error(fd)
            if error != 0 { return fail(error) }
        }
        if mask & CLINUX_OUT != 0, !output.isEmpty { flush() }
        read()
    }

    /// What the ready list brings: a failure to tell, reading to go on with, or the end.
    func proceed() {
        isEnqueued = false
        if phase == .gone { return }
        if pendingErrno != 0, phase == .connecting || isPaused || readEnded || closeAsked { return fail(pendingErrno) }
        // After a failed write the peer's last words may still wait in the kernel.
        if pendingErrno != 0 {
            mayRead = true
            sawHangup = true
        }
        read()
        endIfDone()
    }

    private func becomeConnected() -> Bool {
        let error = clinux_socket_error(fd)
        if error != 0 {
            fail(error)
            return false
        }
        phase = .open
        if let timer { host.cancel(timer) }
        timer = nil
        readLocalAddress()
        if let handlerNow { handlerNow.connected(self) }
        if phase != .open { return phase != .gone }
        if !output.isEmpty {
            flush()
            if phase == .open, closeAsked { watchFlush(output.count) }
        } else if finishAsked, !writeEnded {
            endWriting()
        }
        return phase != .gone
    }

    private func read() {
        guard mayRead, !readEnded, !isPaused, phase == .open else { return }
        var budget = host.limits.readBytesPerTurn
        while let handler = handlerNow {
            let size = isBulk ? host.limits.bulkReadBytes : host.limits.readBytes
            let n = clinux_receive(fd, host.scratch, size)
            if n > 0 {
                isBulk = n >= host.limits.readBytes
                if n < size, !sawHangup { mayRead = false }
                handler.received(UnsafeRawBufferPointer(start: host.scratch, count: n).bytes, on: self)
                if !mayRead || isPaused || phase != .open { return }
                budget -= n
                if budget <= 0 { return enqueue() }
            } else if n == 0 {
                if pendingErrno != 0 { return fail(pendingErrno) }
                mayRead = false
                readEnded = true
                handler.finished(self)
                return endIfDone()
            } else if n == -Int(EAGAIN) {
                if pendingErrno != 0 { return fail(pendingErrno) }
                mayRead = false
                return
            } else {
                return fail(pendingErrno != 0 ? pendingErrno : Int32(-n))
            }
        }
    }

    private func flush() {
        while !output.isEmpty {
            let n = output.withUnsafeBytes { clinux_send(fd, $0.baseAddress, $0.count) }
            if n < 0 {
                if n == -Int(EAGAIN) { return }
                return closeAsked ? release() : failLater(Int32(-n))
            }
            output.consume(n)
        }
        output.release()
        if closeAsked { return linger() }
        handlerNow?.drained(self)
        if phase == .open, finishAsked, !writeEnded, output.isEmpty { endWriting() }
        if phase == .open { endIfDone() }
    }

    private func endWriting() {
        writeEnded = true
        _ = clinux_shutdown_write(fd)
    }

    private func endIfDone() {
        if phase == .open, readEnded, writeEnded, !closeAsked { end(nil) }
    }

    // MARK: Ends

    private func enqueue() {
        if isEnqueued { return }
        isEnqueued = true
        host.enqueue(self)
    }

    private func failLater(_ error: Int32) {
        pendingErrno = error
        output.release()
        enqueue()
    }

    private func fail(_ error: Int32) {
        end(HostFailure(phase == .connecting ? "connect" : "connection", errno: error, subject: remoteAddress.description))
    }

    /// Tells the handler, as the last thing.
    private func end(_ failure: HostFailure?) {
        let handler = handlerNow
        release()
        handler?.closed(self, failure)
    }

    /// Our FIN goes out; what the peer still sends is thrown away until its FIN, so that it does not answer our last bytes with a reset.
    private func linger() {
        if readEnded { return release() }
        if let timer { host.cancel(timer) }
        if !writeEnded { endWriting() }
        phase = .lingering
        timer = host.after(host.limits.lingerTime) { [self] in
            timer = nil
            release()
        }
        discard()
    }

    /// Nobody waits for a closed connection any more, so nobody would end one whose peer takes nothing.
    private func watchFlush(_ left: Int) {
        timer = host.after(host.limits.flushStallTime) { [self] in
            timer = nil
            if output.count < left { watchFlush(output.count) } else { reset() }
        }
    }

    private func discard() {
        while lingeredBytes < host.limits.lingerBytesMax {
            let n = clinux_discard(fd, host.limits.lingerBytesMax)
            if n == -Int(EAGAIN) { return }
            if n <= 0 { break }
            lingeredBytes += n
        }
        release()
    }

    private func release() {
        if phase == .gone { return }
        phase = .gone
        if isRegistered { host.unregister(registration) }
        if fd >= 0 { _ = clinux_close(fd) }
        fd = -1
        if let timer { host.cancel(timer) }
        timer = nil
        handlerNow = nil
        output.release()
    }

    func abandon() {
        isRegistered = false
        release()
    }
}
