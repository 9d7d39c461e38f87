// Streams over the real loopback: order, back-pressure, half-close, reset, refusal, pause, and what an idle connection costs.

import Base
import CLinux
import Linux
import Platform
import Testing

@Suite struct ConnectionTests {
    @Test(arguments: [IPAddress.loopback, IPAddress.v6(0, 1)])
    func `an echo of megabytes comes back whole, with back-pressure both ways`(ip: IPAddress) throws {
        try withHost { host in
            let pair = try Pair(host, on: ip)
            let sent = pattern(24 << 20)
            // The server stops reading while its own output is blocked: the client feels it.
            pair.server.keepsBytes = true
            pair.server.onReceived = { side, bytes in
                side.bytes = []
                side.send(bytes)
                if side.connection!.bytesQueued > 256 * 1024 { side.ask { $0.isReadingPaused = true } }
            }
            pair.server.onDrained = { side in side.ask { $0.isReadingPaused = false } }
            pair.server.onFinished = { side in side.ask { $0.finish() } }
            pair.client.send(sent)
            pair.client.ask { $0.finish() }
            #expect(pair.client.connection!.bytesQueued > 1 << 20, "the kernel does not take 24 MiB at once")
            host.drive("the echo ends") { pair.client.isClosed && pair.server.isClosed }
            #expect(pair.client.bytes == sent)
            #expect(pair.client.told.suffix(2) == [.finished, .closed(nil)])
            #expect(pair.client.told.contains(.drained))
            #expect(pair.server.failure == nil)
        }
    }

    @Test func `after half-close the other direction goes on`() throws {
        try withHost { host in
            let pair = try Pair(host)
            pair.client.send([1, 2, 3])
            pair.client.ask { $0.finish() }
            pair.client.send([9])
            host.drive("the server hears FIN") { pair.server.told.last == .finished }
            #expect(pair.server.bytes == [1, 2, 3])
            pair.server.send([4, 5])
            host.drive("the client hears the answer") { pair.client.bytes == [4, 5] }
            #expect(!pair.client.isClosed && !pair.server.isClosed)
            pair.server.ask { $0.finish() }
            host.drive("both are closed") { pair.client.isClosed && pair.server.isClosed }
            #expect(pair.server.told == [.received, .finished, .closed(nil)])
            #expect(pair.client.told == [.connected, .received, .finished, .closed(nil)])
        }
    }

    @Test func `a reset is told to the peer once and to nobody here`() throws {
        try withHost { host in
            let pair = try Pair(host)
            pair.server.send([1])
            host.drive("one byte is through") { pair.client.count == 1 }
            pair.client.ask { $0.reset() }
            host.drive("the server hears it") { pair.server.isClosed }
            #expect(pair.server.failure == .connectionReset)
            host.settle()
            #expect(pair.client.told == [.connected, .received])
            #expect(pair.client.connection!.handler == nil)
        }
    }

    @Test func `a paused or finished reader still hears of a reset`() throws {
        try withHost { host in
            let pair = try Pair(host)
            pair.server.ask { $0.isReadingPaused = true }
            pair.client.send([1, 2])
            host.settle()
            #expect(pair.server.told == [])
            pair.client.ask { $0.reset() }
            host.drive("paused") { pair.server.isClosed }
            #expect(pair.server.failure == .connectionReset)

            let other = try Pair(host)
            other.server.ask { $0.finish() }
            host.drive("FIN is there") { other.client.told.last == .finished }
            other.server.ask { $0.reset() }
            host.drive("finished") { other.client.isClosed }
            #expect(other.client.failure != nil)
        }
    }

    @Test func `a closed port refuses, in a later turn`() throws {
        try withHost { host in
            let listener = try host.network.listen(on: SocketAddress(.loopback, 0), options: ListenOptions(), handler: Acceptor())
            let address = listener.address
            listener.close()
            let side = Side()
            side.asking = 1
            side.connection = host.network.connect(to: address, options: ConnectOptions(), handler: side)
            side.asking = 0
            #expect(side.told == [])
            host.drive("refused") { side.isClosed }
            #expect(side.told == [.closed(.connectionRefused)])
        }
    }

    @Test func `a connect that is impossible at once is told later too`() throws {
        try withHost { host in
            let side = Side()
            side.asking = 1
            // Broadcast needs a permission that a stream never has.
            side.connection = host.network.connect(to: SocketAddress(IPAddress(255, 255, 255, 255), 9), options: ConnectOptions(), handler: side)
            side.asking = 0
            host.drive("failed") { side.isClosed }
            #expect(side.told.count == 1 && side.failure != nil)
        }
    }

    @Test func `a connect to a full backlog times out`() throws {
        try withHost { host in
            // A listening socket that nobody accepts from: its queue of 0 takes one connection, SYNs after that are dropped.
            var kernel = clinux_address(high: 0, low: 0x7f00_0001, port: 0, is_v6: 0)
            var options = clinux_stream_options()
            let fd = clinux_listen(&kernel, 0, &options)
            #expect(fd >= 0)
            defer { _ = clinux_close(fd) }
            var local = clinux_address()
            #expect(clinux_local_address(fd, &local) == 0)
            let address = SocketAddress(.loopback, local.port)
            let sides = (0..<4).map { _ in Side() }
            for side in sides { side.connection = host.network.connect(to: address, options: ConnectOptions(timeout: .milliseconds(50)), handler: side) }
            host.drive("all are decided") { sides.allSatisfy { !$0.told.isEmpty } }
            #expect(sides[0].told == [.connected])
            #expect(sides.last!.told == [.closed(.timedOut)])
        }
    }

    @Test func `while paused nothing is told, and resuming tells everything`() throws {
        try withHost { host in
            let pair = try Pair(host)
            pair.server.ask { $0.isReadingPaused = true }
            let sent = pattern(10_000)
            pair.client.send(sent)
            pair.client.ask { $0.finish() }
            host.settle()
            #expect(pair.server.told == [])
            pair.server.ask { $0.isReadingPaused = false }
            #expect(pair.server.told == [], "resuming calls nobody back inside")
            host.drive("all arrives") { pair.server.told.last == .finished }
            #expect(pair.server.bytes == sent)
        }
    }

    @Test func `pausing inside received stops at that piece`() throws {
        try withHost(limits: { var l = LinuxLimits(); l.readBytes = 1000; l.bulkReadBytes = 1000; return l }()) { host in
            let pair = try Pair(host)
            pair.server.onReceived = { side, _ in side.ask { $0.isReadingPaused = true } }
            pair.client.send(pattern(5000))
            for piece in 1...5 {
                host.drive("a piece") { pair.server.count == 1000 * piece }
                host.settle()
                #expect(pair.server.count == 1000 * piece)
                pair.server.ask { $0.isReadingPaused = false }
            }
        }
    }

    @Test func `a connection that sends without end leaves turns to the others`() throws {
        try withHost(limits: { var l = LinuxLimits(); l.readBytesPerTurn = 64 * 1024; return l }()) { host in
            let bulk = try Pair(host), small = try Pair(host)
            bulk.server.keepsBytes = false
            bulk.client.send(pattern(8 << 20))
            small.client.send([1])
            host.drive("the small one is heard") { small.server.count == 1 }
            #expect(bulk.server.count < 8 << 20)
            host.drive("the big one ends") { bulk.server.count == 8 << 20 }
        }
    }

    @Test func `close sends what is queued, then ends; the peer gets all of it`() throws {
        try withHost { host in
            let pair = try Pair(host)
            let sent = pattern(4 << 20)
            pair.server.send(sent)
            // Unread bytes here must not turn our end into a reset.
            pair.client.send([1, 2, 3])
            pair.server.ask { $0.close() }
            #expect(pair.server.connection!.handler == nil)
            host.drive("the client hears the end") { pair.client.told.last == .finished }
            #expect(pair.client.bytes == sent)
            host.settle()
            #expect(pair.server.told == [])
            pair.client.ask { $0.close() }
        }
    }

    @Test func `bytes sent and closed before the connection stands still arrive`() throws {
        try withHost { host in
            let acceptor = Acceptor()
            let listener = try host.network.listen(on: SocketAddress(.loopback, 0), options: ListenOptions(), handler: acceptor)
            let side = Side()
            side.connection = host.network.connect(to: listener.address, options: ConnectOptions(timeout: .seconds(5)), handler: side)
            side.send([1, 2, 3])
            #expect(side.connection!.bytesQueued == 3)
            side.ask { $0.close() }
            host.drive("they arrive") { acceptor.sides.first?.told.last == .finished }
            #expect(acceptor.sides[0].bytes == [1, 2, 3])
            #expect(side.told == [])
        }
    }

    @Test func `the last words of a peer that resets us while we write are heard`() throws {
        try withHost { host in
            let pair = try Pair(host)
            pair.client.ask { $0.isReadingPaused = true }
            pair.server.send([7, 7])
            host.settle()
            pair.server.ask { $0.reset() }
            // Written into the reset before the loop could see it.
            pair.client.ask { $0.isReadingPaused = false }
            pair.client.send([1])
            pair.client.send([2])
            host.drive("it ends") { pair.client.isClosed }
            #expect(pair.client.bytes == [7, 7])
            #expect(pair.client.failure != nil)
        }
    }

    @Test func `an idle connection holds no buffer`() throws {
        try withHost { host in
            let pair = try Pair(host)
            let client = pair.client.connection as! LinuxConnection
            let server = pair.server.connection as! LinuxConnection
            #expect(client.bufferBytes == 0 && server.bufferBytes == 0)
            pair.server.keepsBytes = false
            pair.client.send(pattern(16 << 20))
            #expect(client.bufferBytes > 0)
            host.drive("it is drained") { client.bytesQueued == 0 && pair.server.count == 16 << 20 }
            #expect(client.bufferBytes == 0 && server.bufferBytes == 0)
            #expect(pair.client.told.last == .drained)
        }
    }

    @Test func `addresses are those of the kernel, and a mapped peer is told as IPv4`() throws {
        try withHost { host in
            let acceptor = Acceptor()
            let listener = try host.network.listen(on: SocketAddress(.v6(0, 0), 0), options: ListenOptions(wantsOriginalDestination: true), handler: acceptor)
            #expect(listener.address.port != 0)
            let side = Side()
            let target = SocketAddress(.loopback, listener.address.port)
            side.connection = host.network.connect(to: target, options: ConnectOptions(), handler: side)
            host.drive("connected") { side.told == [.connected] && acceptor.sides.count == 1 }
            let accepted = acceptor.sides[0].connection!
            #expect(accepted.remoteAddress == side.connection!.localAddress)
            #expect(accepted.localAddress == target)
            #expect(side.connection!.remoteAddress == target)
            // Nothing was redirected: the kernel knows none, or names the address that was dialled.
            #expect(accepted.originalDestination == nil || accepted.originalDestination == target)
        }
    }

    @Test func `the handler may be changed while bytes arrive`() throws {
        try withHost(limits: { var l = LinuxLimits(); l.readBytes = 4; l.bulkReadBytes = 4; return l }()) { host in
            let pair = try Pair(host)
            let second = Side()
            pair.server.onReceived = { side, _ in side.connection!.handler = second }
            pair.client.send([1, 2, 3, 4, 5, 6, 7, 8])
            host.drive("all is heard") { second.bytes.count == 4 }
            #expect(pair.server.bytes == [1, 2, 3, 4] && second.bytes == [5, 6, 7, 8])
        }
    }

    @Test func `an address in use is refused by name`() throws {
        try withHost { host in
            let listener = try host.network.listen(on: SocketAddress(.loopback, 0), options: ListenOptions(), handler: Acceptor())
            let address = listener.address
            let failure = #expect(throws: HostFailure.self) { _ = try host.network.listen(on: address, options: ListenOptions(), handler: Acceptor()) }
            #expect(failure?.reason == .addressInUse && failure?.subject == address.description)
        }
    }
}
