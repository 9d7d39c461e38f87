// Stories of what is told about requests: lines of the access log, spans of traces.

import Base
import GRPC
import HTTP
import MeshAPI
import Platform
import Scenario
import Simulator

extension Stories {
    private static func server(_ mesh: ScriptedMesh, _ stage: Stage, environment: [(name: String, value: String?)] = [], _ asked: @escaping (HTTPApplication.Request) -> Void = { _ in }) -> ScriptedPod {
        let pod = mesh.addPod("api", environment: environment) { process in
            process.keep(
                HTTPApplication(process, in: stage.world, port: 80) { request in
                    asked(request)
                    return HTTPApplication.Answer("\(request.head.path)".hasPrefix("/missing") ? 404 : 200, body: Array("hello".utf8), delay: .milliseconds(20))
                })
        }
        mesh.addService("api", pod)
        return pod
    }

    private static func lines(_ pod: ScriptedPod) -> [String] {
        pod.proxy!.logLines.compactMap { line in line.components("info _access_log: ") }
    }

    // Story: a pod asks for an access log in JSON, its client for none; calls of many kinds come, one with a forged head.
    // Promise: the pod's proxy tells each once, with who asked and what was answered, a line each; the client's tells nothing.
    // Source: linkerd2-proxy linkerd/http/access-log; config.linkerd.io/access-log.
    static let accessLog = Story(
        "telemetry/access-log",
        story: "A pod asks for an access log in JSON, its client for none; good calls come, one that misses, and one whose head tries to end the line.",
        promise: "The pod's proxy tells each call once, with who asked and what was answered, one line each; the client's proxy tells nothing.",
        source: "linkerd2-proxy linkerd/http/access-log; config.linkerd.io/access-log"
    ) { stage throws(StoryFailure) in
        let mesh = try stage.mesh()
        let web = mesh.addPod("web")
        let api = server(mesh, stage, environment: [("ACCESS_LOG", "json"), ("LOG", "error")])
        try mesh.ready()
        let caller = web.caller()
        _ = try stage.call(caller, "api", "/hello?x=1", headers: [("user-agent", "story \"1\"\\"), ("x-request-id", "trace-7")])
        _ = try stage.call(caller, "api", "/missing", method: .post, body: [1, 2, 3])
        let told = lines(api)
        for line in told { stage.say(line) }
        try stage.check(told.count == 2, "two calls make two lines, not \(told.count)")
        let first = [
            "\"client.id\":\"\(web.identity)\"", "\"client.addr\":\"\(web.ip):", "\"method\":\"GET\"", "\"uri\":\"http://api/hello?x=1\"", "\"status\":200", "\"trace_id\":\"trace-7\"",
            "\"user_agent\":\"story \\\"1\\\"\\\\\"", "\"response_bytes\":\"5\"", "\"version\":\"HTTP/2.0\"", "\"host\":\"api\"",
        ]
        for part in first { try stage.check(told[0].contains(part), "the first line says \(part): \(told[0])") }
        for part in ["\"method\":\"POST\"", "\"status\":404", "\"request_bytes\":\"3\"", "\"trace_id\":\"\""] { try stage.check(told[1].contains(part), "the second line says \(part): \(told[1])") }
        try stage.check(lines(web).isEmpty, "the client's proxy tells nothing")
        let total = told[0].components("\"total_ns\":\"").flatMap { Int64($0.prefix { $0 != "\"" }) } ?? 0
        let ours = told[0].components("\"processing_ns\":\"").flatMap { Int64($0.prefix { $0 != "\"" }) } ?? .max
        try stage.check(total >= 20_000_000 && ours < 5_000_000, "the application's 20 ms are in the total (\(total) ns), not in our part (\(ours) ns)")
    }

    // Story: the same in Apache's form, and a stranger without TLS asks.
    // Promise: one line a call, of exactly the parts that such a line has; who is nobody is a dash.
    // Source: linkerd2-proxy linkerd/tracing, access_log: apache.
    static let apacheLog = Story(
        "telemetry/apache-log",
        story: "A pod asks for an access log in Apache's form; a stranger outside the mesh calls it, with a quotation mark in the path.",
        promise: "One line, of address, dash, time, request and status, and the stranger cannot break it.",
        source: "config.linkerd.io/access-log: apache"
    ) { stage throws(StoryFailure) in
        let mesh = try stage.mesh()
        let caller = mesh.addPod("outsider", isMeshed: false).caller()
        let api = server(mesh, stage, environment: [("ACCESS_LOG", "apache")])
        try mesh.ready()
        _ = try stage.call(caller, "\(api.ip)", "/a\"b")
        let told = lines(api)
        for line in told { stage.say(line) }
        try stage.check(told.count == 1, "one line, not \(told.count)")
        try stage.check(told[0].hasPrefix("10.1.0.1:") && told[0].hasSuffix("Z] \"GET /a\\\"b HTTP/1.1\" 200") && told[0].contains(" - - [2027-"), "its parts: \(told[0])")
    }

    // Story: a call carries a sampled W3C trace; another B3 headers; another a trace that is not sampled; another none.
    // Promise: the application is told the same trace with a parent of ours; the collector gets four linked spans for each sampled call.
    // Source: W3C Trace Context; linkerd2-proxy linkerd/trace-context.
    static let traces = Story(
        "telemetry/traces",
        story: "Calls carry a sampled W3C trace, B3 headers, a trace that is not sampled, and none at all.",
        promise: "The application sees the same trace with a parent of ours; the collector gets a chain of four spans for each sampled call, and nothing of the others.",
        source: "W3C Trace Context 1; openzipkin b3-propagation; linkerd2-proxy linkerd/trace-context"
    ) { stage throws(StoryFailure) in
        let mesh = try stage.mesh { $0.environment = SpanCollector.environment + [("TRACE_SERVICE_NAME", "demo-proxy")] }
        let collector = try mesh.addCollector()
        let web = mesh.addPod("web")
        var heads: [RequestHead] = []
        _ = server(mesh, stage) { heads.append($0.head) }
        try mesh.ready()
        let caller = web.caller()
        let w3c = "4bf92f3577b34da6a3ce929d0e0e4736"
        _ = try stage.call(caller, "api", "/w3c?q=1", headers: [("traceparent", "00-\(w3c)-00f067aa0ba902b7-01"), ("tracestate", "a=b")])
        _ = try stage.call(caller, "api", "/b3", headers: [("x-b3-traceid", "80f198ee56343ba864fe8b2a57d3eff7"), ("x-b3-spanid", "e457b5a2e4d86bd1"), ("x-b3-sampled", "1")])
        _ = try stage.call(caller, "api", "/unsampled", headers: [("traceparent", "00-\(w3c)-00f067aa0ba902b7-00")])
        _ = try stage.call(caller, "api", "/none")
        try stage.wait("eight spans at the collector", within: .seconds(15)) { collector.spans.count >= 8 }
        stage.world.run(for: .seconds(15))
        try stage.check(collector.spans.count == 8, "four spans for each sampled call and no more, not \(collector.spans.count)")
        try stage.check(heads.count == 4, "four calls")
        try stage.check(heads[0].headers.first("traceparent")?.hasPrefix("00-\(w3c)-") == true && heads[0].headers.first("tracestate") == "a=b", "the trace goes on")
        try stage.check(heads[2].headers.first("traceparent")?.hasSuffix("-00") == true && heads[2].headers.first("traceparent")?.contains("00f067aa0ba902b7") == false, "a trace that is not sampled gets a parent of ours, too")
        try stage.check(heads[3].headers.first("traceparent") == nil, "no trace is begun")
        // From the caller's span down to the application's parent.
        for (path, first) in [("/w3c", "00f067aa0ba902b7"), ("/b3", "e457b5a2e4d86bd1")] {
            var parent = first
            var chain: [String] = []
            while let span = collector.spans.first(where: { $0.name == path && hex($0.parent) == parent }) {
                chain.append("\(span.kind) \(span.attributes.first { $0.name == "direction" }.map { "\($0.value)" } ?? "")")
                parent = hex(span.id)
            }
            stage.say("\(path): \(chain.count) spans, the application's parent is \(parent)")
            try stage.check(chain.count == 4, "a chain of four spans for \(path), not \(chain)")
            let told = path == "/w3c" ? heads[0].headers.first("traceparent")?.contains(parent) == true : heads[1].headers.first("x-b3-spanid") == parent
            try stage.check(told, "the application is told the last of them")
        }
        let span = collector.spans.first { $0.name == "/w3c" && $0.kind == .client }!
        try stage.check(span.end >= span.start + 20_000_000, "a span lasts until the answer")
        for attribute in [OpenTelemetry.Attribute("http.request.method", "GET"), .init("url.path", "/w3c"), .init("url.query", "q=1"), .init("http.response.status_code", "200"), .init("network.transport", "tcp")] {
            try stage.check(span.attributes.contains(attribute), "it says \(attribute.name)")
        }
        try stage.check(collector.batches.allSatisfy { $0.resource.contains(.init("service.name", "demo-proxy")) }, "and whose it is")
    }

    // Story: the collector is down while sampled requests come, and then refuses a batch.
    // Promise: requests are answered as ever, spans wait within bounds and are lost, not requests.
    // Source: linkerd2-proxy linkerd/opentelemetry: spans dropped.
    static let collectorDown = Story(
        "telemetry/collector-down",
        story: "The collector is down while sampled requests come; then it is there.",
        promise: "Every request is answered, what was traced meanwhile is lost or late, and later spans arrive.",
        source: "linkerd2-proxy linkerd/opentelemetry"
    ) { stage throws(StoryFailure) in
        let mesh = try stage.mesh { $0.environment = SpanCollector.environment }
        let web = mesh.addPod("web")
        _ = server(mesh, stage)
        try mesh.ready()
        let caller = web.caller()
        func ask(_ path: String) throws(StoryFailure) {
            let result = try stage.call(caller, "api", path, headers: [("traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01")])
            try stage.check(result.status == 200 && result.latency < .milliseconds(100), "\(path) is answered: \(result.summary)")
        }
        for i in 0..<20 { try ask("/early/\(i)") }
        stage.world.run(for: .seconds(40))
        let collector = try mesh.addCollector()
        stage.world.run(for: .seconds(60))
        try ask("/late")
        try stage.wait("its spans", within: .seconds(90)) { collector.spans.count { $0.name == "/late" } == 4 }
        stage.say("the collector has \(collector.spans.count) spans")
    }

    private static func hex(_ bytes: [UInt8]) -> String {
        bytes.map { (String($0, radix: 16).utf8.count == 1 ? "0" : "") + String($0, radix: 16) }.joined()
    }
}

extension String {
    /// What stands behind the first place of `mark`; nil: it is not there.
    fileprivate func components(_ mark: String) -> String? {
        var rest = self[...]
        while !rest.isEmpty {
            if rest.hasPrefix(mark) { return String(rest.dropFirst(mark.count)) }
            rest = rest.dropFirst()
        }
        return nil
    }
}
