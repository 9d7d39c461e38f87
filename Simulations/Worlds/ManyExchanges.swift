// Story: a client holds hundreds of drawn conversations with a server, one in four wrong in some way.
// Promise: every one comes to an end, what is ambiguous reaches no server, and the same conversations in network namespaces of a machine
// come out the same.
// Source: `weft differential`, which makes them in both worlds; RFC 9112, RFC 9113.

import Base
import Platform
import Scenario
import Simulator

extension Stories {
    static let manyExchanges = exchanges(ExchangePlan(seed: 11, count: 150)) { _ in }

    static func exchanges(_ plan: ExchangePlan, _ keep: @escaping @Sendable ([ExchangeRecord]) -> Void) -> Story {
        Story(
            "worlds/many-exchanges", story: "A client holds many drawn conversations with a server, one in four wrong in some way.",
            promise: "Every one comes to an end, and no server sees a message that two readers could read in two ways.", source: "RFC 9112, RFC 9113; weft differential makes them on a machine, too"
        ) { stage throws(StoryFailure) in
            let records = try ExchangeRehearsal.tell(plan, stage)
            keep(records)
            for (exchange, record) in zip(plan.exchanges, records) {
                if let refused = exchange.refused {
                    try stage.check(!record.server.contains("  \(ExchangePlan.tag): \(record.number).\(refused)"), "what is ambiguous reaches no server, but exchange \(record.number) did: \(record.note)")
                }
                try stage.check(!record.client.contains { $0.hasPrefix("no end") }, "exchange \(record.number) ends: \(record.note): \(record.client)")
                try stage.check(record.client != ["nothing"], "exchange \(record.number) is answered: \(record.note)")
            }
        }
    }
}

/// The simulated half of `weft differential`.
public enum ExchangeRehearsal {
    /// The cluster of both halves: `web` and `api`, meshed, with a place for whoever speaks there.
    public static let manifest = """
        {apiVersion: v1, kind: Namespace, metadata: {name: worlds, annotations: {linkerd.io/inject: enabled}}}
        ---
        {apiVersion: v1, kind: ServiceAccount, metadata: {name: web, namespace: worlds}}
        ---
        {apiVersion: v1, kind: ServiceAccount, metadata: {name: api, namespace: worlds}}
        ---
        apiVersion: v1
        kind: Service
        metadata: {name: api, namespace: worlds, annotations: {config.linkerd.io/opaque-ports: "9000"}}
        spec: {clusterIP: \(service), selector: {app: api}, ports: [{name: http, port: 80}, {name: http2, port: 8080}, {name: bytes, port: 9000}]}
        ---
        apiVersion: v1
        kind: Pod
        metadata: {name: api, namespace: worlds, labels: {app: api}, annotations: {config.linkerd.io/opaque-ports: "9000"}}
        spec: {serviceAccountName: api, containers: [{name: place, image: "curlimages/curl:8.12.1", ports: [{containerPort: 80}, {containerPort: 8080}, {containerPort: 9000}]}]}
        ---
        apiVersion: v1
        kind: Pod
        metadata: {name: web, namespace: worlds, labels: {app: web}}
        spec: {serviceAccountName: web, containers: [{name: place, image: "curlimages/curl:8.12.1"}]}
        """

    /// The service's address, the same in both worlds.
    public static let service = IPAddress(10, 96, 7, 7)

    /// What each side of a finished run wrote down.
    public static func records(_ plan: ExchangePlan, client: [[String]], server: ExchangeServer) -> [ExchangeRecord] {
        zip(plan.exchanges, zip(client, server.heard)).map { exchange, sides in ExchangeRecord(number: exchange.number, note: exchange.note, client: sides.0, server: sides.1) }
    }

    public struct Outcome: Sendable {
        public var records: [ExchangeRecord]
        /// The line that says which run it was.
        public var trace: String
        /// nil: the promise holds.
        public var failure: String?
    }

    /// Makes the exchanges of a plan in a world.
    public static func run(_ plan: ExchangePlan, seed: UInt64, build: String) -> Outcome {
        let kept = Kept()
        let outcome = Stories.exchanges(plan) { kept.records = $0 }.run(seed: seed, build: build)
        return Outcome(records: kept.records, trace: outcome.verdict.traceLine, failure: outcome.failure)
    }

    /// Written and read by the one thread that runs the story.
    private final class Kept: @unchecked Sendable { var records: [ExchangeRecord] = [] }

    static func tell(_ plan: ExchangePlan, _ stage: Stage) throws(StoryFailure) -> [ExchangeRecord] {
        let cluster = try stage.deploy()
        try cluster.apply(manifest)
        let (web, api) = (try cluster.ready("web"), try cluster.ready("api"))
        let addresses = [(address: api.node.ip, name: "<api>"), (address: web.node.ip, name: "<web>")]
        var server: ExchangeServer?
        let place = api.process()
        place.run {
            do throws(HostFailure) {
                let made = try ExchangeServer(host: place, plan: plan, addresses: addresses)
                place.keep(made)
                place.onShutdown { made.close() }
                server = made
            } catch { place.unexpected("no server: \(error)") }
        }
        guard let server else { throw StoryFailure("the server does not listen") }
        let desk = web.process()
        var results: [[String]]?
        desk.run {
            let caller = ExchangeCaller(host: desk, service: service, addresses: addresses)
            desk.keep(caller)
            caller.run(plan) { results = $0 }
        }
        try stage.wait("end of \(plan.exchanges.count) exchanges", within: .seconds(Int64(plan.exchanges.count * 6 + 60))) { results != nil }
        let records = records(plan, client: results!, server: server)
        stage.say("\(records.count) exchanges ended, \(records.count { !$0.server.isEmpty }) of them reached the server")
        return records
    }
}
