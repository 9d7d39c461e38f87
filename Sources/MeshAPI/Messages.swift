// From messages to bytes and back, and between messages' addresses and times and ours. Serialization is deterministic:
// maps are written in the order of their keys, so that two runs send the same bytes.

import Base
import SwiftProtobuf

extension Mesh {
    public typealias Duration = Google_Protobuf_Duration
    public typealias Timestamp = Google_Protobuf_Timestamp

    /// The message's bytes, maps in key order.
    public static func encode(_ message: some Message) -> [UInt8] {
        var options = BinaryEncodingOptions()
        options.useDeterministicOrdering = true
        // Encoding fails for a missing required field, which proto3 has not, or for more than 2 GiB.
        guard let bytes: [UInt8] = try? message.serializedBytes(partial: true, options: options) else { invariantBroken("a message of more than 2 GiB was built") }
        return bytes
    }

    /// The message, or nil when the bytes are not one: truncated, a bad tag, text that is not UTF-8, deeper than 100 levels.
    public static func decode<M: Message>(_ bytes: [UInt8]) -> M? { try? M(serializedBytes: bytes, partial: true) }

    public static func duration(_ interval: Interval) -> Duration {
        Duration(seconds: interval.seconds, nanos: Int32(interval.nanoseconds % 1_000_000_000))
    }

    public static func timestamp(_ time: WallTime) -> Timestamp {
        Timestamp(seconds: time.seconds, nanos: Int32(time.nanoseconds - time.seconds * 1_000_000_000))
    }
}

extension Interval {
    /// nil: the duration breaks its own rules (signs differ, nanos past a second) or is longer than 292 years.
    public init?(_ duration: Mesh.Duration) {
        let (nanos, product) = (Int64(duration.nanos), duration.seconds.multipliedReportingOverflow(by: 1_000_000_000))
        guard nanos.magnitude < 1_000_000_000, nanos == 0 || duration.seconds == 0 || (nanos < 0) == (duration.seconds < 0) else { return nil }
        let sum = product.partialValue.addingReportingOverflow(nanos)
        guard !product.overflow, !sum.overflow else { return nil }
        self.init(nanoseconds: sum.partialValue)
    }
}

extension WallTime {
    /// nil: nanos outside a second, or a time that does not fit.
    public init?(_ timestamp: Mesh.Timestamp) {
        let product = timestamp.seconds.multipliedReportingOverflow(by: 1_000_000_000)
        guard (0..<1_000_000_000).contains(timestamp.nanos), !product.overflow else { return nil }
        let sum = product.partialValue.addingReportingOverflow(Int64(timestamp.nanos))
        guard !sum.overflow else { return nil }
        self.init(nanoseconds: sum.partialValue)
    }
}

extension Mesh.Net.IPAddress {
    public init(_ ip: IPAddress) {
        self.init()
        switch ip {
        case .v4(let word): ipv4 = word
        case .v6(let high, let low):
            ipv6.first = high
            ipv6.last = low
        }
    }
}

extension IPAddress {
    /// nil: the message is empty.
    public init?(_ message: Mesh.Net.IPAddress) {
        switch message.ip {
        case .ipv4(let word): self = .v4(word)
        case .ipv6(let words): self = .v6(words.first, words.last)
        case nil: return nil
        }
    }
}

extension Mesh.Net.TcpAddress {
    public init(_ address: SocketAddress) {
        self.init()
        ip = Mesh.Net.IPAddress(address.ip)
        port = UInt32(address.port)
    }
}

extension SocketAddress {
    /// nil: no address, or a port past 65535.
    public init?(_ message: Mesh.Net.TcpAddress) {
        guard let ip = IPAddress(message.ip), let port = UInt16(exactly: message.port) else { return nil }
        self.init(ip, port)
    }
}

extension Mesh.Net.IPNetwork {
    public init(_ network: IPNetwork) {
        self.init()
        ip = Mesh.Net.IPAddress(network.base)
        prefixLen = UInt32(network.prefixBits)
    }
}

extension IPNetwork {
    /// nil: no address, or a prefix longer than the address.
    public init?(_ message: Mesh.Net.IPNetwork) {
        guard let ip = IPAddress(message.ip), message.prefixLen <= (ip.isV4 ? 32 : 128) else { return nil }
        self.init(ip, prefixBits: UInt8(message.prefixLen))
    }
}

extension Mesh.Meta.Metadata {
    /// A name that the control plane made up.
    public init(default name: String) {
        self.init()
        self.default = name
    }

    public init(group: String, kind: String, namespace: String, name: String, section: String = "", port: UInt16 = 0) {
        self.init()
        resource.group = group
        resource.kind = kind
        resource.namespace = namespace
        resource.name = name
        resource.section = section
        resource.port = UInt32(port)
    }
}
