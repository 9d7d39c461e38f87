// Lists of ports as annotations write them: numbers, ranges, and for opaque ports the names of a container's ports.

/// `25,8100-8102,mysql`
struct PortList {
    var ranges: [ClosedRange<UInt16>] = []
    /// Entries that are neither a port, a range nor a known name.
    var unknown: [String] = []

    /// Entries are separated by commas; spaces and empty entries are passed over. Port 0 is none.
    init(_ text: String, named: (String) -> UInt16? = { _ in nil }) {
        for entry in text.split(separator: ",") {
            let word = Self.trimmed(entry)
            if word.isEmpty { continue }
            if let port = named(word) {
                ranges.append(port...port)
            } else if let range = Self.range(word) {
                ranges.append(range)
            } else {
                unknown.append(word)
            }
        }
    }

    func contains(_ port: UInt16) -> Bool { ranges.contains { $0.contains(port) } }

    /// Ports and ranges only.
    var text: String { ranges.map { $0.count == 1 ? String($0.lowerBound) : "\($0.lowerBound)-\($0.upperBound)" }.joined(separator: ",") }

    private static func range(_ word: String) -> ClosedRange<UInt16>? {
        let bounds = word.split(separator: "-", omittingEmptySubsequences: false).map { UInt16($0) }
        guard bounds.count <= 2, let first = bounds[0], let last = bounds[bounds.count - 1], first > 0, first <= last else { return nil }
        return first...last
    }

    private static func trimmed(_ text: Substring) -> String {
        var text = text
        while text.first == " " { text.removeFirst() }
        while text.last == " " { text.removeLast() }
        return String(text)
    }
}
