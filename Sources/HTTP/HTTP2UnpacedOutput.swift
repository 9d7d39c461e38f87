// How much of what was written outside of flow control may still be on this side: DATA waits for the peer's windows, everything else is
// held back by nothing but the peer's reading. Exact to a factor of two, for the price of two counts: the output is cut into two
// stretches, and the older one is forgotten when all of it is known to be taken.

struct HTTP2UnpacedOutput {
    private var older = 0
    private var newer = 0
    /// Everything ever written. Unit: bytes.
    private var written = 0
    /// `written` where the newer stretch begins.
    private var mark = 0

    /// The most that may wait. Unit: bytes.
    @inline(__always)
    var waiting: Int { older &+ newer }

    @inline(__always)
    mutating func wrote(_ bytes: Int, isPaced: Bool) {
        written &+= bytes
        if !isPaced { newer &+= bytes }
    }

    /// All but the last `bytesLeft` bytes are with the peer.
    mutating func settle(bytesLeft: Int) {
        let taken = written - bytesLeft
        if taken < mark { return }
        if taken == written {
            older = 0
            newer = 0
        } else {
            older = newer
            newer = 0
        }
        mark = written
    }
}
