// What two worlds are compared by: for each exchange, what the client got and what the server got, in lines. Bodies stand as lengths and
// digests; dates and each world's own addresses are replaced, since those must differ.

import Base
import Documents
import HTTP
import Kube

public struct ExchangeRecord: Equatable, Sendable {
    public var number: Int
    /// In words: what was drawn.
    public var note: String
    /// What came back to the client.
    public var client: [String]
    /// What reached the server.
    public var server: [String]

    public init(number: Int, note: String, client: [String], server: [String]) {
        self.number = number
        self.note = note
        self.client = client
        self.server = server
    }

    public var json: Value {
        .members([
            "number": .int(Int64(number)), "note": .string(note), "client": .array(client.map { .string($0) }), "server": .array(server.map { .string($0) }),
        ])
    }

    public init?(_ json: Value) {
        guard let number = json.number("number"), let note = json.text("note") else { return nil }
        func lines(_ name: String) -> [String] { json.items(name).compactMap { if case .string(let text) = $0 { text } else { nil } } }
        self.init(number: Int(number), note: note, client: lines("client"), server: lines("server"))
    }

    /// The lines in which two records of one exchange differ, in words; empty: they agree.
    public static func differences(_ here: ExchangeRecord, _ there: ExchangeRecord) -> [String] {
        var found: [String] = []
        for (who, a, b) in [("client", here.client, there.client), ("server", here.server, there.server)] where a != b {
            for i in 0..<max(a.count, b.count) {
                let (x, y) = (i < a.count ? a[i] : "nothing", i < b.count ? b[i] : "nothing")
                if x != y { found.append("\(who), line \(i + 1): \(x) here, \(y) in the simulator") }
            }
        }
        return found
    }
}

/// Writes messages down as lines, with what must differ between worlds replaced.
struct ExchangeLines {
    /// Addresses of this world and what they are called.
    var names: [(address: String, name: String)]

    func text(_ text: String) -> String {
        var text = text
        for (address, name) in names { text = replaced(text, address, by: name) }
        return text
    }

    private func replaced(_ text: String, _ part: String, by name: String) -> String {
        text.split(separator: part, omittingEmptySubsequences: false).joined(separator: name)
    }

    func fields(_ fields: [(name: String, value: String)], _ mark: String) -> [String] {
        fields.map { "\(mark)\($0.name): \($0.name.lowercased() == "date" ? "<date>" : shortened(text($0.value)))" }
    }

    private func shortened(_ value: String) -> String { value.utf8.count <= 200 ? value : Self.digest(Array(value.utf8)) }

    func message(_ message: PlainMessage) -> [String] {
        [shortened(text(message.line))] + fields(message.headers, "  ") + [body(message.body)] + fields(message.trailers, "  trailer ")
    }

    func body(_ bytes: [UInt8]) -> String {
        // What a proxy says by itself is worth reading.
        if bytes.count <= 120, let words = String(validating: bytes, as: UTF8.self), words.utf8.allSatisfy({ $0 >= 32 && $0 < 127 }) { return "  body \(bytes.count): \(text(words))" }
        return "  body \(Self.digest(bytes))"
    }

    static func digest(_ bytes: [UInt8]) -> String {
        var digest = Digest64()
        digest.mix(bytes.span.bytes)
        return "\(bytes.count) bytes, \(digest.value.hex)"
    }
}
