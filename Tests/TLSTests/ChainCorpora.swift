// Chains by others with the verdicts of others: x509-limbo and BoringSSL's. Every case of the files is judged. Where our verdict differs it
// stands in deviations.tsv with its reason; a case that differs and is not listed fails, and so does one that is listed and agrees.

import Base
import Foundation
import Testing

@testable import TLS

/// One case of one corpus.
struct ChainCase {
    var name: String
    var accepts: Bool
    /// What we say: nil accepts, else why not.
    var verdict: String?
}

enum ChainDeviations {
    /// Reasons by corpus and case; the lines are `corpus TAB case TAB reason`.
    static func load() throws -> [String: [String: String]] {
        let path = URL(fileURLWithPath: #filePath).deletingLastPathComponent().appendingPathComponent("deviations.tsv")
        var table: [String: [String: String]] = [:]
        for line in try String(contentsOf: path, encoding: .utf8).split(separator: "\n") where !line.hasPrefix("#") {
            let parts = line.split(separator: "\t", omittingEmptySubsequences: false).map(String.init)
            try #require(parts.count == 3 && !parts[2].isEmpty, "a deviation has a corpus, a case and a reason: \(line)")
            try #require(table[parts[0], default: [:]].updateValue(parts[2], forKey: parts[1]) == nil, "\(parts[1]) is listed twice")
        }
        return table
    }

    static func judge(_ corpus: String, _ cases: [ChainCase]) throws {
        let known = try load()[corpus] ?? [:]
        var passed = 0
        for one in cases {
            let agrees = (one.verdict == nil) == one.accepts
            if agrees == (known[one.name] == nil) { passed += 1 } else {
                Issue.record("\(corpus) \(one.name): expected \(one.accepts ? "accepted" : "refused"), we: \(one.verdict ?? "accepted")\(agrees ? ", listed as a deviation" : "")")
            }
        }
        let names = Set(cases.map(\.name))
        #expect(known.keys.allSatisfy { names.contains($0) }, "\(known.keys.filter { !names.contains($0) }.sorted()) are listed and no cases")
        print("corpus \(corpus) passed \(passed) of \(cases.count)")
        for one in cases { if let reason = known[one.name] { print("  differs \(one.name): \(reason)") } }
    }
}

@Suite struct `The limbo of chains` {
    struct Case: Decodable {
        struct Name: Decodable { var kind: String; var value: String }
        var id: String
        var validation_kind: String
        var trusted_certs: [String]
        var untrusted_intermediates: [String]
        var peer_certificate: String
        var validation_time: String?
        var expected_result: String
        var expected_peer_name: Name?
    }
    struct Suite: Decodable { var testcases: [Case] }

    private func verdict(_ limbo: Case) -> String? {
        do {
            let anchors = TrustAnchors(try limbo.trusted_certs.flatMap { try Certificate.parse(pem: $0) })
            let chain = try ([limbo.peer_certificate] + limbo.untrusted_intermediates).flatMap { try Certificate.parse(pem: $0) }
            let time = limbo.validation_time.flatMap { WallTime(rfc3339: $0) } ?? noon
            try Certificate.verify(chain: chain, anchors: anchors, at: time, purpose: limbo.validation_kind == "CLIENT" ? .client : .server)
            if limbo.validation_kind == "SERVER", let name = limbo.expected_peer_name, !chain[0].carries(name.value) { return "no such name" }
            return nil
        } catch { return "\(error)" }
    }

    private func judged(_ limbo: Case) -> ChainCase { ChainCase(name: limbo.id, accepts: limbo.expected_result == "SUCCESS", verdict: verdict(limbo)) }

    @Test func `is judged as by its authors, or as listed`() throws {
        try ChainDeviations.judge("x509/limbo", try JSONDecoder().decode(Suite.self, from: Data(try Fixtures.bytes("limbo/limbo-slim.json"))).testcases.map(judged))
    }

    @Test func `recorded chains of public sites are judged as listed`() throws {
        let files = try FileManager.default.contentsOfDirectory(atPath: "\(Fixtures.root)/x509/limbo/online").filter { $0.hasSuffix(".json") }.sorted()
        #expect(!files.isEmpty)
        try ChainDeviations.judge("x509/limbo-online", try files.map { judged(try JSONDecoder().decode(Case.self, from: Data(try Fixtures.bytes("limbo/online/\($0)")))) })
    }
}

@Suite struct `BoringSSL's chains` {
    /// `151002120000Z`; DEFAULT is the time of its own test program.
    private func time(_ text: String) -> WallTime? {
        let digits = Array((text == "DEFAULT" ? "211005120000Z" : text).utf8)
        guard digits.count == 13 else { return nil }
        func two(_ at: Int) -> Int64 { Int64(digits[at]) * 10 + Int64(digits[at + 1]) - 528 }
        return WallTime(year: 2000 + two(0), month: two(2), day: two(4), hour: two(6), minute: two(8), second: two(10))
    }

    private func judge(_ directory: String, _ file: String) throws -> ChainCase {
        let text = String(decoding: try Fixtures.bytes("boringssl-chains/\(directory)/\(file)"), as: UTF8.self)
        var values: [String: String] = [:]
        for line in text.split(separator: "\n") {
            if line.hasPrefix("expected_errors:") { break }
            let parts = line.split(separator: ":", maxSplits: 1).map { $0.trimmingCharacters(in: .whitespaces) }
            if parts.count == 2 { values[parts[0]] = parts[1] }
        }
        let accepts = !text.split(separator: "\n").contains { $0.hasPrefix("ERROR: ") }
        let name = "\(directory)/\(file.dropLast(5))"
        let at = try #require(time(values["utc_time"] ?? ""), "\(name) has a time")
        do {
            let pem = try Fixtures.bytes("boringssl-chains/\(directory)/\(values["chain"] ?? "")")
            let chain = try Certificate.parse(pem: pem)
            // TRUSTED_LEAF trusts the certificate where it is the whole chain, and as nobody's issuer.
            let trust = values["last_cert_trust"] ?? ""
            let isTrusted = trust.hasPrefix("TRUSTED_ANCHOR") || trust.hasPrefix("TRUSTED_LEAF") && chain.count == 1
            let purpose: Certificate.Purpose = (values["key_purpose"] ?? "").hasPrefix("SERVER") ? .server : (values["key_purpose"] ?? "").hasPrefix("CLIENT") ? .client : .any
            try Certificate.verify(chain: chain.count > 1 ? Array(chain.dropLast()) : chain, anchors: TrustAnchors(isTrusted ? [chain[chain.count - 1]] : []), at: at, purpose: purpose)
            return ChainCase(name: name, accepts: accepts, verdict: nil)
        } catch { return ChainCase(name: name, accepts: accepts, verdict: "\(error)") }
    }

    @Test func `are judged as by its authors, or as listed`() throws {
        let root = "\(Fixtures.root)/x509/boringssl-chains"
        var cases: [ChainCase] = []
        for directory in try FileManager.default.contentsOfDirectory(atPath: root).sorted() where !directory.contains(".") {
            for file in try FileManager.default.contentsOfDirectory(atPath: "\(root)/\(directory)").filter({ $0.hasSuffix(".test") }).sorted() { cases.append(try judge(directory, file)) }
        }
        #expect(cases.count > 60)
        try ChainDeviations.judge("x509/boringssl-chains", cases)
    }
}
