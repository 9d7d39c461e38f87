// What the demonstration says, and how an answer is written down so that two worlds can be compared: the same calls go to a cluster
// of namespaces and processes on this machine, and to one in the simulator.

import Base
import Documents
import Kube

public struct DemoPlan: Sendable {
    public enum Kind: String, Sendable { case get = "GET", post = "POST", bytes = "TCP" }

    public struct Call: Sendable {
        public var kind: Kind
        /// For people: without the token.
        public var name: String
        /// Of HTTP calls.
        public var path: String
        /// What is sent: a body, or all bytes of a conversation.
        public var body: String
    }

    /// In order; calls of one step share a connection.
    public let steps: [[Call]]
    /// Phrases that must not be readable on the network: every path, body and conversation holds one.
    public let phrases: [String]
    public let token: String

    public static let host = "api.demo.svc.cluster.local"
    public static let httpPort: UInt16 = 80
    public static let bytesPort: UInt16 = 9000
    /// Who the server must be told has called.
    public static let client = "web.demo.serviceaccount.identity.linkerd.cluster.local"
    public static let server = "api.demo.serviceaccount.identity.linkerd.cluster.local"

    /// What the server's proxy counts of HTTP requests and of conversations of bytes, and the labels of those that came over TLS from
    /// the client.
    public static let requestsFamily = "request_total"
    public static let bytesFamily = "inbound_tcp_authz_allow_total"
    public static let securedLabels: KeyValuePairs<String, String> = ["tls": "true", "client_id": client]

    /// `token`: sixteen letters that stand nowhere else, so that a phrase found on the wire is one of ours.
    public init(token: String) {
        self.token = token
        func call(_ kind: Kind, _ path: String, _ body: String = "") -> Call {
            Call(kind: kind, name: "\(kind.rawValue) \(path)", path: kind == .bytes ? "" : "\(path)/\(token)", body: body)
        }
        steps = [
            [call(.get, "/greeting")],
            [call(.post, "/orders", "two teapots for \(token), please")],
            [call(.get, "/first"), call(.get, "/second")],
            [call(.bytes, "port 9000", "opaque bytes, nobody parses them: \(token)\n")],
        ]
        phrases = steps.flatMap { $0 }.map { $0.kind == .get ? $0.path : $0.body.split(separator: "\n").joined() }
    }

    public var calls: [Call] { steps.flatMap { $0 } }

    /// What the application answers to an HTTP call of this client: bodies come back, others are greeted by identity.
    public static func answer(body: String, client: String) -> String { body.isEmpty ? "hello, \(client)\n" : body }
}

/// What became of one call.
public struct CallRecord: Equatable, Sendable {
    public var call: String
    /// HTTP's status; nil for conversations of bytes and for calls without an answer.
    public var status: Int?
    /// Bytes of the answer's body, or heard.
    public var bytes: Int
    /// Whom the server's side held for the client; nil: it knew nobody.
    public var client: String?
    /// The server's proxy took the call from a TLS connection.
    public var isTLS: Bool
    /// Why the answer is not what it must be; nil: it is.
    public var failure: String?

    public init(call: String, status: Int?, bytes: Int, client: String?, isTLS: Bool, failure: String? = nil) {
        self.call = call
        self.status = status
        self.bytes = bytes
        self.client = client
        self.isTLS = isTLS
        self.failure = failure
    }

    /// Where two worlds' records of the same calls differ, in words; empty: they agree.
    public static func differences(_ here: [CallRecord], _ there: [CallRecord]) -> [String] {
        var found: [String] = []
        if here.count != there.count { found.append("\(here.count) calls here, \(there.count) in the simulator") }
        for (a, b) in zip(here, there) {
            func compare<T: Equatable>(_ what: String, _ x: T, _ y: T, _ text: (T) -> String) {
                if x != y { found.append("\(a.call): \(what) \(text(x)) here, \(text(y)) in the simulator") }
            }
            compare("call", a.call, b.call) { $0 }
            compare("status", a.status, b.status) { $0.map { "\($0)" } ?? "none" }
            compare("bytes", a.bytes, b.bytes) { "\($0)" }
            compare("client", a.client, b.client) { $0 ?? "unknown" }
            compare("TLS", a.isTLS, b.isTLS) { $0 ? "yes" : "no" }
        }
        return found
    }

    public var json: Value {
        .members([
            "call": .string(call), "status": status.map { .int(Int64($0)) }, "bytes": .int(Int64(bytes)), "client": client.map { .string($0) }, "tls": .bool(isTLS),
            "failure": failure.map { .string($0) },
        ])
    }

    public init?(_ json: Value) {
        guard let call = json.text("call"), let bytes = json.number("bytes"), let isTLS = json.flag("tls") else { return nil }
        self.init(call: call, status: json.number("status").map { Int($0) }, bytes: Int(bytes), client: json.text("client"), isTLS: isTLS, failure: json.text("failure"))
    }
}

/// What a proxy says of itself: Prometheus text, looked into for a few series.
public struct ProxyMetrics: Sendable {
    private let lines: [Substring]

    public init(_ text: String) { lines = text.split(separator: "\n").filter { !$0.hasPrefix("#") } }

    /// The sum over the series of a family that carry these labels.
    public func sum(_ family: String, _ labels: KeyValuePairs<String, String> = [:]) -> Int {
        Int(series(family, labels).compactMap { $0.split(separator: " ").last.flatMap { Double($0) } }.reduce(0, +))
    }

    private func series(_ family: String, _ labels: KeyValuePairs<String, String>) -> [Substring] {
        lines.filter { line in
            (line.hasPrefix(family + "{") || line.hasPrefix(family + " ")) && labels.allSatisfy { name, value in line.contains("{\(name)=\"\(value)\"") || line.contains(",\(name)=\"\(value)\"") }
        }
    }
}
