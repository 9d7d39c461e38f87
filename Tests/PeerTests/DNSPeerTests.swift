// Our resolver over our own sockets against dnsmasq, and against a name server that does what no decent one does. Servers run in a pod,
// the resolver's sockets are opened in the hub, as a controller's are.

import Base
import DNS
import Linux
import Platform
import Testing
import Transport

@testable import LocalCluster

@Suite(.serialized) @Mesh struct DNSPeerTests {
    private static let oddPorts: [UInt16] = [5401, 5402]

    /// A resolver whose servers are those ports of the pod.
    private func resolver(_ ports: [UInt16], search: [String] = [], ndots: Int = 1, ttlMin: Interval? = nil, ttlMax: Interval? = nil, timeout: Interval? = nil) throws -> (peers: MeshPeers, resolver: Resolver) {
        let peers = try MeshPeers.shared()
        let address = peers.bare.place.address
        let configuration = ResolverConfiguration(servers: ports.map { SocketAddress(address, $0) }, searchDomains: search, ndots: ndots)
        let host = NamespaceHost(peers.host, in: peers.cluster.network.hub, resolver: configuration)
        var limits = DNSLimits()
        if let timeout { limits.attemptTimeout = timeout }
        return (peers, Resolver(host: host, ttlMin: ttlMin, ttlMax: ttlMax, dns: limits))
    }

    private func dnsmasq(search: [String] = [], ndots: Int = 1, authority: Bool = false) throws -> (peers: MeshPeers, resolver: Resolver) {
        let peers = try MeshPeers.shared()
        let common = ["--keep-in-foreground", "--no-resolv", "--no-hosts", "--conf-file=/dev/null", "--user=root", "--pid-file=", "--bind-interfaces"]
        var records = [
            "--local=/test/", "--host-record=a.test,10.1.1.1,fd00::1,300", "--host-record=v6.test,fd00::2,120", "--cname=alias.test,a.test,60", "--cname=alias2.test,alias.test,30",
            "--host-record=two.test,10.1.1.2", "--host-record=two.test,10.1.1.3", "--srv-host=_grpc._tcp.svc.test,a.test,8086,10,20", "--srv-host=_grpc._tcp.svc.test,two.test,8087,5,30",
            "--host-record=deep.sub.test,10.1.1.4", "--host-record=a.test.more.test,10.1.1.5",
        ]
        records += (1...120).map { "--host-record=big.test,10.2.0.\($0)" }
        try peers.serve(.names, in: peers.bare, "dnsmasq", common + ["--port=\(MeshPeers.Port.names.rawValue)", "--listen-address=\(peers.bare.place.address),127.0.0.1"] + records)
        // Every question that comes over the interface of an authority is answered as the zone's owner does.
        try peers.serve(
            .zone, in: peers.bare, "dnsmasq",
            common + [
                "--port=\(MeshPeers.Port.zone.rawValue)", "--listen-address=\(peers.bare.place.address),127.0.0.1", "--auth-server=ns.zone.test,eth0", "--auth-zone=zone.test", "--auth-ttl=77",
                "--host-record=www.zone.test,10.3.0.1",
            ])
        return try resolver([(authority ? MeshPeers.Port.zone : .names).rawValue], search: search, ndots: ndots)
    }

    private func odd(_ ports: [UInt16] = oddPorts, timeout: Interval = .milliseconds(300)) throws -> (peers: MeshPeers, resolver: Resolver) {
        let peers = try MeshPeers.shared()
        try peers.serve(.odd, in: peers.bare, "names.py", Self.oddPorts.map { "\($0)" })
        return try resolver(ports, timeout: timeout)
    }

    private func addresses(_ of: (peers: MeshPeers, resolver: Resolver), _ name: String) throws -> DNSResult {
        var result: DNSResult?
        of.resolver.addresses(of: name) { result = $0 }
        #expect(of.peers.host.run(atMost: .seconds(20)) { result != nil }, "\(name) is answered")
        return try #require(result)
    }

    private func services(_ of: (peers: MeshPeers, resolver: Resolver), _ name: String) throws -> DNSResult {
        var result: DNSResult?
        of.resolver.services(of: name) { result = $0 }
        #expect(of.peers.host.run(atMost: .seconds(20)) { result != nil }, "\(name) is answered")
        return try #require(result)
    }

    private func ip(_ text: String) -> IPAddress { IPAddress(text)! }

    @Test func `A, AAAA and aliases come with the shortest life of all`() throws {
        let names = try dnsmasq()
        #expect(try addresses(names, "a.test") == .addresses([ip("10.1.1.1")], ttl: .seconds(300)))
        #expect(try addresses(names, "v6.test.") == .addresses([ip("fd00::2")], ttl: .seconds(120)))
        #expect(try addresses(names, "alias.test") == .addresses([ip("10.1.1.1")], ttl: .seconds(60)))
        #expect(try addresses(names, "ALIAS2.Test") == .addresses([ip("10.1.1.1")], ttl: .seconds(30)))
        guard case .addresses(let two, _) = try addresses(names, "two.test") else { return #expect(Bool(false)) }
        #expect(Set(two) == [ip("10.1.1.2"), ip("10.1.1.3")])
    }

    @Test func `services come lowest priority number first`() throws {
        let names = try dnsmasq()
        guard case .services(let found, _) = try services(names, "_grpc._tcp.svc.test") else { return #expect(Bool(false)) }
        #expect(found.map(\.port) == [8087, 8086] && found.map(\.priority) == [5, 10] && found.map(\.weight) == [30, 20] && found.map(\.target.description) == ["two.test", "a.test"])
        #expect(try services(names, "a.test") == .notFound(ttl: nil))
    }

    @Test func `what does not exist is not found, for as long as its zone says`() throws {
        #expect(try addresses(try dnsmasq(), "nothing.test") == .notFound(ttl: nil))
        let zone = try dnsmasq(authority: true)
        #expect(try addresses(zone, "www.zone.test") == .addresses([ip("10.3.0.1")], ttl: .seconds(77)))
        #expect(try addresses(zone, "nothing.zone.test") == .notFound(ttl: .seconds(77)))
        #expect(try services(zone, "www.zone.test") == .notFound(ttl: .seconds(77)))
        // Not its zone: REFUSED, by every server in every round.
        guard case .failed(let reason) = try addresses(zone, "a.test") else { return #expect(Bool(false)) }
        #expect(reason.contains("response code 5"))
    }

    @Test func `an answer too long for a datagram comes over TCP`() throws {
        guard case .addresses(let found, _) = try addresses(try dnsmasq(), "big.test") else { return #expect(Bool(false)) }
        #expect(Set(found).count == 120)
    }

    @Test func `search domains go first or last by the number of dots`() throws {
        let names = try dnsmasq(search: ["nowhere.test", "sub.test", "test", "more.test"], ndots: 2)
        #expect(try addresses(names, "deep") == .addresses([ip("10.1.1.4")], ttl: .zero))
        // One dot is less than two: the list goes first, and finds something else than the name itself.
        #expect(try addresses(names, "a.test") == .addresses([ip("10.1.1.5")], ttl: .zero))
        #expect(try addresses(names, "a.test.") == .addresses([ip("10.1.1.1")], ttl: .seconds(300)))
        #expect(try addresses(try dnsmasq(search: ["more.test"], ndots: 1), "a.test") == .addresses([ip("10.1.1.1")], ttl: .seconds(300)))
    }

    @Test func `a server that is silent, broken or mad is passed over for the next`() throws {
        let names = try odd()
        for name in ["silent.odd.test", "broken.odd.test", "garbage.odd.test"] {
            #expect(try addresses(names, name) == .addresses([ip("10.9.0.2")], ttl: .seconds(9)), "\(name)")
        }
        // The stream breaks off at the first, the second is asked by datagram again, and then by stream.
        #expect(try addresses(names, "cut.odd.test") == .addresses([ip("10.9.0.2")], ttl: .seconds(9)))
    }

    @Test func `a question without an answer is asked again, and given up after its rounds`() throws {
        let one = try odd([Self.oddPorts[0]])
        #expect(try addresses(one, "late.odd.test") == .addresses([ip("10.9.0.1")], ttl: .seconds(9)))
        let begun = one.peers.host.now
        guard case .failed(let reason) = try addresses(one, "silent.odd.test") else { return #expect(Bool(false)) }
        #expect(reason.contains("no answer within") && one.peers.host.now - begun >= .milliseconds(600) && one.peers.host.now - begun < .seconds(3))
        guard case .failed(let refused) = try addresses(one, "refused.odd.test") else { return #expect(Bool(false)) }
        #expect(refused.contains("response code 5"))
    }

    @Test func `answers to other questions are waited past`() throws {
        let names = try odd([Self.oddPorts[0]], timeout: .seconds(2))
        #expect(try addresses(names, "forged.odd.test") == .addresses([ip("10.9.0.1")], ttl: .seconds(9)))
        #expect(try addresses(names, "shouting.odd.test") == .addresses([ip("10.9.0.1")], ttl: .seconds(9)))
    }

    @Test func `aliases are followed over many answers, but not in circles`() throws {
        let names = try odd([Self.oddPorts[0]], timeout: .seconds(2))
        #expect(try addresses(names, "chain.6.odd.test") == .addresses([ip("10.9.0.1")], ttl: .seconds(9)))
        guard case .failed(let far) = try addresses(names, "chain.40.odd.test") else { return #expect(Bool(false)) }
        guard case .failed(let circle) = try addresses(names, "loop.odd.test") else { return #expect(Bool(false)) }
        #expect(far.contains("more than 16 aliases") && circle.contains("more than 16 aliases"))
        #expect(try addresses(names, "dangling.odd.test") == .notFound(ttl: .seconds(20)))
    }

    @Test func `negative answers live by the lesser of TTL and minimum, referrals are none`() throws {
        let names = try odd([Self.oddPorts[0]], timeout: .seconds(2))
        #expect(try addresses(names, "absent.odd.test") == .notFound(ttl: .seconds(25)))
        #expect(try addresses(names, "onlysix.odd.test") == .addresses([ip("fd00::9")], ttl: .seconds(11)))
        #expect(try addresses(names, "referral.odd.test") == .notFound(ttl: .seconds(60)))
    }

    @Test func `an answer is kept for its life and no longer`() throws {
        let peers = try odd().peers
        // The server counts how often it was asked in the third byte.
        let names = try resolver([Self.oddPorts[0]], timeout: .seconds(2))
        #expect(try addresses(names, "ttl.1.odd.test") == .addresses([ip("10.9.1.1")], ttl: .seconds(1)))
        guard case .addresses(let again, let rest) = try addresses(names, "ttl.1.odd.test") else { return #expect(Bool(false)) }
        #expect(again == [ip("10.9.1.1")] && rest <= .seconds(1))
        _ = peers.host.run(atMost: .milliseconds(1_100)) { false }
        #expect(try addresses(names, "ttl.1.odd.test") == .addresses([ip("10.9.2.1")], ttl: .seconds(1)))
        for number in 1...2 { #expect(try addresses(names, "ttl.0.odd.test") == .addresses([ip("10.9.\(number).1")], ttl: .zero), "zero is not kept") }
        let held = try resolver([Self.oddPorts[0]], ttlMin: .seconds(5), ttlMax: .seconds(10), timeout: .seconds(2))
        #expect(try addresses(held, "ttl.2.odd.test") == .addresses([ip("10.9.1.1")], ttl: .seconds(5)))
        #expect(try addresses(held, "ttl.3600.odd.test") == .addresses([ip("10.9.1.1")], ttl: .seconds(10)))
    }

    @Test func `equal questions at once are one question`() throws {
        let names = try odd([Self.oddPorts[0]], timeout: .seconds(2))
        var results: [DNSResult] = []
        for _ in 0..<10 { names.resolver.addresses(of: "ttl.0.once.odd.test") { results.append($0) } }
        #expect(names.peers.host.run(atMost: .seconds(10)) { results.count == 10 })
        #expect(results.allSatisfy { $0 == .addresses([ip("10.9.1.1")], ttl: .zero) })
    }
}
