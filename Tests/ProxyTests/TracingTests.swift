// What heads say of traces, in each spelling, and lines of the access log.

import Base
import HTTP
import Platform
import Testing

@testable import Proxy

@Suite struct TracingTests {
    private let trace = "4bf92f3577b34da6a3ce929d0e0e4736"

    @Test func `a W3C parent is read and replaced`() throws {
        var headers: Headers = ["traceparent": "00-\(trace)-00f067aa0ba902b7-01"]
        let context = try #require(TraceContext.read(headers))
        #expect(context.family == .w3c && context.trace == (0x4bf9_2f35_77b3_4da6, 0xa3ce_929d_0e0e_4736) && context.parent == 0x00f0_67aa_0ba9_02b7 && context.isSampled)
        context.write(span: 0xabc, into: &headers)
        #expect(headers.first("traceparent") == "00-\(trace)-0000000000000abc-01")
        #expect(context.traceBytes.count == 16 && context.traceBytes[0] == 0x4b && context.traceBytes[15] == 0x36)
    }

    @Test(arguments: ["", "00", "01-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01", "00-4bf92f3577b34da6a3ce929d0e0e473g-00f067aa0ba902b7-01", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-1",
        "00-4bf92f3577b34da6a3ce929d0e0e47361-00f067aa0ba902b7-01", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b71-01", "00-+bf92f3577b34da6-00f067aa0ba902b7-01", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-+1", "00----"])
    func `what is no W3C parent is none`(_ text: String) { #expect(TraceContext.read(["traceparent": text]) == nil, "\(text)") }

    @Test func `the binary form is read and replaced`() throws {
        let bytes: [UInt8] = [0, 0] + Array(1...16) + [1] + Array(21...28) + [2, 1]
        var headers: Headers = ["grpc-trace-bin": base64Encoded(bytes)]
        let context = try #require(TraceContext.read(headers))
        #expect(context.family == .binary && context.isSampled && context.parent == 0x1516_1718_191a_1b1c)
        context.write(span: 5, into: &headers)
        let expected: [UInt8] = [0, 0] + Array(1...16) + [1, 0, 0, 0, 0, 0, 0, 0, 5, 2, 1]
        #expect(headers.first("grpc-trace-bin") == base64Encoded(expected))
        for count in 0..<27 { #expect(TraceContext.read(["grpc-trace-bin": base64Encoded(bytes.prefix(count))]) == nil, "\(count) bytes") }
    }

    @Test func `B3 is read and its span replaced`() throws {
        var headers: Headers = ["x-b3-traceid": "a3ce929d0e0e4736", "x-b3-spanid": "e457b5a2e4d86bd1", "x-b3-sampled": "1"]
        let context = try #require(TraceContext.read(headers))
        #expect(context.family == .b3 && context.trace == (0, 0xa3ce_929d_0e0e_4736) && context.isSampled)
        context.write(span: 7, into: &headers)
        #expect(headers.first("x-b3-spanid") == "0000000000000007" && headers.first("x-b3-traceid") == "a3ce929d0e0e4736")
        #expect(TraceContext.read(["x-b3-traceid": "a3ce929d0e0e4736", "x-b3-spanid": "e457b5a2e4d86bd1"])?.isSampled == false)
        #expect(TraceContext.read(["x-b3-traceid": "a3ce929d0e0e4736"]) == nil)
    }

    @Test func `W3C comes before the others`() {
        let headers: Headers = ["x-b3-traceid": "a3ce929d0e0e4736", "x-b3-spanid": "e457b5a2e4d86bd1", "traceparent": "00-\(trace)-00f067aa0ba902b7-00"]
        #expect(TraceContext.read(headers)?.family == .w3c)
        // A first spelling that cannot be read does not hide the next.
        #expect(TraceContext.read(["x-b3-traceid": "a3ce929d0e0e4736", "x-b3-spanid": "e457b5a2e4d86bd1", "traceparent": "nonsense"])?.family == .b3)
    }

    @Test func `a line cannot be forged by its parts`() {
        let head = RequestHead(method: .get, authority: "a", path: "/x\"\\\u{7f}", headers: ["user-agent": "a\"b\tc", "content-length": "12"], version: .http11)
        let record = AccessRecord(
            client: SocketAddress(IPAddress(10, 0, 0, 1), 7), identity: nil, time: WallTime(nanoseconds: 1_000_000_005), head: head, status: 200, responseBytes: nil, total: .milliseconds(3), processing: .milliseconds(1))
        #expect(AccessLog(.apache).line(record) == "10.0.0.1:7 - - [1970-01-01T00:00:01.000000005Z] \"GET /x\\\"\\\\? HTTP/1.1\" 200")
        #expect(
            AccessLog(.json).line(record)
                == #"{"client.addr":"10.0.0.1:7","client.id":"-","host":"a","method":"GET","processing_ns":"1000000","request_bytes":"12","status":200,"timestamp":"1970-01-01T00:00:01.000000005Z","total_ns":"3000000","trace_id":"","uri":"/x\"\\"#
                + "\u{7f}" + #"","user_agent":"a\"b\tc","version":"HTTP/1.1"}"#)
        var unanswered = record
        unanswered.status = nil
        #expect(AccessLog(.apache).line(unanswered).hasSuffix("\" -") && !AccessLog(.json).line(unanswered).contains("status"))
    }
}
