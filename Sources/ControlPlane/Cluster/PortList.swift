// Lists of ports as annotations and flags spell them: `25,587,4000-4999,mysql`. Names stand for container ports.

import Base

public struct PortList: Equatable, Sendable {
    private var ranges: [ClosedRange<UInt16>] = []
    private var names: [String] = []

    public static let empty = PortList(ranges: [])
    /// What is opaque unless told otherwise. Source: linkerd2 charts `proxy.opaquePorts`.
    public static let opaqueByDefault = PortList("25,587,3306,4444,5432,6379,9300,11211")

    private init(ranges: [ClosedRange<UInt16>]) { self.ranges = ranges }

    /// Entries that are neither port, range nor port name are left out, as upstream does with a log line.
    public init(_ text: some StringProtocol) {
        for part in text.split(separator: ",") {
            let entry = String(String(part).filter { $0 != " " })
            let ends = entry.split(separator: "-", maxSplits: 1, omittingEmptySubsequences: false)
            if ends.count == 1, let port = parsePort(ends[0]), port > 0 {
                ranges.append(port...port)
            } else if ends.count == 2, let first = parsePort(ends[0]), let last = parsePort(ends[1]), first > 0, first <= last {
                ranges.append(first...last)
            } else if entry.utf8.contains(where: { $0 >= 0x61 && $0 <= 0x7a }), entry.utf8.count <= 15 {
                // A port name has at most 15 characters, one of them a letter (RFC 6335 section 5.1).
                names.append(entry)
            }
        }
    }

    public func contains(_ port: UInt16) -> Bool { ranges.contains { $0.contains(port) } }

    /// Also by the names of the pod's container ports.
    public func contains(_ port: UInt16, in pod: Cluster.Pod) -> Bool { contains(port) || names.contains { pod.port(named: $0) == port } }
}
