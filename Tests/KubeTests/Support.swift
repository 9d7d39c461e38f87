// A simulated network of a client and an API server whose answers are written in the test: for what the wire must look like and
// for servers that misbehave. The store's semantics are judged against the simulated API server.

import Base
import DNS
import Documents
import HTTP
import Kube
import Platform
import Simulator
import TLS
import Testing
import Transport

struct Asked: Equatable {
    var method: String
    var path: String
    var body: String
    var contentType: String?
    var authorization: String?
}

/// Answers requests as a closure says, after the whole body came.
final class ScriptedServer: HTTPRequestHandler {
    var asked: [Asked] = []
    var streams: [HTTPStream] = []
    var gone = 0
    var answer: (Asked, HTTPStream) -> Void = { _, stream in stream.respond(status: 404) }
    private var readers: [Reader] = []

    var callers: [String?] = []
    var heads: [RequestHead] = []

    func request(_ stream: HTTPStream, _ head: RequestHead, endStream: Bool, peer: HTTPPeer) {
        callers.append(peer.tls?.identity)
        heads.append(head)
        let reader = Reader(self, Asked(
            method: "\(head.method)", path: "\(head.path)", body: "", contentType: head.headers.first("content-type"), authorization: head.headers.first("authorization")))
        readers.append(reader)
        stream.handler = reader
        if endStream { reader.complete(stream) }
    }

    private final class Reader: HTTPStreamHandler {
        let server: ScriptedServer
        var asked: Asked
        var bytes: [UInt8] = []
        init(_ server: ScriptedServer, _ asked: Asked) { (self.server, self.asked) = (server, asked) }

        func data(_ stream: HTTPStream, _ piece: RawSpan, endStream: Bool) {
            bytes += piece.array()
            stream.acknowledge(piece.byteCount)
            if endStream { complete(stream) }
        }
        func trailers(_ stream: HTTPStream, _ trailers: Headers) { complete(stream) }
        func failed(_ stream: HTTPStream, _ failure: HTTPStreamFailure) { server.gone += 1 }
        func complete(_ stream: HTTPStream) {
            asked.body = String(decoding: bytes, as: UTF8.self)
            server.asked.append(asked)
            server.streams.append(stream)
            server.answer(asked, stream)
        }
    }
}

extension HTTPStream {
    func json(_ text: String, status: UInt16 = 200, headers: [(String, String)] = []) {
        respond(status: status, headers: [("content-type", "application/json")] + headers, body: Array(text.utf8))
    }
    func begin() { respond(ResponseHead(status: 200, headers: ["content-type": "application/json"]), endStream: false) }
    func line(_ text: String) { part(text + "\n") }
    func part(_ text: String) {
        let bytes = Array(text.utf8)
        send(bytes.span.bytes, endStream: false)
    }
    func end() { send(RawSpan(), endStream: true) }
}

final class Net {
    let world: World
    let process: SimProcess
    let serverProcess: SimProcess
    let scripted = ScriptedServer()
    private(set) var client: KubeClient!
    private(set) var batch: FlushBatch!
    private var tls: TLSServerConfiguration?
    private var listening: HTTPServer?

    /// `authority`: speak TLS, with credentials that it is asked for in a turn of the server.
    init(
        seed: UInt64 = 1, segmentation: Segmentation = .seeded, limits: KubeLimits = KubeLimits(), configure: (inout KubeConfiguration) -> Void = { _ in },
        tls makeTLS: ((inout KubeConfiguration) throws -> TLSServerConfiguration)? = nil, prepare: (SimProcess) -> Void = { _ in }
    ) throws {
        var options = WorldOptions(start: WallTime(year: 2026, month: 6, day: 1, hour: 12)!)
        options.build = "test"
        options.segmentation = segmentation
        let world = World(seed: seed, options: options)
        self.world = world
        process = world.addProcess("client", on: world.addNode("client", ip: IPAddress(10, 0, 0, 1)), userID: 1, settings: Settings()) { _ in }
        serverProcess = world.addProcess("api", on: world.addNode("server", ip: IPAddress(10, 0, 0, 2)), userID: 1, settings: Settings()) { _ in }
        process.start()
        serverProcess.start()
        world.run(for: .zero)
        var configuration = KubeConfiguration(scheme: .http, host: "10.0.0.2", port: 8001)
        var failure: (any Error)?
        var served: TLSServerConfiguration?
        if let makeTLS {
            serverProcess.run { do { served = try makeTLS(&configuration) } catch { failure = error } }
            if let failure { throw failure }
        }
        tls = served
        configure(&configuration)
        prepare(process)
        process.run {
            do {
                batch = FlushBatch(host: process)
                client = try KubeClient(batch: batch, configuration: configuration, resolver: Resolver(host: process), userAgent: "test", limits: limits)
            } catch { failure = error }
        }
        if let failure { throw failure }
        listen()
    }

    func listen() {
        serverProcess.run {
            do { listening = try HTTPServer(batch: FlushBatch(host: serverProcess), address: SocketAddress(IPAddress(10, 0, 0, 2), 8001), tls: tls, handler: scripted) } catch { Issue.record(error) }
        }
    }

    /// The server goes and comes back offering other protocols.
    func relisten(alpn: [[UInt8]]) {
        serverProcess.run { listening?.close() }
        tls?.alpn = alpn
        listen()
    }

    func run(_ seconds: Int64 = 1) { world.run(for: .seconds(seconds)) }
    func onServer(_ body: () -> Void) { serverProcess.run(body) }

    /// Starts something on the client and runs until it has answered.
    func wait<T>(_ limit: Interval = .minutes(2), _ start: (@escaping (T) -> Void) -> Void) throws -> T {
        var answer: T?
        process.run { start { answer = $0 } }
        world.run(until: { answer != nil }, limit: limit, awaiting: "an answer")
        return try #require(answer)
    }

    func judge() {
        let verdict = world.finish()
        #expect(verdict.passes, "\(verdict)")
    }
}

func podText(_ name: String, _ version: String, namespace: String = "shop", typed: Bool = true) -> String {
    "{" + (typed ? #""kind":"Pod","apiVersion":"v1","# : "") + #""metadata":{"name":"\#(name)","namespace":"\#(namespace)","uid":"u-\#(name)","resourceVersion":"\#(version)"}}"#
}

func listText(_ items: [String], version: String, token: String? = nil) -> String {
    #"{"kind":"PodList","apiVersion":"v1","metadata":{"resourceVersion":"\#(version)"\#(token.map { #","continue":"\#($0)""# } ?? "")},"items":[\#(items.joined(separator: ","))]}"#
}

func event(_ type: String, _ object: String) -> String { #"{"type":"\#(type)","object":\#(object)}"# }
