// The rules that send a pod's TCP through its proxy, as Linkerd's proxy-init writes them: a pure function from options and
// what is there already to commands. Running them is IptablesRunner's business. Deliberately absent: UDP, which no mesh
// proxy carries, and any rule for egress subnets, which Linkerd does not have either.
// Source: linkerd2-proxy-init pkg/iptables/iptables.go; chain and comment names are the same, so that people's tools find them.

import Base

/// Which traffic goes where.
public struct IptablesOptions: Sendable {
    public var incomingProxyPort: UInt16
    public var outgoingProxyPort: UInt16
    /// The proxy's own traffic is left alone. nil or 0: no such rule.
    public var proxyUser: UInt32?
    public var proxyGroup: UInt32?
    /// When not empty, only these inbound ports are redirected.
    public var portsToRedirect: [UInt16] = []
    public var inboundPortsToIgnore: [PortRange] = []
    public var outboundPortsToIgnore: [PortRange] = []
    /// By source address, inbound only. One family, that of the run.
    public var subnetsToIgnore: [IPNetwork] = []
    /// Wait for the xtables lock (`-w`).
    public var usesWaitFlag = false

    public init(incomingProxyPort: UInt16, outgoingProxyPort: UInt16, proxyUser: UInt32?) {
        self.incomingProxyPort = incomingProxyPort
        self.outgoingProxyPort = outgoingProxyPort
        self.proxyUser = proxyUser
    }
}

/// One port or an inclusive range: `25`, `5000-5100`.
public struct PortRange: Hashable, Sendable, CustomStringConvertible {
    public var low: UInt16
    public var high: UInt16

    public init(_ low: UInt16, _ high: UInt16) {
        self.low = low
        self.high = high
    }

    /// Nil: not a port, or a range that ends before it begins.
    public init?(_ text: some StringProtocol) {
        let ends = text.split(separator: "-", omittingEmptySubsequences: false)
        guard ends.count <= 2, let low = parsePort(ends[0]), let high = parsePort(ends[ends.count - 1]), low <= high else { return nil }
        self.init(low, high)
    }

    /// As iptables' multiport match writes it.
    public var description: String { low == high ? String(low) : "\(low):\(high)" }
    /// Places it takes in one multiport match.
    var slots: Int { low == high ? 1 : 2 }
}

/// Arguments of iptables, in the order in which they are run.
public struct IptablesPlan: Equatable, Sendable {
    public static let inboundChain = "PROXY_INIT_REDIRECT"
    public static let outboundChain = "PROXY_INIT_OUTPUT"
    /// Ports of one multiport match. Source: iptables-extensions(8): 15, a range counts as two.
    static let multiportSlots = 15

    public private(set) var commands: [[String]] = []
    private let usesWaitFlag: Bool

    /// Sets up both directions. `saved` is what `iptables-save -t nat` printed: chains that exist are flushed and refilled,
    /// jumps that exist are kept, so that running twice changes nothing.
    public init(setUp options: IptablesOptions, saved: String) {
        usesWaitFlag = options.usesWaitFlag
        let present = Present(saved)
        let inbound = Self.inboundChain, outbound = Self.outboundChain

        add([present.chains.contains(inbound) ? "-F" : "-N", inbound])
        ignorePorts(options.inboundPortsToIgnore, chain: inbound)
        for subnet in options.subnetsToIgnore { rule(inbound, ["-p", "all", "-j", "RETURN", "-s", "\(subnet)"], "ignore-subnet-\(subnet)") }
        if options.portsToRedirect.isEmpty {
            rule(inbound, ["-p", "tcp", "-j", "REDIRECT", "--to-port", "\(options.incomingProxyPort)"], "redirect-all-incoming-to-proxy-port")
        }
        for port in options.portsToRedirect {
            rule(inbound, ["-p", "tcp", "--destination-port", "\(port)", "-j", "REDIRECT", "--to-port", "\(options.incomingProxyPort)"], "redirect-port-\(port)-to-proxy-port")
        }
        if !present.jumps.contains("PREROUTING \(inbound)") { rule("PREROUTING", ["-j", inbound], "install-proxy-init-prerouting") }

        add([present.chains.contains(outbound) ? "-F" : "-N", outbound])
        if let user = options.proxyUser, user > 0 { rule(outbound, ["-m", "owner", "--uid-owner", "\(user)", "-j", "RETURN"], "ignore-proxy-user-id") }
        if let group = options.proxyGroup, group > 0 { rule(outbound, ["-m", "owner", "--gid-owner", "\(group)", "-j", "RETURN"], "ignore-proxy-group-id") }
        rule(outbound, ["-o", "lo", "-j", "RETURN"], "ignore-loopback")
        ignorePorts(options.outboundPortsToIgnore, chain: outbound)
        rule(outbound, ["-p", "tcp", "-j", "REDIRECT", "--to-port", "\(options.outgoingProxyPort)"], "redirect-all-outgoing-to-proxy-port")
        if !present.jumps.contains("OUTPUT \(outbound)") { rule("OUTPUT", ["-j", outbound], "install-proxy-init-output") }
    }

    /// Takes everything away that `saved` shows of ours; nothing is left to do when nothing is there.
    public init(removing saved: String, usesWaitFlag: Bool) {
        self.usesWaitFlag = usesWaitFlag
        let present = Present(saved)
        for (hook, chain, name) in [("PREROUTING", Self.inboundChain, "install-proxy-init-prerouting"), ("OUTPUT", Self.outboundChain, "install-proxy-init-output")] {
            if present.jumps.contains("\(hook) \(chain)") { add(["-D", hook, "-j", chain] + Self.comment(name)) }
            if present.chains.contains(chain) {
                add(["-F", chain])
                add(["-X", chain])
            }
        }
    }

    private mutating func ignorePorts(_ ranges: [PortRange], chain: String) {
        var batch: [PortRange] = []
        var slots = 0
        for range in ranges {
            if slots + range.slots > Self.multiportSlots {
                ignore(batch, chain)
                batch = []
                slots = 0
            }
            batch.append(range)
            slots += range.slots
        }
        if !batch.isEmpty { ignore(batch, chain) }
    }

    private mutating func ignore(_ batch: [PortRange], _ chain: String) {
        let list = batch.map(\.description).joined(separator: ",")
        rule(chain, ["-p", "tcp", "--match", "multiport", "--dports", list, "-j", "RETURN"], "ignore-port-\(list)")
    }

    private mutating func rule(_ chain: String, _ what: [String], _ name: String) { add(["-A", chain] + what + Self.comment(name)) }

    private mutating func add(_ arguments: [String]) { commands.append(["-t", "nat"] + arguments + (usesWaitFlag ? ["-w"] : [])) }

    private static func comment(_ name: String) -> [String] { ["-m", "comment", "--comment", "proxy-init/\(name)"] }
}

/// What of ours a nat table holds already.
private struct Present {
    var chains: [String] = []
    /// `HOOK CHAIN`.
    var jumps: [String] = []

    init(_ saved: String) {
        for line in saved.split(whereSeparator: \.isNewline) {
            let words = line.split(separator: " ").map(String.init)
            guard let first = words.first else { continue }
            if first.hasPrefix(":") {
                chains.append(String(first.dropFirst()))
            } else if first == "-A", words.count > 3, let j = words.firstIndex(of: "-j"), j + 1 < words.count {
                jumps.append("\(words[1]) \(words[j + 1])")
            }
        }
    }
}
