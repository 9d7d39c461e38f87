// What a resolver is told: servers, search list, and how long answers may live.

import Base

public struct DNSConfiguration: Sendable {
    /// Asked in order.
    public var servers: [SocketAddress]
    public var searchDomains: [String]
    /// Names with fewer dots try the search list first. Source: resolv.conf(5).
    public var ndots: Int
    /// Bounds on how long an answer counts, positive or negative. nil: the records' word.
    public var ttlMin: Interval?
    public var ttlMax: Interval?
    /// Record types asked one after the other until one answers.
    public var addressTypes: [DNSRecord.Kind]
    public var limits: DNSLimits

    public init(servers: [SocketAddress], searchDomains: [String] = [], ndots: Int = 1, ttlMin: Interval? = nil, ttlMax: Interval? = nil, addressTypes: [DNSRecord.Kind] = [.a, .aaaa], limits: DNSLimits = DNSLimits()) {
        self.servers = servers
        self.searchDomains = searchDomains
        self.ndots = ndots
        self.ttlMin = ttlMin
        self.ttlMax = ttlMax
        self.addressTypes = addressTypes
        self.limits = limits
    }

    /// The names to ask for, in order: a final dot or enough dots puts the name itself first, else the search list goes first.
    /// Empty: the text is no domain name.
    public func candidates(for text: String) -> [DNSName] {
        guard let name = DNSName(text) else { return [] }
        if text.utf8.last == UInt8(ascii: ".") { return [name] }
        let searched = searchDomains.prefix(limits.searchDomainsMax).compactMap { DNSName($0).flatMap { name.appending($0) } }
        return name.labels.count - 1 >= ndots ? [name] + searched : searched + [name]
    }

    func clamp(_ ttl: Interval) -> Interval {
        let raised = max(ttl, ttlMin ?? ttl)
        return min(raised, ttlMax ?? raised)
    }
}

/// What a question came to.
public enum DNSResult: Equatable, Sendable {
    /// Never empty; in the order of the answer.
    case addresses([IPAddress], ttl: Interval)
    /// Never empty; lowest priority number first, else in the order of the answer.
    case services([DNSService], ttl: Interval)
    /// The name, or records of the type, do not exist; `ttl` is how long that counts, when the answer said so.
    case notFound(ttl: Interval?)
    /// Nobody could tell: in words.
    case failed(String)
}

/// One SRV record.
public struct DNSService: Hashable, Sendable {
    public var priority: UInt16
    public var weight: UInt16
    public var port: UInt16
    public var target: DNSName

    public init(priority: UInt16, weight: UInt16, port: UInt16, target: DNSName) {
        self.priority = priority
        self.weight = weight
        self.port = port
        self.target = target
    }

    /// The address spelt in the target's first label: `10-1-2-3.linkerd-dst.linkerd.svc.cluster.local` is 10.1.2.3, and dashes
    /// that make no IPv4 address stand for colons. Kubernetes names the pods of headless services so; Linkerd's proxy relies on
    /// it and asks no second question. nil: the label is neither, which fails the whole answer.
    /// Source: linkerd2-proxy linkerd/dns.
    public var dashedAddress: SocketAddress? {
        guard let label = target.labels.first else { return nil }
        let text = String(decoding: label, as: UTF8.self)
        let spelt = { (separator: Character) in IPAddress(String(text.map { $0 == "-" ? separator : $0 })) }
        return (spelt(".") ?? spelt(":")).map { SocketAddress($0, port) }
    }

    /// All targets as addresses, or nil when one is not spelt so.
    public static func dashedAddresses(_ services: [DNSService]) -> [SocketAddress]? {
        let addresses = services.compactMap(\.dashedAddress)
        return addresses.count == services.count ? addresses : nil
    }
}
