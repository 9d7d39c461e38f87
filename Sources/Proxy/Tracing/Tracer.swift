// Spans of requests that belong to a trace, and their way to the collector. Each proxy makes two for a request, as Linkerd's does: one for
// having been asked, one for each endpoint that it asked. There is one of these only when a collector is configured; without, nothing
// looks at a request's headers. Absent on purpose: sampling of our own; a trace is begun by whoever begins it.
// Source: linkerd2-proxy linkerd/trace-context, linkerd/opentelemetry; facts 7.1.

import Base
import GRPC
import HTTP
import MeshAPI
import Platform
import Transport

/// What is known of one request's trace. Made only for requests that carry one.
final class RequestTrace {
    fileprivate let context: TraceContext
    /// Ours: the span of having been asked.
    fileprivate let asked: UInt64
    /// And that of asking the endpoint that has the request now.
    fileprivate var asking: (span: UInt64, began: WallTime)?
    fileprivate var isTold = false

    fileprivate init(_ context: TraceContext, asked: UInt64) {
        self.context = context
        self.asked = asked
    }
}

final class Tracer {
    private let host: any Host
    private let client: ControlClient
    private let resource: [OpenTelemetry.Attribute]
    private let streams, requests, exports: Metric
    private var random: Random
    private var pending: [OpenTelemetry.Span] = []
    private var timer: TimerID?
    private var call: GRPCCall?
    private var isDropping = false
    private var finished: (() -> Void)?

    init(host: any Host, settings: TraceSettings, client: ControlClient, registry: MetricsRegistry) {
        self.host = host
        self.client = client
        resource = Self.resource(host, settings)
        random = host.random("spans")
        streams = registry.metric(Families.spanStreams, [])
        requests = registry.metric(Families.spanRequests, [])
        exports = registry.metric(Families.spanExports, [])
    }

    // MARK: What happens to a request

    /// It came. Without a trace of its own there is nothing to do for it, ever.
    func began(_ exchange: HTTPExchange) {
        guard let context = TraceContext.read(exchange.head.headers) else { return }
        exchange.trace = RequestTrace(context, asked: span())
    }

    /// `head` is on its way to an endpoint: whoever gets it belongs below our span, sampled or not.
    func asks(_ exchange: HTTPExchange, _ head: inout RequestHead) {
        guard let trace = exchange.trace else { return }
        let asking = span()
        trace.asking = (asking, host.wall)
        trace.context.write(span: asking, into: &head.headers)
    }

    /// The endpoint answered, and the caller is not told.
    func attemptEnded(_ exchange: HTTPExchange, direction: StaticString) {
        guard let trace = exchange.trace else { return }
        if let status = exchange.status { endAsking(exchange, trace, status, direction) }
        trace.asking = nil
    }

    /// The caller gets this head, the endpoint's or our own.
    func answered(_ exchange: HTTPExchange, _ head: ResponseHead, direction: StaticString) {
        guard let trace = exchange.trace, !trace.isTold else { return }
        trace.isTold = true
        guard trace.context.isSampled else { return }
        if exchange.error == nil { endAsking(exchange, trace, head.status, direction) }
        let began = host.wall - (host.now - exchange.started)
        add(.init(
            trace: trace.context.traceBytes, id: bytes(trace.asked), parent: bytes(trace.context.parent), name: name(exchange.head), kind: .server,
            start: UInt64(clamping: began.nanoseconds), end: UInt64(clamping: host.wall.nanoseconds), attributes: Self.attributes(exchange.head, head.status, direction)))
    }

    private func endAsking(_ exchange: HTTPExchange, _ trace: RequestTrace, _ status: UInt16, _ direction: StaticString) {
        guard trace.context.isSampled, let asking = trace.asking else { return }
        trace.asking = nil
        add(.init(
            trace: trace.context.traceBytes, id: bytes(asking.span), parent: bytes(trace.asked), name: name(exchange.head), kind: .client,
            start: UInt64(clamping: asking.began.nanoseconds), end: UInt64(clamping: host.wall.nanoseconds), attributes: Self.attributes(exchange.head, status, direction)))
    }

    /// Not zero, which would be no span.
    private func span() -> UInt64 { max(1, random.next()) }
    private func bytes(_ span: UInt64) -> [UInt8] { withUnsafeBytes(of: span.bigEndian) { Array($0) } }
    private func name(_ head: RequestHead) -> String { String(RouteTable.split("\(head.path)").path) }

    // MARK: The collector

    private func add(_ span: OpenTelemetry.Span) {
        guard pending.count < ProxyLimits.spansWaitingMax else {
            if !isDropping { host.log(.info, "linkerd_opentelemetry", "spans dropped: \(pending.count) wait for the collector") }
            isDropping = true
            return
        }
        pending.append(span)
        if pending.count >= ProxyLimits.spansBatchMax { return export() }
        if timer == nil {
            timer = host.after(ProxyLimits.spansDelayMax) { [self] in
                timer = nil
                export()
            }
        }
    }

    private func export() {
        guard call == nil, !pending.isEmpty else { return }
        if let timer { host.cancel(timer) }
        timer = nil
        let count = min(pending.count, ProxyLimits.spansBatchMax)
        let request = OpenTelemetry.ExportRequest(resource: resource, spans: Array(pending.prefix(count)))
        pending.removeFirst(count)
        isDropping = false
        streams.increment()
        requests.increment()
        call = client.channel.unary(OpenTelemetry.export, request, timeout: ProxyLimits.spansExportTimeout) { [self] result in
            call = nil
            switch result {
            case .success(let response):
                exports.increment(by: Double(count) - Double(response.rejectedCount))
                if response.rejectedCount > 0 { host.log(.info, "linkerd_opentelemetry", "the collector refused \(response.rejectedCount) spans: \(response.message.prefix(200))") }
            case .failure(let status): host.log(.info, "linkerd_opentelemetry", "\(count) spans were lost: \(status)")
            }
            if let finished {
                self.finished = nil
                finished()
            } else if pending.count >= ProxyLimits.spansBatchMax {
                export()
            }
        }
    }

    /// Sends what is left; `done` is called once, at once or within the time of one export.
    func finish(_ done: @escaping () -> Void) {
        if call == nil { export() }
        if call == nil { done() } else { finished = done }
    }

    func stop() {
        if let timer { host.cancel(timer) }
        timer = nil
        finished = nil
        call?.cancel()
        call = nil
        client.close()
    }

    // MARK: What is said

    /// Of this process; what is said later of the same thing wins.
    private static func resource(_ host: any Host, _ settings: TraceSettings) -> [OpenTelemetry.Attribute] {
        var list: [OpenTelemetry.Attribute] = []
        func put(_ attribute: OpenTelemetry.Attribute) {
            list.removeAll { $0.name == attribute.name }
            list.append(attribute)
        }
        put(.init("service.name", settings.serviceName))
        if let path = settings.attributesPath {
            do throws(HostFailure) {
                // The downward API quotes values.
                for (name, value) in Configuration.attributes(String(decoding: try host.files.read(path), as: UTF8.self), separator: "\n") {
                    put(.init(name, value.first == "\"" && value.last == "\"" && value.utf8.count > 1 ? String(value.dropFirst().dropLast()) : value))
                }
            } catch { host.log(.warn, "linkerd_opentelemetry", "the attributes of spans cannot be read: \(error)") }
        }
        for (name, value) in settings.attributes { put(.init(name, value)) }
        // The process's own number is the first word of this file; a world without such a file has no such numbers.
        let stat = (try? host.files.read("/proc/self/stat")).flatMap { Int64(String(decoding: $0.prefix { $0 != 0x20 }, as: UTF8.self)) }
        if let stat { put(.init("process.pid", stat)) }
        put(.init("process.start_timestamp", host.wall.seconds))
        if let name = settings.hostName { put(.init("host.name", name)) }
        return list
    }

    private static func attributes(_ head: RequestHead, _ status: UInt16, _ direction: StaticString) -> [OpenTelemetry.Attribute] {
        let (path, query) = RouteTable.split("\(head.path)")
        let authority = "\(head.authority)"
        // Whoever writes a password into a URL must not read it in a collector.
        let host = authority.split(separator: "@", omittingEmptySubsequences: false).last.map(String.init) ?? ""
        var list: [OpenTelemetry.Attribute] = [.init("http.request.method", "\(head.method)"), .init("url.scheme", "http"), .init("url.path", String(path))]
        if !query.isEmpty { list.append(.init("url.query", String(query))) }
        list.append(.init("url.full", "http://\(host == authority ? "" : "REDACTED@")\(host)\(head.path)"))
        list.append(.init("network.transport", "tcp"))
        let server = head.headers.first("x-forwarded-host") ?? host
        if let parsed = Authority(server) {
            list.append(.init("server.address", parsed.host))
            list.append(.init("server.port", "\(parsed.port)"))
        } else if !server.isEmpty {
            list.append(.init("server.address", server))
        }
        if let agent = head.headers.first("user-agent") { list.append(.init("user_agent.original", agent)) }
        for name in ["content-length", "content-type", "l5d-orig-proto"] { if let value = head.headers.first(name) { list.append(.init("http.request.header.\(name)", value)) } }
        list.append(.init("http.response.status_code", "\(status)"))
        list.append(.init("direction", "\(direction)"))
        return list
    }
}
