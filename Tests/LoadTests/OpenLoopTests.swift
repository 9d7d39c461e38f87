// The open loop against a server whose latencies are known to the nanosecond, in virtual time: what it tells must be what was done to it.

import Base
import HTTP
import Platform
import Simulator
import Testing
import Transport

@testable import Load

private let serverIP = IPAddress(10, 0, 0, 2)

/// Answers after a millisecond, and not at all during a stall.
private final class Server: HTTPRequestHandler, HTTPStreamHandler {
    private let host: any Host
    var stall: ClosedRange<Instant>?
    var status: UInt16 = 200
    var grpcStatus = "0"

    init(_ host: any Host) { self.host = host }

    func request(_ stream: HTTPStream, _ head: RequestHead, endStream: Bool, peer: HTTPPeer) {
        stream.handler = self
        var at = host.now + .milliseconds(1)
        if let stall, stall.contains(at) { at = stall.upperBound }
        host.after(at - host.now) { [self] in
            if head.version == .http2 {
                stream.respond(ResponseHead(status: status, headers: ["content-type": "application/grpc"]), endStream: false)
                stream.send(trailers: ["grpc-status": grpcStatus])
            } else {
                stream.respond(status: status, body: [1, 2])
            }
        }
    }

    func data(_ stream: HTTPStream, _ bytes: RawSpan, endStream: Bool) { stream.acknowledge(bytes.byteCount) }
    func trailers(_ stream: HTTPStream, _ trailers: Headers) {}
    func failed(_ stream: HTTPStream, _ failure: HTTPStreamFailure) {}
}

private func run(_ request: LoadRequest, _ plan: LoadPlan, listens: Bool = true, _ change: @escaping (Server, any Host) -> Void = { _, _ in }) -> LoadResult? {
    let world = World(seed: 1, options: WorldOptions(start: WallTime(seconds: 1_800_000_000)))
    let serving = world.addProcess("server", on: world.addNode("server", ip: serverIP), userID: 1, settings: Settings()) { process in
        let server = Server(process)
        change(server, process)
        process.keep(server)
        if !listens { return }
        do { process.keep(try HTTPServer(batch: FlushBatch(host: process), address: SocketAddress(.any, 80), handler: server)) } catch { process.unexpected("\(error)") }
    }
    serving.start()
    world.run(for: .milliseconds(1))
    var result: LoadResult?
    let asking = world.addProcess("load", on: world.addNode("load", ip: IPAddress(10, 0, 0, 1)), userID: 1, settings: Settings()) { process in
        process.keep(OpenLoop(batch: FlushBatch(host: process), connector: TCPConnector(host: process, address: SocketAddress(serverIP, 80)), request: request, plan: plan) { result = $0 })
    }
    asking.start()
    world.run(until: { result != nil }, limit: .minutes(5), awaiting: "the end of the load")
    return result
}

@Suite struct `Open loop` {
    private let plan = LoadPlan(perSecond: 1000, connections: 10, warmup: .seconds(1), length: .seconds(10))

    @Test func `a server without stalls shows its own latency and nothing else`() throws {
        let result = try #require(run(.http1(authority: "a", bodyBytes: 100), plan))
        #expect(result.asked == 10_000 && result.succeeded == 10_000 && result.failed == 0)
        #expect(result.fromDue.count == 10_000)
        #expect(result.fromDue.quantile(1, of: 2) >= .milliseconds(1))
        #expect(result.fromDue.quantile(99, of: 100) < .milliseconds(4), "\(result.fromDue.quantile(99, of: 100))")
        #expect(result.waitingMost <= 2)
    }

    @Test func `a second's stall is in the latency of every request that was due in it`() throws {
        let result = try #require(run(.http1(authority: "a", bodyBytes: 0), plan) { server, host in
            server.stall = host.now + .seconds(5)...host.now + .seconds(6)
        })
        #expect(result.succeeded == 10_000 && result.failed == 0)
        // A tenth of all was due during it and waited half a second in the middle; whoever times from the sending sees ten requests wait.
        let p95 = result.fromDue.quantile(95, of: 100)
        #expect(p95 > .milliseconds(400) && p95 < .milliseconds(700), "\(p95)")
        #expect(result.fromDue.max > .milliseconds(950))
        #expect(result.fromSent.quantile(99, of: 100) < .milliseconds(10), "\(result.fromSent.quantile(99, of: 100))")
        #expect(result.waitingMost > 900)
    }

    @Test func `gRPC calls count by their status, HTTP by its own`() throws {
        let fine = try #require(run(.grpc(authority: "a", messageBytes: 1000), plan))
        #expect(fine.succeeded == 10_000 && fine.failed == 0)
        let refused = try #require(run(.grpc(authority: "a", messageBytes: 10), plan) { server, _ in server.grpcStatus = "14" })
        #expect(refused.succeeded == 0 && refused.asked == 10_000)
        #expect(refused.failures.map(\.reason) == ["grpc-status 14"] && refused.failed == 11_000)
        let broken = try #require(run(.http1(authority: "a", bodyBytes: 0), plan) { server, _ in server.status = 503 })
        #expect(broken.failures.map(\.reason) == ["status 503"] && broken.fromDue.count == 0)
    }

    @Test func `what is never answered has failed, and so has everything without a connection`() throws {
        let silent = try #require(run(.http1(authority: "a", bodyBytes: 0), plan) { server, host in server.stall = host.now + .seconds(5)...host.now + .hours(1) })
        #expect(silent.succeeded < 5000 && silent.failed > 6000)
        #expect(silent.failures.map(\.reason).allSatisfy { $0.hasPrefix("no answer") }, "\(silent.failures)")
        let alone = try #require(run(.http1(authority: "a", bodyBytes: 0), plan, listens: false))
        #expect(alone.asked == 0 && alone.failures.count == 1)
    }
}
