// The live state of the data path as JSON, for people and for tools: every connection, what its destination leads to, every balancer with
// its endpoints, every policy in force. Made when it is asked for; nothing is kept for it. Absent on purpose: keys and request contents.

import Base
import HTTP
import Platform
import Transport

extension JSONText {
    mutating func member(_ name: String, number: some BinaryInteger) {
        key(name)
        self.number(number)
    }

    mutating func member(_ name: String, flag: Bool) {
        key(name)
        bool(flag)
    }

    mutating func strings(_ name: String, _ list: [String]) {
        key(name)
        array { for item in list { $0.string(item) } }
    }

    /// At most `ProxyLimits.stateItemsMax` of them; how many there are is said besides.
    mutating func list<Item>(_ name: String, _ items: [Item], _ describe: (Item, inout JSONText) -> Void) {
        if items.count > ProxyLimits.stateItemsMax { member(name + "Count", number: items.count) }
        key(name)
        array { list in for item in items.prefix(ProxyLimits.stateItemsMax) { list.object { describe(item, &$0) } } }
    }
}

extension ResourceName {
    /// `kind/namespace/name`, or what there is of it.
    var stateText: String { [group, kind, namespace, name].filter { !$0.isEmpty }.joined(separator: "/") + (section.isEmpty ? "" : "#\(section)") + (port == 0 ? "" : ":\(port)") }
}

extension OutboundServer {
    func describe(_ json: inout JSONText) {
        json.list("destinations", stacks) { $0.describe(&$1) }
        json.list("balancers", backends.list) { $0.describe(&$1) }
        json.list("connections", links.links) { $0.describe(&$1) }
    }
}

extension InboundServer {
    func describe(_ json: inout JSONText) {
        json.list("policies", ports) { $0.describe(&$1) }
        json.list("connections", links.links) { $0.describe(&$1) }
    }
}

extension HTTPBackend {
    func describe(_ json: inout JSONText) {
        switch kind {
        case .balance(let balancer, let authority, _, _):
            json.member("authority", authority)
            json.member("isFailingFast", flag: balancer.isShut)
            json.member("queued", number: balancer.queueLength)
            json.member("ready", number: balancer.readyCount)
            json.list("endpoints", balancer.endpoints) { $0.describe(&$1) }
        case .forward(let endpoint): json.list("endpoints", [endpoint]) { $0.describe(&$1) }
        }
    }
}

extension HTTPEndpoint {
    func describe(_ json: inout JSONText) {
        json.member("addr", "\(address)")
        json.member("identity", endpoint.identity)
        json.member("version", "\(version)")
        json.member("state", "\(state)")
        json.member("isReady", flag: isReady)
        json.member("inFlight", number: load.inFlight)
        json.member("loadNanoseconds", number: Int64(clamping: load.load(now: now)))
        if let breaker {
            json.member("gate", "\(breaker.gate)")
            json.member("trips", number: breaker.trips)
        }
        if let lastFailure { json.member("failure", "\(lastFailure)") }
    }
}

extension OpaqueBalancer {
    func describe(_ json: inout JSONText) {
        json.member("authority", authority)
        json.member("queued", number: waitingCount)
        json.list("endpoints", endpoints) { endpoint, json in
            json.member("addr", "\(endpoint.endpoint.address)")
            json.member("identity", endpoint.endpoint.identity)
            json.member("connections", number: endpoint.load.inFlight)
        }
    }
}

extension InboundPort {
    func describe(_ json: inout JSONText) {
        json.member("port", number: port)
        json.member("server", policy.server.stateText)
        let (name, routes): (String, [InboundRoute]) =
            switch policy.kind {
            case .detect(_, let routes): ("detect", routes)
            case .http1(let routes): ("http/1", routes)
            case .http2(let routes): ("http/2", routes)
            case .grpc(let routes): ("grpc", routes)
            case .opaque: ("opaque", [])
            case .tls: ("tls", [])
            }
        json.member("protocol", name)
        json.strings("authorizations", policy.authorizations.map(\.name.stateText))
        json.list("routes", routes) { route, json in
            json.member("name", route.name.stateText)
            json.strings("authorizations", route.authorizations.map(\.name.stateText))
            json.member("rules", number: route.rules.count)
        }
        if let limit = limiter?.limit { json.member("rateLimit", limit.name.stateText) }
        json.member("users", number: users)
    }
}
