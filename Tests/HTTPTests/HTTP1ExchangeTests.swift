// Exchanges as both sides see them: what is reported, what is written, and when a connection may be used again.

import Base
import Testing

@testable import HTTP

@Suite struct `HTTP/1 exchanges` {
    @Test func `a small request and its answer pass through a pair of proxying engines`() throws {
        let server = HTTP1Connection(role: .server)
        let client = HTTP1Connection(role: .client)
        server.receive("GET /a?b=c HTTP/1.1\r\nHost: web:80\r\nUser-Agent: x\r\nConnection: keep-alive, X-Hop\r\nX-Hop: 1\r\nAccept: */*\r\n\r\n")
        guard case .request(let asked, let head, true)? = server.nextEvent() else {
            Issue.record("no request")
            return
        }
        #expect(server.isQuiet)
        #expect(head.authority == "web:80")
        #expect(head.path == "/a?b=c")
        let stream = try client.sendRequest(head, endStream: true)
        #expect(client.takeOutput() == "GET /a?b=c HTTP/1.1\r\nhost: web:80\r\nUser-Agent: x\r\nAccept: */*\r\n\r\n")
        client.receive("HTTP/1.1 200 OK\r\nServer: y\r\nContent-Length: 5\r\n\r\nhello")
        guard case .response(stream, let answer, false)? = client.nextEvent() else {
            Issue.record("no response")
            return
        }
        try server.sendResponse(asked, answer, endStream: false)
        guard case .data(stream, 5, true)? = client.nextEvent() else {
            Issue.record("no body")
            return
        }
        try client.withData { bytes throws(Refusal) in try server.sendData(asked, bytes, endStream: true) }
        #expect(client.isQuiet)
        #expect(server.takeOutput() == "HTTP/1.1 200 OK\r\nServer: y\r\nContent-Length: 5\r\n\r\nhello")
        #expect(server.isReusable)
        #expect(client.isReusable)
    }
}

