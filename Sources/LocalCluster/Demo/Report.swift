// What the demonstration found, as lines for people and as JSON. Nothing is decided here.

import Base
import Capture
import Documents
import Kube
import Simulations

/// What passed on an interface.
struct WireReport {
    var packets = 0
    var bytes = 0
    var tlsConnections = 0
    var tlsRecords = 0
    /// Such as `TLS 1.3`.
    var versions = ""
    /// Phrases of the plan that were readable.
    var phrasesSeen = 0

    init() {}

    init(_ watch: WireWatch, phrases: Int) {
        packets = watch.packets
        bytes = watch.bytes
        tlsConnections = watch.tlsConnections
        tlsRecords = watch.tlsRecords
        versions = watch.tlsVersions.map(Self.name).joined(separator: ", ")
        phrasesSeen = watch.seen.filter { $0 < phrases }.count
    }

    private static func name(_ version: UInt16) -> String { version == 0x0304 ? "TLS 1.3" : version == 0x0303 ? "TLS 1.2" : "TLS \(String(version, radix: 16))" }

    var json: Value {
        .members([
            "packets": .int(Int64(packets)), "bytes": .int(Int64(bytes)), "tlsConnections": .int(Int64(tlsConnections)), "tlsRecords": .int(Int64(tlsRecords)), "tlsVersions": .string(versions),
            "phrasesSeen": .int(Int64(phrasesSeen)),
        ])
    }
}

struct DemoReport {
    /// The run's name, with which all it made begins.
    var run: String?
    var calls: [MadeCall] = []
    var bridge = WireReport()
    var inside = WireReport()
    var phrases = 0
    /// Of both proxies: what the client's proxy sent to and heard from the server's.
    var meshedBytes = (sent: 0, received: 0)
    var rehearsal: Rehearsal?
    var differences: [String] = []
    var failures: [String] = []

    var isGood: Bool { failures.isEmpty && differences.isEmpty }

    var json: String {
        let value = Value.members([
            "passed": .bool(isGood), "run": run.map { .string($0) }, "calls": .array(calls.map { call in
                var json = call.record.json
                json.put(.double(call.seconds), at: "seconds")
                return json
            }),
            "bridge": bridge.json, "insideApi": inside.json, "phrases": .int(Int64(phrases)),
            "simulator": rehearsal.map { .array($0.records.map(\.json)) }, "trace": rehearsal.map { .string($0.trace) }, "differences": .array(differences.map { .string($0) }),
            "failures": .array(failures.map { .string($0) }),
        ])
        return value.json() + "\n"
    }

    // MARK: For people

    static func made(_ calls: [MadeCall]) -> [String] {
        calls.map { call in
            let answer = call.record.status.map { "\($0)" } ?? "back"
            return "  \(pad(call.record.call, 15))\(pad(answer, 5))\(padLeft("\(call.record.bytes) bytes", 9))  \(padLeft(milliseconds(call.seconds), 9))   \(call.record.client ?? "-")"
                + (call.connections == 0 ? "  (same connection)" : "")
        }
    }

    func wire() -> [String] {
        [
            "  the bridge saw       \(bridge.packets) packets, \(count(bridge.bytes)) bytes: \(bridge.tlsConnections) TLS connections, \(bridge.versions), \(bridge.tlsRecords) records",
            "  readable on it       \(bridge.phrasesSeen == 0 ? "none" : "\(bridge.phrasesSeen)") of the \(phrases) paths, bodies and phrases that were said",
            "  readable inside api  \(inside.phrasesSeen) of \(phrases), where its proxy speaks to nginx and the echo on loopback",
            "  proxy to proxy       \(count(meshedBytes.sent)) bytes sent by web, \(count(meshedBytes.received)) heard",
        ]
    }

    func worlds() -> [String] {
        guard let rehearsal else { return [] }
        var lines = ["  \(pad("", 15))\(pad("this machine", 34))simulator"]
        for i in 0..<max(calls.count, rehearsal.records.count) {
            let here = i < calls.count ? calls[i].record : nil
            let there = i < rehearsal.records.count ? rehearsal.records[i] : nil
            lines.append("  \(pad(here?.call ?? there?.call ?? "", 15))\(pad(Self.cell(here), 34))\(Self.cell(there))")
        }
        return lines
    }

    static func cell(_ record: CallRecord?) -> String {
        guard let record else { return "-" }
        let short = record.client?.split(separator: ".").prefix(2).joined(separator: ".") ?? "nobody"
        return "\(pad(record.status.map { "\($0)" } ?? "back", 5))\(padLeft("\(record.bytes)", 3)) bytes  \(short), \(record.isTLS ? "TLS" : "no TLS")"
    }

    static func milliseconds(_ seconds: Double) -> String {
        let tenths = Int((seconds * 10_000).rounded())
        return "\(tenths / 10).\(tenths % 10) ms"
    }

    /// Thousands apart.
    private func count(_ number: Int) -> String {
        var digits = Array(String(number))
        var i = digits.count - 3
        while i > 0 {
            digits.insert(",", at: i)
            i -= 3
        }
        return String(digits)
    }
}

func pad(_ text: String, _ width: Int) -> String { text + String(repeating: " ", count: max(0, width - text.count)) }
func padLeft(_ text: String, _ width: Int) -> String { String(repeating: " ", count: max(0, width - text.count)) + text }
