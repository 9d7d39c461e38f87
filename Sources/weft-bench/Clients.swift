// Callers that scripts/bench needs and no tool has: requests at a fixed rate timed from when they were due, one stream of as many bytes
// as go through, connections that stand idle, and handshakes one after another.

import Base
import Glibc
import HTTP
import Linux
import Load
import Platform
import TLS
import Transport

/// How a client of the bench connects: in the clear, or with a client certificate to whoever has the given identity.
struct Way {
    let host: any Host
    let address: SocketAddress
    private let tls: TLSClientConfiguration?

    /// `directory` holds `ca.crt`, `client.crt` and `client.key`; nil: in the clear.
    init(host: any Host, address: String, identity: String?, directory: String?) throws {
        self.host = host
        guard let address = SocketAddress(address) else { throw Refusal("\(address) is no address with a port") }
        self.address = address
        guard let identity, let directory else {
            tls = nil
            return
        }
        let key = try PrivateKey(pem: try host.files.read("\(directory)/client.key"))
        let chain = try Certificate.parse(pem: try host.files.read("\(directory)/client.crt"))
        let anchors = try TrustAnchors(pem: try host.files.read("\(directory)/ca.crt"))
        tls = TLSClientConfiguration(credentials: try TLSCredentials(key: key, chain: chain), anchors: anchors).toward(identity)
    }

    var connector: any Connector {
        let tcp = TCPConnector(host: host, address: address, options: ConnectOptions(timeout: .seconds(10)))
        guard let tls else { return tcp }
        return TLSConnector(host: host, lower: tcp) { tls }
    }
}

// MARK: A fixed rate

/// Prints one line of `name value` pairs, times in microseconds, and the failures, each on a line.
func pace(_ way: Way, request: LoadRequest, plan: LoadPlan) -> Never {
    guard let host = way.host as? LinuxHost else { invariantBroken("the bench runs on Linux") }
    let loop = OpenLoop(batch: FlushBatch(host: host), connector: way.connector, request: request, plan: plan) { result in
        var line = "asked \(result.asked) succeeded \(result.succeeded) failed \(result.failed) waiting_most \(result.waitingMost)"
        for (name, histogram) in [("due", result.fromDue), ("sent", result.fromSent)] {
            for (label, parts, whole) in [("p50", 50, 100), ("p90", 90, 100), ("p99", 99, 100), ("p999", 999, 1000)] {
                line += " \(name)_\(label) \(microseconds(histogram.quantile(parts, of: whole)))"
            }
            line += " \(name)_max \(microseconds(histogram.max))"
        }
        say(line)
        for failure in result.failures { say("failure \(failure.count) \(failure.reason)") }
        host.exit(0)
    }
    withExtendedLifetime(loop) { host.runProcess() }
}

private func microseconds(_ interval: Interval) -> String {
    let tenths = (interval.nanoseconds + 50) / 100
    return "\(tenths / 10).\(tenths % 10)"
}

// MARK: Bulk

/// Sends without pause, then waits to be told how much came.
private final class Flood: ConnectionHandler {
    private let host: LinuxHost
    private let chunk = [UInt8](repeating: UInt8(ascii: "z"), count: 256 * 1024)
    private let length: Interval
    private var end = Instant.zero
    private var sent = 0
    private var answer: [UInt8] = []

    init(host: LinuxHost, length: Interval) {
        self.host = host
        self.length = length
    }

    func connected(_ connection: any Connection) {
        end = host.now + length
        fill(connection)
    }

    func drained(_ connection: any Connection) { fill(connection) }

    private func fill(_ connection: any Connection) {
        if host.now >= end { return connection.finish() }
        while connection.bytesQueued == 0, host.now < end {
            connection.send(chunk)
            sent += chunk.count
            // The loop's clock stands while we fill: let it go on from time to time.
            if connection.bytesQueued == 0, sent % (chunk.count * 16) == 0 {
                host.after(.zero) { [self] in fill(connection) }
                return
            }
        }
    }

    func received(_ bytes: RawSpan, on connection: any Connection) { answer += bytes.array() }
    func finished(_ connection: any Connection) {}

    func closed(_ connection: any Connection, _ failure: HostFailure?) {
        let told = String(decoding: answer, as: UTF8.self).split(separator: "\n").first.flatMap { Int($0) } ?? -1
        if told == sent { say("bytes \(sent)") } else { say("sent \(sent), but \(told) came: \(failure.map { "\($0)" } ?? "regular end")") }
        host.exit(told == sent ? 0 : 1)
    }
}

func flood(_ way: Way, length: Interval) -> Never {
    guard let host = way.host as? LinuxHost else { invariantBroken("the bench runs on Linux") }
    let flood = Flood(host: host, length: length)
    withExtendedLifetime((flood, way.connector.connect(flood))) { host.runProcess() }
}

// MARK: Many connections

/// Opens connections, a few at a time. Each says one request and hears its answer; then it stands idle, or ends.
final class Crowd: HTTPConnectionOwner, HTTPStreamHandler {
    private let host: LinuxHost
    private let batch: FlushBatch
    private let way: Way
    private let request: LoadRequest
    private let count: Int
    private var begun = 0
    private var standing: [HTTPConnection] = []
    private var failed = 0

    init(_ way: Way, host: LinuxHost, request: LoadRequest, count: Int) {
        self.way = way
        self.host = host
        self.request = request
        self.count = count
        batch = FlushBatch(host: host)
        for _ in 0..<min(count, 32) { begin() }
    }

    private func begin() {
        begun += 1
        let connector = way.connector
        let connection = HTTPConnection(version: request.head.version == .http2 ? .http2 : .http11, batch: batch, owner: self) { connector.connect($0) }
        let body = request.body
        do throws(Refusal) {
            let stream = try connection.open(request.head, endStream: body.isEmpty, handler: self)
            if !body.isEmpty { stream.send(body.span.bytes, endStream: true) }
        } catch { fail(error.reason) }
    }

    func available(_ connection: HTTPConnection) {
        guard connection.streamCount == 0 else { return }
        standing.append(connection)
        if begun < count { begin() } else if standing.count == count { say("standing \(count)") }
    }

    func closed(_ connection: HTTPConnection) { fail(connection.connectFailure.map { "\($0)" } ?? "a connection was closed") }

    func response(_ stream: HTTPStream, _ head: ResponseHead, endStream: Bool) {
        if head.status != 200 { fail("status \(head.status)") }
    }

    func data(_ stream: HTTPStream, _ bytes: RawSpan, endStream: Bool) { stream.acknowledge(bytes.byteCount) }
    func trailers(_ stream: HTTPStream, _ trailers: Headers) {}
    func failed(_ stream: HTTPStream, _ failure: HTTPStreamFailure) { fail("\(failure)") }

    private func fail(_ reason: String) {
        say("failure after \(standing.count) of \(count): \(reason)")
        host.exit(1)
    }
}

/// Until it is told to stop.
func hold(_ way: Way, request: LoadRequest, count: Int) -> Never {
    guard let host = way.host as? LinuxHost else { invariantBroken("the bench runs on Linux") }
    let crowd = Crowd(way, host: host, request: request, count: count)
    host.onShutdown { host.exit(0) }
    withExtendedLifetime(crowd) { host.runProcess() }
}

// MARK: Handshakes

/// Connections that are made, verified on both sides, and ended; so many at a time, nothing is said on them.
private final class Handshakes: ConnectionHandler {
    private let host: LinuxHost
    private let way: Way
    private let count: Int
    private var begun = 0
    private var ended = 0
    private var connections: [any Connection] = []

    init(_ way: Way, host: LinuxHost, count: Int) {
        self.way = way
        self.host = host
        self.count = count
        for _ in 0..<min(count, 8) { begin() }
    }

    private func begin() {
        begun += 1
        connections.append(way.connector.connect(self))
    }

    // The server answers our close_notify with its own once it has verified us; an alert would come as a failure.
    func connected(_ connection: any Connection) { connection.finish() }
    func received(_ bytes: RawSpan, on connection: any Connection) {}
    func finished(_ connection: any Connection) {}

    func closed(_ connection: any Connection, _ failure: HostFailure?) {
        connections.removeAll { $0 === connection }
        if let failure {
            say("failure after \(ended) of \(count): \(failure)")
            return host.exit(1)
        }
        ended += 1
        if begun < count { begin() } else if ended == count {
            say("handshakes \(count)")
            host.exit(0)
        }
    }
}

func shakeHands(_ way: Way, count: Int) -> Never {
    guard let host = way.host as? LinuxHost else { invariantBroken("the bench runs on Linux") }
    let handshakes = Handshakes(way, host: host, count: count)
    withExtendedLifetime(handshakes) { host.runProcess() }
}

// MARK: All

func benchHost() throws -> LinuxHost { try LinuxHost(settings: Settings.ofThisProcess(), log: Log.linux(LogFilter("warn"), format: .plain), takesSignals: true) }

/// A line on standard output, at once.
func say(_ line: String) {
    let bytes = Array((line + "\n").utf8)
    _ = bytes.withUnsafeBytes { write(1, $0.baseAddress, $0.count) }
}
