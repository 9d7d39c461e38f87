// The families of metrics, held against Linkerd's list: none missing, none misspelt, no label too many or too few. What live proxies
// show is held against it as well, so that no series is counted past the list.

import Base
import Foundation
import Platform
import Testing

@testable import Proxy

/// One line of families.tsv.
struct ListedFamily {
    var name: String
    var kind: String
    var labels: Set<String>
    var bounds: [Double]

    static func all() throws -> [ListedFamily] {
        try String(contentsOfFile: path(beside: "families.tsv"), encoding: .utf8).split(separator: "\n").filter { !$0.hasPrefix("#") }.map { line in
            let cells = line.split(separator: "\t", omittingEmptySubsequences: false).map(String.init)
            try #require(cells.count == 4, "\(line)")
            return ListedFamily(name: cells[0], kind: cells[1], labels: Set(cells[2].split(separator: ",").map(String.init)), bounds: cells[3].split(separator: ",").compactMap { Double($0) })
        }
    }
}

@Suite struct `The families of metrics` {
    @Test func `are Linkerd's, label by label`() throws {
        let listed = try ListedFamily.all()
        #expect(listed.count > 160)
        let ours = Families.all
        #expect(Set(ours.map(\.name)).count == ours.count)
        for family in listed {
            guard let found = ours.first(where: { $0.name == family.name }) else {
                Issue.record("\(family.name) is missing")
                continue
            }
            #expect(found.kind.rawValue == family.kind, "\(family.name)")
            #expect(Set(found.labels) == family.labels, "\(family.name)")
            #expect(found.bounds == family.bounds, "\(family.name)")
        }
        for family in ours where !family.name.hasPrefix("weft_") { #expect(listed.contains { $0.name == family.name }, "\(family.name) is none of Linkerd's") }
    }
}

extension ListedFamily {
    /// Holds what a live proxy shows against the list; gives the names of the families seen.
    @discardableResult
    static func judge(_ metrics: MetricsRegistry) throws -> Set<String> {
        let listed = try all()
        var seen: Set<String> = []
        for (family, series) in metrics.snapshot().contents where !family.name.hasPrefix("weft_") {
            seen.insert(family.name)
            guard let known = listed.first(where: { $0.name == family.name }) else {
                Issue.record("\(family.name) is none of Linkerd's")
                continue
            }
            for labels in series {
                // Values here hold no quotation marks.
                let names = labels.split(separator: "\"", omittingEmptySubsequences: false).enumerated().filter { $0.offset % 2 == 0 }.map { $0.element.filter { $0 != "," && $0 != "=" } }.filter { !$0.isEmpty }
                #expect(Set(names).count == names.count, "\(family.name) \(labels)")
                for name in names where !known.labels.contains(name) {
                    #expect(known.labels.contains { $0.last == "*" && name.hasPrefix($0.dropLast()) }, "\(family.name) has no label \(name)")
                }
            }
        }
        return seen
    }
}
