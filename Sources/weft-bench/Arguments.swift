// The words of weft-bench's command line.

import Base
import Load
import Platform

private let usage = """
    usage: weft-bench cluster DIRECTORY MANIFEST...
           weft-bench backend ADDRESS --http PORT --bytes PORT
           weft-bench pace ADDRESS:PORT --protocol http1|grpc --rate N --connections N --warmup MS --length MS [--body BYTES]
           weft-bench flood ADDRESS:PORT --length MS
           weft-bench hold ADDRESS:PORT --protocol http1|grpc --count N
           weft-bench handshakes ADDRESS:PORT --count N
           weft-bench simulator | mesh | pods [COUNT]
           weft-bench destination DIRECTORY [--services N] [--pods PER_SERVICE] [--proxies N] [--follows N] [--rate CHANGES_A_SECOND] [--seconds N]
           weft-bench injector DIRECTORY [--bytes N] [--reviews N]
           All callers: [--identity NAME --credentials DIRECTORY] for mutual TLS.
    """

/// `--name value` pairs behind the first arguments.
struct Flags {
    private var values: [(name: String, value: String)] = []

    init(_ arguments: some Collection<String>) throws {
        var rest = Array(arguments)[...]
        while let name = rest.popFirst() {
            guard name.hasPrefix("--"), let value = rest.popFirst() else { throw Refusal(usage) }
            values.append((name, value))
        }
    }

    subscript(_ name: String) -> String? { values.last { $0.name == name }?.value }

    func number(_ name: String, _ other: Int? = nil) throws -> Int {
        guard let text = self[name] else {
            if let other { return other }
            throw Refusal("\(name) is missing\n\(usage)")
        }
        guard let number = Int(text), number >= 0 else { throw Refusal("\(name) \(text) is no number") }
        return number
    }

    func milliseconds(_ name: String) throws -> Interval { .milliseconds(Int64(try number(name))) }

    func request(authority: String) throws -> LoadRequest {
        switch self["--protocol"] {
        case "http1": .http1(authority: authority, bodyBytes: try number("--body", 0))
        case "grpc": .grpc(authority: authority, messageBytes: try number("--body", 0))
        default: throw Refusal(usage)
        }
    }
}

func run(_ arguments: [String]) throws {
    guard let what = arguments.first else { throw Refusal(usage) }
    switch what {
    case "cluster" where arguments.count >= 3: try serveCluster(directory: arguments[1], manifests: Array(arguments[2...]))
    case "simulator":
        say("events_per_second \(simulatorEventsPerSecond())")
        return
    case "pods":
        try printPodsReady(arguments.count > 1 ? Int(arguments[1]) ?? 10_000 : 10_000)
    case "mesh":
        say("requests_per_second \(try meshRequestsPerSecond())")
        return
    case "destination" where arguments.count >= 2:
        let flags = try Flags(arguments.dropFirst(2))
        var plan = DestinationPlan()
        plan.services = try flags.number("--services", plan.services)
        plan.podsPerService = try flags.number("--pods", plan.podsPerService)
        plan.proxies = try flags.number("--proxies", plan.proxies)
        plan.follows = try flags.number("--follows", plan.follows)
        plan.changesPerSecond = try flags.number("--rate", plan.changesPerSecond)
        plan.seconds = try flags.number("--seconds", plan.seconds)
        try DestinationBench(plan).run(directory: arguments[1])
    case "injector" where arguments.count >= 2:
        let flags = try Flags(arguments.dropFirst(2))
        try InjectorBench(count: try flags.number("--reviews", 2000)).run(directory: arguments[1], bytes: try flags.number("--bytes", 200_000))
    case "backend" where arguments.count >= 2:
        guard let ip = IPAddress(arguments[1]) else { throw Refusal(usage) }
        let flags = try Flags(arguments.dropFirst(2))
        try serveBackend(ip, httpPort: UInt16(clamping: try flags.number("--http")), bytesPort: UInt16(clamping: try flags.number("--bytes")), bodyBytes: 1024)
    default: break
    }
    guard arguments.count >= 2 else { throw Refusal(usage) }
    let flags = try Flags(arguments.dropFirst(2))
    let way = try Way(host: try benchHost(), address: arguments[1], identity: flags["--identity"], directory: flags["--credentials"])
    switch what {
    case "pace":
        let plan = LoadPlan(
            perSecond: try flags.number("--rate"), connections: try flags.number("--connections"), warmup: try flags.milliseconds("--warmup"), length: try flags.milliseconds("--length"))
        pace(way, request: try flags.request(authority: arguments[1]), plan: plan)
    case "flood": flood(way, length: try flags.milliseconds("--length"))
    case "hold": hold(way, request: try flags.request(authority: arguments[1]), count: try flags.number("--count"))
    case "handshakes": shakeHands(way, count: try flags.number("--count"))
    default: throw Refusal(usage)
    }
}
