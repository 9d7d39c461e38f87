// The tables of gRPC's own documents as cases: the numbers of the status codes, and what an HTTP status means to a call that has no gRPC status.

import Foundation
import Testing

@testable import GRPC

@Suite struct `gRPC's documents` {
    /// The cells of each row of the document's tables, without marks.
    private func rows(_ name: String) throws -> [[String]] {
        let beside = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
        let root = ProcessInfo.processInfo.environment["WEFT_FIXTURES"] ?? beside.appendingPathComponent("shared/fixtures").path
        return try String(contentsOfFile: "\(root)/grpc/doc/\(name)", encoding: .utf8).split(separator: "\n").filter { $0.hasPrefix("|") }.map { line in
            line.split(separator: "|").map { $0.filter { $0 != "\\" && $0 != "`" }.trimmingCharacters(in: .whitespaces) }
        }
    }

    @Test func `the codes have their numbers`() throws {
        var passed = 0
        let cases = try rows("statuscodes.md").compactMap { row in row.count > 1 ? UInt32(row[1]).map { (name: row[0], number: $0) } : nil }
        for (name, number) in cases {
            #expect(GRPCStatus.Code(rawValue: number)?.name == name)
            if GRPCStatus.Code(rawValue: number)?.name == name { passed += 1 }
        }
        #expect(cases.count == 17 && GRPCStatus.Code.allCases.count == 17)
        print("corpus grpc-codes passed \(passed) of \(cases.count)")
    }

    @Test func `an HTTP status means what the table says, and any other is unknown`() throws {
        var table: [UInt16: String] = [:]
        for row in try rows("http-grpc-status-mapping.md") where row.count > 1 {
            if let status = UInt16(row[0].prefix(3)) { table[status] = row[1] }
        }
        #expect(table.count == 8)
        var passed = 0
        for status in UInt16(200)...599 {
            let name = GRPCStatus(httpStatus: status).code.name
            #expect(name == table[status] ?? "UNKNOWN", "\(status)")
            if name == table[status] ?? "UNKNOWN" { passed += 1 }
        }
        print("corpus grpc-http-status passed \(passed) of 400")
    }
}
