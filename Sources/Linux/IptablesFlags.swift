// The command line of weft-init, which is that of Linkerd's proxy-init: the injector's arguments work unchanged. Flags are
// spelled `--name value`, `--name=value` or `-n value`; switches `--name` or `--name=false`. A general argument parser
// was weighed and left out: none takes a switch both with and without a value.

import Base
import Platform

/// What weft-init was asked to do.
public struct IptablesFlags: Sendable {
    public enum LogFormat: String, Sendable { case plain, json }

    public var incomingProxyPort: UInt16?
    public var outgoingProxyPort: UInt16?
    public var proxyUser: UInt32?
    public var proxyGroup: UInt32?
    public var portsToRedirect: [UInt16] = []
    public var inboundPortsToIgnore: [PortRange] = []
    public var outboundPortsToIgnore: [PortRange] = []
    public var subnetsToIgnore: [IPNetwork] = []
    public var simulates = false
    public var removes = false
    public var networkNamespace: String?
    public var usesWaitFlag = false
    public var closeWaitSeconds: UInt32 = 0
    public var logFormat = LogFormat.plain
    public var logLevel = Log.Level.info
    public var mode: IptablesMode?
    public var ipv6 = true
    public var firewallPath: String?
    public var firewallSavePath: String?
    public var wantsHelp = false
    /// Port ranges that could not be read and were passed over, for a warning.
    public private(set) var skipped: [String] = []

    /// Refused: an unknown flag, a value that cannot be read, or a port that is missing.
    public init(_ arguments: [String]) throws(Refusal) {
        var rest = arguments[...]
        while let word = rest.popFirst() {
            guard word.hasPrefix("-"), word != "-", word != "--" else { throw Refusal("unexpected argument \(word)") }
            let sides = word.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
            var name = sides[0]
            var value: String? = sides.count == 2 ? sides[1] : nil
            if !name.hasPrefix("--"), name.count > 2 {
                // pflag's shorthand with its value attached: -p4143.
                value = String(word.dropFirst(2))
                name = String(name.prefix(2))
            }
            guard let flag = Self.known.first(where: { name == "--\($0.name)" || ($0.short != nil && name == "-\($0.short!)") }) else { throw Refusal("unknown flag \(name)") }
            if flag.isSwitch {
                guard let on = Self.boolean(value ?? "true") else { throw Refusal("\(name) wants true or false, not \(value ?? "")") }
                flick(flag.name, on)
            } else {
                guard let value = value ?? rest.popFirst() else { throw Refusal("\(name) wants a value") }
                guard set(flag.name, value) else { throw Refusal("--\(flag.name) cannot be \"\(value)\": \(flag.help)") }
            }
        }
        if wantsHelp || removes { return }
        if incomingProxyPort == nil { throw Refusal("--incoming-proxy-port must be set to a port") }
        if outgoingProxyPort == nil { throw Refusal("--outgoing-proxy-port must be set to a port") }
    }

    /// The options of one family's run, with that family's subnets; Linkerd's fails when both families are named.
    public func options(ipv6: Bool) -> IptablesOptions {
        var options = IptablesOptions(incomingProxyPort: incomingProxyPort ?? 0, outgoingProxyPort: outgoingProxyPort ?? 0, proxyUser: proxyUser)
        options.proxyGroup = proxyGroup
        options.portsToRedirect = portsToRedirect
        options.inboundPortsToIgnore = inboundPortsToIgnore
        options.outboundPortsToIgnore = outboundPortsToIgnore
        options.subnetsToIgnore = subnetsToIgnore.filter { $0.base.isV4 != ipv6 }
        options.usesWaitFlag = usesWaitFlag
        return options
    }

    /// The mode asked for; else the one the firewall binary's name tells; else legacy.
    public var effectiveMode: IptablesMode {
        if let mode { return mode }
        guard let name = firewallPath?.split(separator: "/").last else { return .legacy }
        return name.hasSuffix("-nft") ? .nft : name.hasSuffix("-legacy") ? .legacy : .plain
    }

    private mutating func flick(_ name: String, _ on: Bool) {
        switch name {
        case "simulate": simulates = on
        case "remove": removes = on
        case "use-wait-flag": usesWaitFlag = on
        case "ipv6": ipv6 = on
        case "help": wantsHelp = on
        default: invariantBroken("every switch is handled")
        }
    }

    private mutating func set(_ name: String, _ value: String) -> Bool {
        switch name {
        case "incoming-proxy-port":
            incomingProxyPort = parsePort(value)
            return (incomingProxyPort ?? 0) != 0
        case "outgoing-proxy-port":
            outgoingProxyPort = parsePort(value)
            return (outgoingProxyPort ?? 0) != 0
        case "proxy-uid": return identifier(value, \.proxyUser)
        case "proxy-gid": return identifier(value, \.proxyGroup)
        case "ports-to-redirect":
            let ports = Self.list(value).map { parsePort($0) }
            portsToRedirect += ports.compactMap(\.self)
            return !ports.contains(nil)
        case "inbound-ports-to-ignore": return ranges(value, \.inboundPortsToIgnore)
        case "outbound-ports-to-ignore": return ranges(value, \.outboundPortsToIgnore)
        case "subnets-to-ignore":
            let networks = Self.list(value).map { $0.contains("/") ? IPNetwork($0) : nil }
            subnetsToIgnore += networks.compactMap(\.self)
            return !networks.contains(nil)
        case "netns": networkNamespace = value.isEmpty ? nil : value
        case "timeout-close-wait-secs":
            guard let seconds = UInt32(value) else { return false }
            closeWaitSeconds = seconds
        case "log-format":
            guard let format = LogFormat(rawValue: value) else { return false }
            logFormat = format
        case "log-level":
            guard let level = Log.Level(name: value) else { return false }
            logLevel = level
        case "iptables-mode":
            guard let mode = IptablesMode(rawValue: value) else { return false }
            self.mode = mode
        case "firewall-bin-path": firewallPath = value.isEmpty ? nil : value
        case "firewall-save-bin-path": firewallSavePath = value.isEmpty ? nil : value
        default: invariantBroken("every flag is handled")
        }
        return true
    }

    /// -1 means none.
    private mutating func identifier(_ value: String, _ field: WritableKeyPath<IptablesFlags, UInt32?>) -> Bool {
        guard let number = Int64(value), number >= -1, number < Int64(UInt32.max) else { return false }
        self[keyPath: field] = number < 0 ? nil : UInt32(number)
        return true
    }

    /// Unreadable ranges are passed over, as Linkerd does, unless nothing is left: then nobody meant that.
    private mutating func ranges(_ value: String, _ field: WritableKeyPath<IptablesFlags, [PortRange]>) -> Bool {
        let words = Self.list(value)
        for word in words {
            if let range = PortRange(word) { self[keyPath: field].append(range) } else { skipped.append(word) }
        }
        return words.isEmpty || !self[keyPath: field].isEmpty
    }

    private static func list(_ value: String) -> [String] { value.split(separator: ",").map { $0.trimmingSpaces() }.filter { !$0.isEmpty } }

    private static func boolean(_ text: String) -> Bool? {
        switch text.lowercased() {
        case "true", "t", "1": true
        case "false", "f", "0": false
        default: nil
        }
    }

    private struct Flag: Sendable {
        var name: String
        var short: Character?
        var isSwitch = false
        var help: String
    }

    private static let known = [
        Flag(name: "incoming-proxy-port", short: "p", help: "port of the proxy's inbound listener, 1-65535"),
        Flag(name: "outgoing-proxy-port", short: "o", help: "port of the proxy's outbound listener, 1-65535"),
        Flag(name: "proxy-uid", short: "u", help: "user whose traffic is left alone; -1: none"),
        Flag(name: "proxy-gid", short: "g", help: "group whose traffic is left alone; -1: none"),
        Flag(name: "ports-to-redirect", short: "r", help: "redirect only these inbound ports, commas between; default: all"),
        Flag(name: "inbound-ports-to-ignore", help: "ports or ranges (a-b) not redirected inbound, commas between"),
        Flag(name: "outbound-ports-to-ignore", help: "ports or ranges (a-b) not redirected outbound, commas between"),
        Flag(name: "subnets-to-ignore", help: "source networks (CIDR) not redirected inbound, commas between"),
        Flag(name: "simulate", isSwitch: true, help: "say the commands, run none"),
        Flag(name: "remove", isSwitch: true, help: "take the rules away again"),
        Flag(name: "netns", help: "path of the network namespace to work in"),
        Flag(name: "use-wait-flag", short: "w", isSwitch: true, help: "wait for the xtables lock"),
        Flag(name: "timeout-close-wait-secs", help: "conntrack's close-wait timeout; 0: the kernel's"),
        Flag(name: "log-format", help: "plain or json"),
        Flag(name: "log-level", help: "trace, debug, info, warn or error"),
        Flag(name: "iptables-mode", help: "legacy, nft or plain"),
        Flag(name: "ipv6", isSwitch: true, help: "set up ip6tables too; default true"),
        Flag(name: "firewall-bin-path", help: "iptables binary, name or path"),
        Flag(name: "firewall-save-bin-path", help: "iptables-save binary, name or path"),
        Flag(name: "help", short: "h", isSwitch: true, help: "this text"),
    ]

    public static var help: String {
        "weft-init redirects a pod's TCP connections to its proxy with iptables.\n\nUsage: weft-init --incoming-proxy-port PORT --outgoing-proxy-port PORT [flags]\n\nFlags:\n"
            + known.map { "  \($0.short.map { "-\($0), " } ?? "    ")--\($0.name)\n          \($0.help)\n" }.joined()
    }
}
