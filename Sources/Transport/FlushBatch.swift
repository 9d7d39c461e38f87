// One write per connection and turn. Handlers of one loop turn mark the connections they wrote to. An HTTP/1 connection sends when the
// outermost handler returns: a head and its body leave in one system call. An HTTP/2 connection sends at the end of the loop's turn, when
// all that arrived has been handled: what thirty callers ask of one peer leaves together, in one TLS record where it fits.

import Base
import HTTP
import Platform

/// The connections of one loop that have output to send. One per loop; shared by all its HTTP connections.
public final class FlushBatch {
    public let host: any Host
    /// HTTP/1 connections with output, sent when the depth is back at zero.
    private var dirty: [HTTPConnection] = []
    /// HTTP/2 connections with output, sent at the end of the loop's turn.
    private var shared: [HTTPConnection] = []
    private var depth = 0
    private var isScheduled = false
    /// Body bytes on their way from an engine to a handler; one for the loop, because handlers do not nest over it.
    var scratch = ByteBuffer()
    /// Asked before anything leaves: what an answer promises is made to last here. False: it is dropped instead.
    public var beforeOutput: (() -> Bool)?
    /// Output on its way from an HTTP/2 engine to a connection.
    var output = ByteBuffer()
    /// Memory for the output of whichever HTTP/1 engine writes next, and output on its way from one: an idle engine keeps none.
    var spare = ByteBuffer()

    public init(host: any Host) { self.host = host }

    /// Opens a turn. Every `enter` is closed by one `leave`.
    public func enter() { depth += 1 }

    /// Closes a turn; the outermost one flushes what need not wait.
    public func leave() {
        invariant(depth > 0, "a flush batch is left only after it was entered")
        if depth == 1 { flush() }
        depth -= 1
    }

    func mark(_ connection: HTTPConnection) {
        if connection.version == .http2 {
            shared.append(connection)
        } else {
            dirty.append(connection)
            if depth > 0 { return }
        }
        if isScheduled { return }
        isScheduled = true
        host.after(.zero) { [self] in
            isScheduled = false
            enter()
            flushShared()
            leave()
        }
    }

    private func flush() {
        // The usual turn writes to one connection.
        while dirty.count == 1 { dirty.removeLast().flush() }
        if dirty.isEmpty { return }
        var i = 0
        while i < dirty.count {
            dirty[i].flush()
            i += 1
        }
        dirty.removeAll(keepingCapacity: true)
    }

    private func flushShared() {
        while shared.count == 1 { shared.removeLast().flush() }
        if shared.isEmpty { return }
        var i = 0
        while i < shared.count {
            shared[i].flush()
            i += 1
        }
        shared.removeAll(keepingCapacity: true)
    }
}
