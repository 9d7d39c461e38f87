// What leaves a connection and when: marked connections are flushed once a turn, reading pauses while somebody does not keep up, and the
// HTTP/2 engine's deadline has a timer.

import Base
import HTTP
import Platform

extension HTTPConnection {
    func markDirty() {
        if isMarked || state == .closed { return }
        isMarked = true
        batch.mark(self)
    }

    func flush() {
        isMarked = false
        guard let connection, state != .connecting, state != .closed else { return }
        sendOutput()
        // A stream that opened may have started the keep-alive watch.
        if isHTTP2, state != .closed { updateTimer() }
        if hasBlocked, connection.bytesQueued < limits.sendQueueBytesMax { offerSoon() }
        if closesAfterFlush {
            connection.close()
            end(nil, tellBelow: false)
        } else if wantsPump {
            // The next pipelined request waited for this response.
            wantsPump = false
            pump()
            updateReading()
        } else if holdsPump, connection.bytesQueued <= limits.sendQueueBytesMax {
            pumpHeld()
        }
    }

    func sendOutput() {
        guard let connection else { return }
        unflushedBytes = 0
        if !isHTTP2 { return sendOutput(http1!, connection) }
        http2!.drainOutput(into: &batch.output)
        if batch.output.isEmpty { return }
        // Nobody else writes into it before `send` returns.
        if batch.beforeOutput?() ?? true { connection.send(batch.output.unsafeBytes.bytes) }
        batch.output.removeAll()
    }

    /// The memory moves with the bytes, and waits to be lent to the next writer.
    private func sendOutput(_ engine: HTTP1Connection, _ connection: any Connection) {
        guard engine.hasOutput else { return }
        batch.spare.release()
        engine.drainOutput(into: &batch.spare)
        // As above.
        if batch.beforeOutput?() ?? true { connection.send(batch.spare.unsafeBytes.bytes) }
        if batch.spare.capacityBytes > limits.sendQueueBytesMax { batch.spare.release() } else { batch.spare.removeAll() }
    }

    func closeIfDrained() {
        guard state == .draining, streamCount == 0, !isTunnel, !closesAfterFlush else { return }
        // A server waits until the peer knows which streams were looked at.
        if isHTTP2, isServer, !http2!.isDrained { return }
        closesAfterFlush = true
        markDirty()
    }

    func updateReading() {
        guard let connection else { return }
        let shouldPause = unacknowledgedBytes > limits.unacknowledgedBytesMax || holdsPump || (!isHTTP2 && !isTunnel && http1!.wantsReadPause)
        if isPausing == shouldPause { return }
        isPausing = shouldPause
        connection.isReadingPaused = shouldPause
    }

    func updateTimer() {
        guard let deadline = http2!.deadline else { return }
        if deadline < timerDeadline || timer == nil { armTimer(deadline) }
    }

    func armTimer(_ deadline: Instant) {
        if let timer { host.cancel(timer) }
        timerDeadline = deadline
        timer = host.after(deadline > host.now ? deadline - host.now : .zero) { [self] in
            timer = nil
            timerDeadline = .distantFuture
            guard state != .closed else { return }
            batch.enter()
            if let due = http2!.deadline {
                if due <= host.now {
                    http2!.expire(now: host.now)
                    pump()
                } else {
                    armTimer(due)
                }
            }
            batch.leave()
        }
    }

    // MARK: Clients that ask and do not read

    /// HTTP/1 server: another request is read only when the responses before it are on their way, or a client that pipelines without reading
    /// would have everything in memory.
    func holdsNextRequest() -> Bool {
        guard isServer, !isHTTP2, current == nil, !isTunnel, let connection, connection.bytesQueued + unflushedBytes > limits.sendQueueBytesMax else { return false }
        holdsPump = true
        return true
    }

    func pumpHeld() {
        batch.enter()
        holdsPump = false
        if state != .closed {
            pump()
            updateReading()
        }
        batch.leave()
    }
}
