// The arrows between modules stand in three places, each for its own reader: the table of ARCHITECTURE.md says what may be, Package.swift
// tells the compiler, Rules.swift judges imports. Here the first two are read as text, so that a test can hold the three together.

struct Arrows {
    /// A module's name and the names it depends on, in the order written.
    typealias Row = (module: String, names: [String])

    /// The targets of a package manifest that keeps to a line a target; names of other packages' products are left out.
    static func dependencies(ofManifest text: String) -> [Row] {
        text.split(separator: "\n").compactMap { line in
            let code = line.drop { $0 == " " }
            guard code.hasPrefix(".target(name: ") || code.hasPrefix(".executableTarget(name: "), let module = quoted(code).first else { return nil }
            guard let from = code.firstRange(of: "dependencies: [")?.upperBound, let to = code[from...].firstIndex(of: "]") else { return (module, []) }
            return (module, quoted(code[from..<to]))
        }
    }

    /// The table of floors: what each module may import, with ranges of floors written out.
    static func allowances(ofArchitecture text: String) -> [Row] {
        let rows = text.split(separator: "\n").compactMap { line -> (floor: Int, module: String, cell: Substring)? in
            let cells = line.split(separator: "|").map { $0.trimmed }
            guard cells.count == 4, let floor = Int(cells[0]), cells[1].hasPrefix("`"), cells[1].hasSuffix("`") else { return nil }
            return (floor, String(cells[1].dropFirst().dropLast()), cells[3])
        }
        return rows.map { row in
            let names = row.cell.split(separator: ";").flatMap { part -> [String] in
                let halves = part.trimmed.ranges(of: " except ").first.map { [part.trimmed[..<$0.lowerBound], part.trimmed[$0.upperBound...]] } ?? [part.trimmed]
                let without = halves.count == 2 ? halves[1].split(separator: ",").map { String($0.trimmed) } : []
                return halves[0].split(separator: ",").flatMap { term -> [String] in
                    guard let floors = floors(term.trimmed) else { return [String(term.trimmed)] }
                    return rows.filter { floors.contains($0.floor) && $0.module != row.module && !without.contains($0.module) }.map(\.module)
                }
            }
            return (row.module, names)
        }
    }

    /// `floor 1` or `floors 0-2`.
    private static func floors(_ term: Substring) -> ClosedRange<Int>? {
        let words = term.split(separator: " ")
        guard words.count == 2, words[0] == "floor" || words[0] == "floors" else { return nil }
        let ends = words[1].split(separator: "-").compactMap { Int($0) }
        guard let first = ends.first, let last = ends.last else { return nil }
        return first...last
    }

    /// Everything that comes with a module: what it depends on, and so on.
    static func closure(of module: String, _ rows: [Row]) -> [String] {
        var found: [String] = []
        var waiting = [module]
        while let next = waiting.popLast() {
            for name in rows.first(where: { $0.module == next })?.names ?? [] where !found.contains(name) {
                found.append(name)
                waiting.append(name)
            }
        }
        return found
    }

    private static func quoted(_ text: Substring) -> [String] {
        text.split(separator: "\"", omittingEmptySubsequences: false).enumerated().filter { $0.offset % 2 == 1 }.map { String($0.element) }
    }
}

extension Substring {
    /// Without spaces at both ends.
    fileprivate var trimmed: Substring {
        var rest = self.drop { $0 == " " }
        while rest.last == " " { rest.removeLast() }
        return rest
    }
}
