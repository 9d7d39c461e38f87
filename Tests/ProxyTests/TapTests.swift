// Conditions of taps, those that make sense and those that do not.

import Base
import HTTP
import MeshAPI
import Testing

@testable import Proxy

@Suite struct TapTests {
    private typealias Match = Mesh.Tap.ObserveRequest.Match

    private func subject(_ path: String = "/a/b?c=d", source: String? = "10.0.0.9:5000") -> TapSubject {
        TapSubject(
            isInbound: false, source: source.map { SocketAddress($0)! }, destination: SocketAddress("10.1.2.3:80")!, destinationLabels: [Label(name: "pod", value: "api")],
            routeLabels: [Label(name: "route", value: "/a")], sourceTLS: [], head: RequestHead(method: .get, authority: "api:80", path: HTTPText(path), headers: [:], version: .http11))
    }

    private func holds(_ change: (inout Match) -> Void, _ subject: TapSubject? = nil) throws(Refusal) -> Bool {
        var match = Match()
        change(&match)
        return try TapMatch(match).matches(subject ?? self.subject())
    }

    @Test func `each condition holds for what it names and for nothing else`() throws {
        let conditions: [((inout Match) -> Void, Bool)] = [
            ({ $0.http.path.exact = "/a/b" }, true), ({ $0.http.path.exact = "/a/b?c=d" }, false), ({ $0.http.path.prefix = "/a" }, true), ({ $0.http.path.prefix = "/b" }, false),
            ({ $0.http.method.registered = .get }, true), ({ $0.http.method.registered = .post }, false), ({ $0.http.method.unregistered = "GET" }, true),
            ({ $0.http.authority.exact = "api:80" }, true), ({ $0.http.authority.prefix = "web" }, false), ({ $0.http.scheme.registered = .http }, true), ({ $0.http.scheme.registered = .https }, false),
            ({ $0.destinationLabel = .with { ($0.key, $0.value) = ("pod", "api") } }, true), ({ $0.destinationLabel = .with { ($0.key, $0.value) = ("pod", "web") } }, false),
            ({ $0.routeLabel = .with { ($0.key, $0.value) = ("route", "/a") } }, true), ({ $0.routeLabel = .with { ($0.key, $0.value) = ("rt_route", "/a") } }, false),
            ({ $0.source.ports.min = 5000 }, true), ({ $0.source.ports.max = 4999 }, false), ({ $0.source.ports = .with { ($0.min, $0.max) = (4000, 6000) } }, true),
            ({ $0.destination.netmask = .with { ($0.ip, $0.mask) = (Mesh.Net.IPAddress(IPAddress(10, 1, 0, 0)), 16) } }, true),
            ({ $0.source.netmask = .with { ($0.ip, $0.mask) = (Mesh.Net.IPAddress(IPAddress(10, 1, 0, 0)), 16) } }, false),
            ({ $0.all = .init() }, true), ({ $0.any = .init() }, false), ({ $0.not.any = .init() }, true),
        ]
        for (index, (change, wanted)) in conditions.enumerated() { #expect(try holds(change) == wanted, "condition \(index)") }
        // Nobody knows where it came from: then it is not from there.
        #expect(try !holds({ $0.source.ports.min = 5000 }, subject(source: nil)))
    }

    @Test func `a condition that makes no sense is refused with its reason`() {
        let wrong: [(String, (inout Match) -> Void)] = [
            ("a condition is missing", { _ in }), ("a condition is missing", { $0.not = .init() }), ("a condition is missing", { $0.all.matches = [.init()] }),
            ("an address condition is missing", { $0.source = .init() }), ("a network has no address", { $0.source.netmask = .init() }),
            ("a network's mask of 0 bits is none", { $0.source.netmask.ip = Mesh.Net.IPAddress(IPAddress(10, 0, 0, 0)) }),
            ("a network's mask of 33 bits is none", { $0.source.netmask = .with { ($0.ip, $0.mask) = (Mesh.Net.IPAddress(IPAddress(10, 0, 0, 0)), 33) } }),
            ("a range of ports has no bounds", { $0.source.ports = .init() }), ("a range of ports ends before it begins", { $0.source.ports = .with { ($0.min, $0.max) = (9, 8) } }),
            ("a port is above 65535", { $0.source.ports.max = 65536 }), ("a label needs a key and a value", { $0.routeLabel.key = "k" }), ("an HTTP condition is missing", { $0.http = .init() }),
            ("a text to compare with is missing", { $0.http.path = .init() }), ("a method is missing", { $0.http.method = .init() }),
        ]
        for (reason, change) in wrong {
            do throws(Refusal) {
                _ = try holds(change)
                Issue.record("\(reason) was accepted")
            } catch { #expect(error.reason == reason) }
        }
        var deep = Match.with { $0.http.path.exact = "/" }
        for _ in 0..<100 { deep = .with { $0.not = deep } }
        #expect(throws: Refusal.self) { _ = try TapMatch(deep) }
    }
}
