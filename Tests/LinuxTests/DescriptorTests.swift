// What holds for a whole process: no descriptor is leaked, and running out of them refuses instead of spinning. Each test
// runs in a process of its own, because descriptors and their limit are counted per process.

import Base
import CLinux
import Glibc
import Linux
import Platform
import Testing

@Suite struct DescriptorTests {
    @Test func `a thousand connections leave no descriptor behind`() async {
        await #expect(processExitsWith: .success) {
            try withHost { host in
                let acceptor = Acceptor { side in side.onFinished = { side in side.ask { $0.close() } } }
                let listener = try host.network.listen(on: SocketAddress(.loopback, 0), options: ListenOptions(), handler: acceptor)
                let base = openDescriptors().count
                for round in 0..<10 {
                    let clients = (0..<100).map { _ in Side() }
                    for (i, client) in clients.enumerated() {
                        client.connection = host.network.connect(to: listener.address, options: ConnectOptions(timeout: .seconds(10)), handler: client)
                        client.send([UInt8(i)])
                    }
                    host.drive("all are heard") { acceptor.sides.count == 100 * (round + 1) && acceptor.sides.allSatisfy { $0.count == 1 } }
                    #expect(openDescriptors().count == base + 200)
                    for (i, client) in clients.enumerated() {
                        client.ask { c in i % 4 == 0 ? c.reset() : i % 4 == 1 ? c.close() : c.finish() }
                    }
                    host.drive("all end") { openDescriptors().count == base }
                }
                listener.close()
                #expect(openDescriptors().count == base - 1)
            }
        }
    }

    @Test func `every descriptor of a host is closed with it`() async {
        await #expect(processExitsWith: .success) {
            let base = openDescriptors()
            try withHost(takesSignals: true) { host in
                let pair = try Pair(host)
                _ = try host.network.datagrams(on: SocketAddress(.loopback, 0), handler: Deaf())
                #expect(openDescriptors().count == base.count + 5)
                pair.client.send([1])
                host.shutDown()
                // Spent, but harmless.
                pair.client.send([1])
                pair.client.ask { $0.close() }
                pair.listener.close()
            }
            #expect(openDescriptors() == base)
        }
    }

    @Test func `out of descriptors, a connection is refused at once and later ones are taken`() async {
        await #expect(processExitsWith: .success) {
            try withHost { host in
                let acceptor = Acceptor()
                let listener = try host.network.listen(on: SocketAddress(.loopback, 0), options: ListenOptions(), handler: acceptor)
                // The clients' sockets are made first, so that only accepting runs out.
                let clients = (0..<3).map { _ in Side() }
                for client in clients { client.connection = host.network.connect(to: listener.address, options: ConnectOptions(timeout: .seconds(10)), handler: client) }
                let limit = clinux_descriptor_limit()
                var filling: [Int32] = []
                #expect(clinux_set_descriptor_limit(64) == 0)
                while true {
                    let fd = clinux_open_reserve()
                    if fd < 0 { break }
                    filling.append(fd)
                }
                host.drive("all three are ended") { clients.allSatisfy { $0.told.last == .finished } }
                #expect(host.acceptsRefused == 3 && acceptor.sides.isEmpty)
                // With the reserve's place taken too, the listener waits instead of spinning, and takes the connection when it can.
                for fd in filling { _ = clinux_close(fd) }
                #expect(clinux_set_descriptor_limit(limit) == 0)
                let patient = Side()
                patient.connection = host.network.connect(to: listener.address, options: ConnectOptions(timeout: .seconds(10)), handler: patient)
                #expect(clinux_set_descriptor_limit(3) == 0)
                host.drive("connected by the kernel") { patient.told == [.connected] }
                host.settle()
                var turns = 0
                _ = host.run(atMost: .milliseconds(350)) {
                    turns += 1
                    return false
                }
                #expect(turns < 20, "a listener that cannot accept does not spin")
                #expect(acceptor.sides.isEmpty)
                #expect(clinux_set_descriptor_limit(limit) == 0)
                host.drive("served at last") { acceptor.sides.count == 1 }
                listener.close()
            }
        }
    }
}

private final class Deaf: DatagramHandler {
    func received(_ bytes: RawSpan, from address: SocketAddress, on socket: any DatagramSocket) {}
}
