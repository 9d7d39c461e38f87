// One write per connection and turn. Handlers of one loop turn mark the connections they wrote to; when the outermost handler
// returns, each marked connection sends once. A head and its body, or thirty HTTP/2 frames, leave in one system call.

import Base
import Platform

/// The connections of one loop that have output to send. One per loop; shared by all its HTTP connections.
public final class FlushBatch {
    public let host: any Host
    private var dirty: [HTTPConnection] = []
    private var depth = 0
    private var isScheduled = false
    /// Body bytes on their way from an engine to a handler; one for the loop, because handlers do not nest over it.
    var scratch = ByteBuffer()
    /// Asked before anything leaves: what an answer promises is made to last here. False: it is dropped instead.
    public var beforeOutput: (() -> Bool)?
    /// Output on its way from an engine to a connection.
    var output = ByteBuffer()

    public init(host: any Host) { self.host = host }

    /// Opens a turn. Every `enter` is closed by one `leave`.
    public func enter() { depth += 1 }

    /// Closes a turn; the outermost one flushes.
    public func leave() {
        invariant(depth > 0, "a flush batch is left only after it was entered")
        if depth == 1 { flush() }
        depth -= 1
    }

    func mark(_ connection: HTTPConnection) {
        dirty.append(connection)
        if depth == 0, !isScheduled {
            isScheduled = true
            host.after(.zero) { [self] in
                isScheduled = false
                enter()
                leave()
            }
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
}
