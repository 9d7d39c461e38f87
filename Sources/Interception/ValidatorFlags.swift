// The command line of the network validator, which is that of Linkerd's: the injector's arguments work unchanged.

import Base
import Platform

public struct ValidatorFlags: Sendable {
    public var logLevel = Log.Level.info
    public var isJSON = false
    /// An address that nobody has: only a redirection can answer for it. Source: RFC 5737, TEST-NET-1.
    public var connect = SocketAddress(IPAddress(192, 0, 2, 2), 1404)
    /// Where the proxy's outbound listener will be.
    public var listen = SocketAddress(.any, 4140)
    public var timeout = Interval.seconds(10)
    public var wantsHelp = false

    /// `--name value` or `--name=value`. Refused: an unknown flag, or a value that cannot be read.
    public init(_ arguments: [String]) throws(Refusal) {
        var rest = arguments[...]
        while let word = rest.popFirst() {
            if word == "--help" || word == "-h" {
                wantsHelp = true
                continue
            }
            let sides = word.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
            guard let flag = Self.known.first(where: { "--\($0.name)" == sides[0] }) else { throw Refusal("unknown flag \(sides[0])") }
            guard let value = sides.count == 2 ? sides[1] : rest.popFirst() else { throw Refusal("\(sides[0]) wants a value: \(flag.help)") }
            guard set(flag.name, value) else { throw Refusal("\(sides[0]) cannot be \"\(value)\": \(flag.help)") }
        }
    }

    private mutating func set(_ name: String, _ value: String) -> Bool {
        switch name {
        case "log-level":
            guard let level = Log.Level(name: value) else { return false }
            logLevel = level
        case "log-format":
            guard value == "plain" || value == "json" else { return false }
            isJSON = value == "json"
        case "connect-addr":
            guard let address = SocketAddress(value) else { return false }
            connect = address
        case "listen-addr":
            guard let address = SocketAddress(value) else { return false }
            listen = address
        case "timeout":
            guard let time = Self.time(value) else { return false }
            timeout = time
        default: invariantBroken("every flag is handled")
        }
        return true
    }

    /// `10s`, `500ms`, `1m`; more than nothing and at most a day.
    private static func time(_ text: String) -> Interval? {
        let digits = text.prefix { $0.isASCII && $0.isNumber }
        guard let count = Int64(digits), count > 0, count <= 86_400_000 else { return nil }
        let interval: Interval
        switch text.dropFirst(digits.count) {
        case "ms": interval = .milliseconds(count)
        case "s": interval = .seconds(count)
        case "m": interval = .minutes(count)
        default: return nil
        }
        return interval <= .days(1) ? interval : nil
    }

    private static let known: [(name: String, help: String)] = [
        ("log-level", "trace, debug, info, warn or error"), ("log-format", "plain or json"), ("connect-addr", "address and port that nobody has; default 192.0.2.2:1404"),
        ("listen-addr", "address and port of the proxy's outbound listener; default 0.0.0.0:4140"), ("timeout", "how long to wait, like 10s or 500ms; default 10s"),
    ]

    public static var help: String {
        "weft-init network-validator shows that what a pod sends is redirected: it listens where the proxy will, connects to an address that\nnobody has, and expects to hear itself. Exit status: 0 it is; 95 it is not; 2 a flag was not understood.\n\n"
            + "Usage: weft-init network-validator [flags]\n\nFlags:\n" + known.map { "  --\($0.name)\n          \($0.help)\n" }.joined()
            + "\nExample:\n  weft-init network-validator --connect-addr 1.1.1.1:20001 --listen-addr 0.0.0.0:4140 --timeout 10s\n"
    }
}
