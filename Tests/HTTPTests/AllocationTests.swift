// What a request costs in calls of the heap, on the steady path through the engines: a hop of two HTTP/1 connections and an HTTP/2 stream
// through a pair. The bounds are what is measured today; a change that exceeds them must say why. Builds without optimisation take more,
// because closures and enumerations that the optimiser dissolves are made for real.

import Base
import CAllocations
import Testing

@testable import HTTP

/// Calls of the heap for each of `rounds` repetitions, after as many to warm up.
private func allocations(rounds: Int = 500, _ body: () throws -> Void) rethrows -> Double {
    for _ in 0..<rounds { try body() }
    allocations_reset()
    allocations_set_counting(1)
    defer { allocations_set_counting(0) }
    for _ in 0..<rounds { try body() }
    return Double(allocations_count()) / Double(rounds)
}

private func bound(debug: Double, release: Double) -> Double { _isDebugAssertConfiguration() ? debug : release }

@Suite struct AllocationTests {
    @Test func `the heap is seen`() {
        #expect(allocations_are_seen() == 1)
        allocations_reset()
        allocations_set_counting(1)
        let array = [Int](repeating: 1, count: 100)
        allocations_set_counting(0)
        #expect(allocations_count() == 1 && allocations_live() >= 800 && array.count == 100)
    }

    @Test(arguments: [("GET", 0), ("POST", 100)]) func `HTTP/1 hop`(_ method: String, _ body: Int) throws {
        let server = HTTP1Connection(role: .server)
        let client = HTTP1Connection(role: .client)
        let fields = "Host: api.demo\r\nUser-Agent: curl/8\r\nAccept: */*\r\nX-Request-ID: 0123456789abcdef\r\n"
        let request = [UInt8]("\(method) /path HTTP/1.1\r\n\(fields)\(body > 0 ? "Content-Length: \(body)\r\n" : "")\r\n".utf8) + [UInt8](repeating: 0x2e, count: body)
        let response = [UInt8]("HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 2\r\nDate: Mon, 01 Jan 2035 00:00:00 GMT\r\n\r\nok".utf8)
        var output = ByteBuffer()
        var moved = 0
        let calls = try allocations {
            server.receive(request.span.bytes, now: .zero)
            var up = HTTPStreamID(rawValue: 0)
            var down = HTTPStreamID(rawValue: 0)
            while let event = server.nextEvent() {
                switch event {
                case .request(let id, let head, let endStream):
                    up = id
                    down = try client.sendRequest(head, endStream: endStream)
                case .data(_, let bytes, let endStream):
                    moved += bytes
                    try client.sendData(down, server.lastData.bytes, endStream: endStream)
                default: break
                }
            }
            client.drainOutput(into: &output)
            output.removeAll()
            client.receive(response.span.bytes, now: .zero)
            while let event = client.nextEvent() {
                switch event {
                case .response(_, let head, let endStream): try server.sendResponse(up, head, endStream: endStream)
                case .data(_, let bytes, let endStream):
                    moved += bytes
                    try server.sendData(up, client.lastData.bytes, endStream: endStream)
                default: break
                }
            }
            server.drainOutput(into: &output)
            output.removeAll()
        }
        print("allocations HTTP/1 hop \(method): \(calls)")
        #expect(moved == 1000 * (2 + body))
        #expect(calls <= bound(debug: 20, release: 1))
    }

    @Test(arguments: [false, true]) func `HTTP/2 stream`(_ isFresh: Bool) throws {
        let client = HTTP2Connection(role: .client, now: .zero)
        let server = HTTP2Connection(role: .server, now: .zero)
        var output = ByteBuffer()
        let body = [UInt8](repeating: 0x2e, count: 100)
        var heads = [RequestHead](repeating: RequestHead(method: .get, authority: "api.demo", path: "/path", headers: ["user-agent": "curl/8", "accept": "*/*"], version: .http2), count: 64)
        // A path of its own for each request is decoded each time.
        if isFresh { for i in heads.indices { heads[i].path = HTTPText("/path/\(i)/\(String(repeating: "x", count: 20))") } }
        let answer = ResponseHead(status: 200, headers: ["content-type": "text/plain", "content-length": "100"], version: .http2)
        var moved = 0
        var next = 0
        func pass(_ from: HTTP2Connection, _ to: HTTP2Connection) {
            from.drainOutput(into: &output)
            to.receive(output.unsafeBytes.bytes, now: .zero)
            output.removeAll()
        }
        let calls = try allocations {
            _ = try client.sendRequest(heads[next % 64], endStream: true)
            next += 1
            pass(client, server)
            while let event = server.nextEvent() {
                if case .request(let id, _, _) = event {
                    try server.sendResponse(id, answer, endStream: false)
                    try server.sendData(id, body.span.bytes, endStream: true)
                }
            }
            pass(server, client)
            while let event = client.nextEvent() {
                if case .data(let id, let bytes, _) = event {
                    moved += bytes
                    client.acknowledge(id, bytes: bytes)
                }
            }
        }
        print("allocations HTTP/2 stream \(isFresh ? "with a path of its own" : "as before"): \(calls)")
        #expect(moved == 1000 * 100)
        #expect(calls <= bound(debug: isFresh ? 14 : 10, release: isFresh ? 8 : 2))
    }
}
