// Every capture of the shared fixtures, judged by the counts that capinfos and tshark gave. Where we differ on purpose or by a limit
// of libpcap, `deviations.tsv` says so with the reason, and a deviation that no longer occurs fails too. Without the fixtures
// (WEFT_FIXTURES, or ../shared/fixtures beside the tree) the suite is skipped.

import Base
import Foundation
import Testing

@testable import Capture

private let pcaps: String? = {
    let tree = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
    let root = ProcessInfo.processInfo.environment["WEFT_FIXTURES"] ?? tree.deletingLastPathComponent().appendingPathComponent("shared/fixtures").path
    return FileManager.default.fileExists(atPath: root + "/pcaps/INDEX.tsv") ? root + "/pcaps" : nil
}()

private func rows(_ path: String) throws -> [[String: String]] {
    let lines = try String(contentsOfFile: path, encoding: .utf8).split(separator: "\n").map { $0.split(separator: "\t", omittingEmptySubsequences: false).map(String.init) }
    guard let header = lines.first else { return [] }
    return lines.dropFirst().map { Dictionary(uniqueKeysWithValues: zip(header, $0)) }
}

@Suite struct `The corpus of captures` {
    @Test func `packets, flows, requests and responses are those of the oracles, or the deviation is explained`() throws {
        let pcaps = try #require(pcaps)
        let here = URL(fileURLWithPath: #filePath).deletingLastPathComponent().path
        var found: [String] = []
        var read = 0
        for row in try rows(pcaps + "/INDEX.tsv") {
            guard let name = row["file"] else { continue }
            let ours: [(String, Int?, String)]
            do throws(CaptureFailure) {
                let report = try CaptureReport(path: pcaps + "/" + name)
                read += 1
                ours = [
                    ("packets", report.packets, "packets"), ("flows", report.flows.count, "tcp_flows"), ("requests", report.requestCount, "http1_req"), ("responses", report.responseCount, "http1_resp"),
                ]
            } catch {
                ours = [("packets", nil, "packets")]
            }
            for (what, count, column) in ours {
                let expected = Int(row[column] ?? "")
                if count != expected { found.append("\(name)\t\(what)\t\(expected.map(String.init) ?? "-")\t\(count.map(String.init) ?? "-")") }
            }
        }
        #expect(read > 700)
        if let path = ProcessInfo.processInfo.environment["WEFT_DEVIATIONS_OUT"] { try found.joined(separator: "\n").write(toFile: path, atomically: true, encoding: .utf8) }
        let explained = try rows(here + "/deviations.tsv").map { "\($0["file"] ?? "")\t\($0["what"] ?? "")\t\($0["oracle"] ?? "")\t\($0["ours"] ?? "")" }
        #expect(Set(found).subtracting(explained).sorted() == [])
        #expect(Set(explained).subtracting(found).sorted() == [])
    }

    @Test func `mutated captures are read or refused, the same way twice`() throws {
        let pcaps = try #require(pcaps)
        let names = [
            "http1/zeek__pipelined-requests.pcap", "linktype/zeek__http-vlan-0.pcap", "pcapng/pcapplusplus__too_many_interfaces.pcapng",
            "tcp-edge/zeek__tcp--handshake-reorder.pcap", "http1/pcapplusplus__frag_http_req.pcap", "http1/zeek__ipv6-http-atomic-frag.pcap",
            "linktype/zeek__linux_dlt_sll2.pcap", "malformed/zeek__trunc--ip6-ext-trunc.pcap", "http1/suricata__http-gap-simple.pcap",
        ]
        var random = Random(seed: 7)
        for name in names {
            let original = [UInt8](try Data(contentsOf: URL(fileURLWithPath: pcaps + "/" + name)))
            for _ in 0..<60 {
                var bytes = original
                for _ in 0..<(1 + random.below(12)) { bytes[random.below(bytes.count)] = UInt8(random.below(256)) }
                if random.chance(1, in: 4) { bytes.removeLast(random.below(bytes.count)) }
                #expect(outcome(bytes) == outcome(bytes))
            }
        }
    }

    private func outcome(_ bytes: [UInt8]) -> String {
        do throws(CaptureFailure) {
            let report = try CaptureReport(name: "mutated", bytes: bytes)
            return "\(report.packets) \(report.flows.count) \(report.requestCount) \(report.responseCount) \(report.problems) \(String(describing: report.damage))"
        } catch { return "\(error)" }
    }
}
