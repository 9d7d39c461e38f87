// Controllers as processes over sockets: ready when they know the cluster, serving as their services say, with certificates of
// their own where asked, and gone without a trace when told to stop.

import Base
import ControlPlane
import DNS
import Documents
import Foundation
import GRPC
import Kube
import MeshAPI
import Platform
import Simulator
import TLS
import Testing
import Transport

private let destinationIP = IPAddress(10, 0, 0, 20)
private let identityIP = IPAddress(10, 0, 0, 21)
private let policyIP = IPAddress(10, 0, 0, 22)

private final class Said<Message> {
    var messages: [Message] = []
    var ends: [GRPCStatus] = []
}

private func follow<Q, R>(_ plane: Plane, _ channel: GRPCChannel, _ method: GRPCMethod<Q, R>, _ request: Q) -> Said<R> {
    let said = Said<R>()
    plane.asClient { channel.call(method, request, onMessage: { said.messages.append($0) }, onEnd: { said.ends.append($0) }) }
    return said
}

@Suite struct `A destination controller` {
    private func start(_ plane: Plane, tls: ControllerOptions.TLSOptions? = nil) -> SimProcess {
        plane.controller("destination", ip: destinationIP) { process in
            var options = DestinationController.defaults
            options.tls = tls
            return try DestinationController.run(host: process, options: options, service: DestinationOptions())
        }
    }

    @Test func `is ready when it knows the cluster, follows it, and leaves in order`() throws {
        let plane = try Plane()
        plane.asAPI {
            plane.api.isUp = false
            plane.api.put(.services, serviceYAML)
            plane.api.put(.pods, podYAML("web-a", "10.1.0.1"))
            plane.api.put(.endpointSlices, sliceYAML([("web-a", "10.1.0.1")]))
        }
        let process = start(plane)
        let admin = SocketAddress(destinationIP, 9996)
        plane.run(2)
        #expect(plane.page(admin, "/ping").body == "pong\n" && plane.page(admin, "/ready").status == 503)
        let channel = plane.channel(SocketAddress(destinationIP, 8086))
        let said = follow(plane, channel, Mesh.Destination.get, destination("web.shop.svc.cluster.local:80"))
        plane.run(2)
        #expect(said.messages.isEmpty && said.ends.isEmpty)
        plane.asAPI { plane.api.isUp = true }
        plane.run(90)
        #expect(plane.page(admin, "/ready").status == 200)
        #expect(said.ends.map(\.code) == [.unavailable], "the call waited its 30 s while nobody listened")

        let watched = follow(plane, channel, Mesh.Destination.get, destination("web.shop.svc.cluster.local:80"))
        plane.run(1)
        #expect(watched.messages.map(summary) == ["add 10.1.0.1:8080"])
        #expect(watched.messages.first?.add.addrs.first?.tlsIdentity.dnsLikeIdentity.name == "web.shop.serviceaccount.identity.linkerd.cluster.local")
        plane.asAPI {
            plane.api.put(.pods, podYAML("web-b", "10.1.0.2"))
        }
        plane.run(1)
        plane.asAPI { plane.api.put(.endpointSlices, sliceYAML([("web-b", "10.1.0.2")])) }
        plane.run(1)
        #expect(watched.messages.dropFirst().map(summary) == ["add 10.1.0.2:8080", "remove 10.1.0.1:8080"])
        let metrics = plane.page(admin, "/metrics").body
        #expect(metrics.contains("pods_cache_size{cluster=\"local\"} 2\n"))
        #expect(metrics.contains("grpc_server_started_total{grpc_service=\"io.linkerd.proxy.destination.Destination\",grpc_method=\"Get\"} 1\n"))

        let missing = follow(plane, channel, Mesh.Destination.get, destination("no.shop.svc.cluster.local:80"))
        plane.run(1)
        #expect(missing.ends.map(\.code) == [.notFound])
        process.stop()
        plane.run(2)
        #expect(watched.ends == [.ok] && process.state == .exited(0))
        plane.judge()
    }

    @Test func `sends the routes of service profiles`() throws {
        let plane = try Plane()
        let folder = fixtures("profiles/real-profiles")
        let files = try FileManager.default.contentsOfDirectory(atPath: folder).filter { $0.hasSuffix(".yml") }.sorted()
        #expect(!files.isEmpty)
        let process = start(plane)
        plane.run(3)
        let channel = plane.channel(SocketAddress(destinationIP, 8086))
        var passed = 0
        for file in files {
            let text = try #require(FileManager.default.contents(atPath: folder + "/" + file))
            let object = KubeObject(try YAML.parse([UInt8](text))[0].value)
            let parts = object.name.split(separator: ".").map(String.init)
            plane.asAPI {
                plane.api.put(.services, "metadata: {name: \(parts[0]), namespace: \(parts[1])}\nspec: {clusterIP: 10.96.0.8, ports: [{name: grpc, port: 8080, protocol: TCP}]}")
                plane.api.put(.serviceProfiles, String(decoding: text, as: UTF8.self))
            }
            plane.run(1)
            let said = follow(plane, channel, Mesh.Destination.getProfile, destination("\(parts[0]).\(parts[1]).svc.cluster.local:8080"))
            plane.run(1)
            let routes = object.spec.items("routes")
            let profile = try #require(said.messages.first)
            #expect(profile.routes.map { $0.metricsLabels["route"] } == routes.map { $0.text("name") }, "\(file)")
            #expect(profile.routes.map(\.isRetryable) == routes.map { $0.flag("isRetryable") ?? false }, "\(file)")
            #expect(zip(profile.routes, routes).allSatisfy { $0.hasTimeout == ($1.member("timeout") != nil) }, "\(file)")
            if let budget = object.spec.member("retryBudget") {
                #expect(profile.retryBudget.minRetriesPerSecond == UInt32(budget.number("minRetriesPerSecond") ?? 0), "\(file)")
            }
            passed += profile.profileRef.resource.kind == "ServiceProfile" ? 1 : 0
        }
        print("corpus profiles/real-profiles passed \(passed) of \(files.count)")
        #expect(passed == files.count)
        process.stop()
        plane.run(2)
    }

    @Test func `without a proxy beside it gets its certificate from the identity service and serves mutual TLS`() throws {
        let plane = try Plane()
        let identity = IdentityTrio(plane)
        plane.api.tokens["destination-token"] = "system:serviceaccount:linkerd:linkerd-destination"
        var tls = ControllerOptions.TLSOptions()
        tls.identityHost = "linkerd-identity-headless.linkerd.svc.cluster.local."
        let process = start(plane, tls: tls)
        process.node.files.put("/var/run/secrets/tokens/linkerd-identity-token", text: "destination-token")
        plane.asAPI { plane.api.put(.services, serviceYAML) }
        plane.run(10)
        #expect(plane.page(SocketAddress(destinationIP, 9996), "/ready").status == 200)
        let name = "linkerd-destination.linkerd.serviceaccount.identity.linkerd.cluster.local"
        let channel = plane.channel(SocketAddress(destinationIP, 8086), toward: name)
        let profile = follow(plane, channel, Mesh.Destination.getProfile, destination("10.96.0.7:80"))
        plane.run(1)
        #expect(profile.messages.map(\.fullyQualifiedName) == ["web.shop.svc.cluster.local"])
        // Plaintext is not answered.
        let plain = follow(plane, plane.channel(SocketAddress(destinationIP, 8086)), Mesh.Destination.getProfile, destination("10.96.0.7:80"))
        plane.run(40)
        #expect(plain.messages.isEmpty)
        // Certificates are renewed before they end: at 70 % of a day.
        plane.run(20 * 3600)
        let later = follow(plane, plane.channel(SocketAddress(destinationIP, 8086), toward: name), Mesh.Destination.getProfile, destination("10.96.0.7:80"))
        plane.run(1)
        #expect(later.messages.count == 1)
        let issued = plane.api.created.filter { $0.value.text("reason") == "IssuedLeafCertificate" }
        #expect(issued.count >= 2 && issued.allSatisfy { $0.value.text("involvedObject", "name") == "linkerd-destination" })
        for process in [process, identity.process] { process.stop() }
        plane.run(20)
        #expect(process.state == .exited(0) && identity.process.state == .exited(0))
        plane.judge()
    }
}

/// An identity controller with its files and its name.
private final class IdentityTrio {
    let process: SimProcess
    let plane: Plane
    static let name = "linkerd-identity.linkerd.serviceaccount.identity.linkerd.cluster.local"

    init(_ plane: Plane) {
        self.plane = plane
        process = plane.controller("identity", ip: identityIP) { process in
            var options = IdentityController.defaults
            options.tls = ControllerOptions.TLSOptions()
            return try IdentityController.run(host: process, options: options, identity: IdentityControllerOptions())
        }
        plane.names.set(DNSName("linkerd-identity-headless.linkerd.svc.cluster.local")!, addresses: [identityIP])
        write(plane.root)
    }

    func write(_ authority: CertificateAuthority) {
        process.node.files.put("/var/run/linkerd/identity/issuer/crt.pem", text: authority.certificate.pem)
        process.node.files.put("/var/run/linkerd/identity/issuer/key.pem", text: authority.key.pem)
    }

    func certify(_ account: String, token: String, _ channel: GRPCChannel) -> Result<Mesh.Identity.CertifyResponse, GRPCStatus>? {
        let identity = "\(account).shop.serviceaccount.identity.linkerd.cluster.local"
        var result: Result<Mesh.Identity.CertifyResponse, GRPCStatus>?
        plane.asClient {
            guard let key = try? PrivateKey.generate(), let request = try? CertificateSigningRequest.make(key: key, identity: identity) else { return }
            channel.unary(Mesh.Identity.certify, Mesh.Identity.CertifyRequest(identity: identity, token: Array(token.utf8), request: request.der)) { result = $0 }
        }
        plane.world.run(until: { result != nil }, limit: .minutes(1), awaiting: "a certificate")
        return result
    }
}

@Suite struct `An identity controller` {
    @Test func `certifies whom the API server vouches for, over TLS, to clients without a certificate`() throws {
        let plane = try Plane()
        let identity = IdentityTrio(plane)
        plane.api.tokens["web-token"] = "system:serviceaccount:shop:web"
        plane.run(2)
        let channel = plane.channel(SocketAddress(identityIP, 8080), toward: IdentityTrio.name)
        let response = try #require(identity.certify("web", token: "web-token", channel)).get()
        let leaf = try Certificate(der: response.leafBytes)
        #expect(leaf.carries("web.shop.serviceaccount.identity.linkerd.cluster.local"))
        try Certificate.verify(chain: [leaf], anchors: plane.anchors, at: Plane.start)
        guard case .failure(let unknown)? = identity.certify("web", token: "stolen", channel) else { return #expect(Bool(false)) }
        #expect(unknown.code == .failedPrecondition)
        guard case .failure(let other)? = identity.certify("bank", token: "web-token", channel) else { return #expect(Bool(false)) }
        #expect(other.code == .failedPrecondition)
        plane.run(1)
        let events = plane.api.created.filter { $0.kind == "Event" }
        #expect(events.map { $0.value.text("reason") } == ["IssuedLeafCertificate"] && events[0].namespace == "shop")
        #expect(plane.page(SocketAddress(identityIP, 9990), "/metrics").body.contains("issuer_cert_ttl_seconds 31"))
        identity.process.stop()
        plane.run(20)
        #expect(identity.process.state == .exited(0))
        plane.judge()
    }

    @Test func `takes up a new issuer when its files change, and keeps the old one when they are unusable`() throws {
        let plane = try Plane()
        let identity = IdentityTrio(plane)
        plane.api.tokens["web-token"] = "system:serviceaccount:shop:web"
        plane.run(2)
        let channel = plane.channel(SocketAddress(identityIP, 8080), toward: IdentityTrio.name)
        #expect(try #require(identity.certify("web", token: "web-token", channel)).get().intermediateBytes.isEmpty)
        let next = try #require(plane.asClient { try? plane.root.issueIntermediate(name: "identity.linkerd.cluster.local", validity: Plane.start...Plane.start + .days(30)) })
        identity.write(next)
        plane.run(15)
        #expect(try #require(identity.certify("web", token: "web-token", channel)).get().intermediateBytes == [next.certificate.der])
        // Its own certificate comes from the new issuer, too.
        let fresh = plane.channel(SocketAddress(identityIP, 8080), toward: IdentityTrio.name)
        #expect(try #require(identity.certify("web", token: "web-token", fresh)).get().intermediateBytes.count == 1)
        identity.process.node.files.put("/var/run/linkerd/identity/issuer/key.pem", text: "no key")
        plane.run(45)
        #expect(try #require(identity.certify("web", token: "web-token", channel)).get().intermediateBytes == [next.certificate.der])
        let reasons = plane.api.created.filter { $0.value.text("involvedObject", "kind") == "Deployment" }.map { $0.value.text("reason") }
        #expect(reasons == ["IssuerUpdated", "IssuerUpdateSkipped"])
    }

    @Test func `takes up a new issuer at once when its world hints, and within the poll when hints are lost`() throws {
        for isSilent in [false, true] {
            let plane = try Plane()
            let identity = IdentityTrio(plane)
            plane.api.tokens["web-token"] = "system:serviceaccount:shop:web"
            plane.run(2)
            identity.process.simFiles.isSilent = isSilent
            let channel = plane.channel(SocketAddress(identityIP, 8080), toward: IdentityTrio.name)
            let next = try #require(plane.asClient { try? plane.root.issueIntermediate(name: "identity.linkerd.cluster.local", validity: Plane.start...Plane.start + .days(30)) })
            identity.write(next)
            plane.world.run(for: .milliseconds(10))
            let early = try #require(identity.certify("web", token: "web-token", channel)).get().intermediateBytes
            #expect(early == (isSilent ? [] : [next.certificate.der]))
            plane.run(11)
            #expect(try #require(identity.certify("web", token: "web-token", channel)).get().intermediateBytes == [next.certificate.der])
        }
    }

    @Test func `follows the trust anchors and takes an issuer of a new root without a restart`() throws {
        let plane = try Plane()
        let identity = IdentityTrio(plane)
        plane.api.tokens["web-token"] = "system:serviceaccount:shop:web"
        plane.run(2)
        let admin = SocketAddress(identityIP, 9990)
        #expect(plane.page(admin, "/metrics").body.contains("trust_anchors 1\n"))
        #expect(plane.page(admin, "/metrics").body.contains("trust_anchor_cert_ttl_seconds 3153"))
        let other = try #require(plane.asClient { try? CertificateAuthority.selfSignedRoot(name: "root.linkerd.cluster.local", validity: Plane.start...Plane.start + .days(10)) })
        // An issuer of a root that nobody trusts is left alone, until its root is trusted.
        identity.write(other)
        plane.run(1)
        let channel = plane.channel(SocketAddress(identityIP, 8080), toward: IdentityTrio.name)
        try Certificate.verify(chain: [Certificate(der: try #require(identity.certify("web", token: "web-token", channel)).get().leafBytes)], anchors: plane.anchors, at: Plane.start)
        let bundle = "/var/run/linkerd/identity/trust-roots/ca-bundle.crt"
        identity.process.node.files.put(bundle, text: plane.root.certificate.pem + other.certificate.pem)
        plane.run(1)
        let page = plane.page(admin, "/metrics").body
        #expect(page.contains("trust_anchors 2\n") && page.contains("trust_anchor_cert_ttl_seconds 863"))
        #expect(page.contains("issuer_cert_ttl_seconds 863"))
        identity.process.node.files.put(bundle, text: "no bundle")
        plane.run(1)
        #expect(plane.page(admin, "/metrics").body.contains("trust_anchors 2\n"))
        let reasons = plane.api.created.filter { $0.value.text("involvedObject", "kind") == "Deployment" }.map { $0.value.text("reason") }
        #expect(reasons == ["IssuerUpdateSkipped", "IssuerUpdated"])
    }

    @Test func `gives serial numbers that tell nothing of the next`() throws {
        let plane = try Plane()
        let identity = IdentityTrio(plane)
        plane.api.tokens["web-token"] = "system:serviceaccount:shop:web"
        plane.run(2)
        let channel = plane.channel(SocketAddress(identityIP, 8080), toward: IdentityTrio.name)
        let serials = try (0..<16).map { _ in try Certificate(der: try #require(identity.certify("web", token: "web-token", channel)).get().leafBytes).serial }
        // Hexadecimal. CA/Browser Forum: at least 64 bits of chance.
        #expect(Set(serials).count == 16 && serials.allSatisfy { (24...32).contains($0.utf8.count) })
        #expect(Set(serials.map { $0.prefix(8) }).count == 16)
    }

    @Test func `without a usable issuer is reached but certifies nobody`() throws {
        let plane = try Plane()
        let process = plane.controller("identity", ip: identityIP) { try IdentityController.run(host: $0, identity: IdentityControllerOptions()) }
        plane.run(2)
        let channel = plane.channel(SocketAddress(identityIP, 8080))
        let said = follow(plane, channel, Mesh.Identity.certify, Mesh.Identity.CertifyRequest(identity: "x", token: [1], request: [1]))
        plane.run(2)
        #expect(said.ends.map(\.code) == [.unavailable] && process.isRunning)
    }
}

@Suite struct `A policy controller` {
    @Test func `tells a pod's port and its changes`() throws {
        let plane = try Plane()
        plane.asAPI {
            plane.api.put(.pods, podYAML("web-a", "10.1.0.1"))
            plane.api.put(.services, serviceYAML)
        }
        let process = plane.controller("policy", ip: policyIP) { try PolicyController.run(host: $0, policy: PolicyOptions()) }
        plane.run(3)
        #expect(plane.page(SocketAddress(policyIP, 9990), "/ready").status == 200 && plane.page(SocketAddress(policyIP, 9990), "/live").status == 200)
        let channel = plane.channel(SocketAddress(policyIP, 8090))
        var spec = Mesh.Inbound.PortSpec()
        spec.workload = #"{"ns":"shop","pod":"web-a"}"#
        spec.port = 8080
        let said = follow(plane, channel, Mesh.Inbound.watchPort, spec)
        let once = follow(plane, channel, Mesh.Inbound.getPort, spec)
        plane.run(1)
        #expect(said.messages.map { $0.labels["name"] } == ["all-unauthenticated"] && once.messages.count == 1 && once.ends == [.ok])
        plane.asAPI { plane.api.put(.servers, "metadata: {name: web-http, namespace: shop}\nspec: {podSelector: {matchLabels: {app: web}}, port: http, proxyProtocol: HTTP/2}") }
        plane.run(1)
        #expect(said.messages.last?.labels["name"] == "web-http" && said.messages.last?.authorizations.isEmpty == true)
        plane.asAPI { plane.api.remove(.servers, "shop", "web-http") }
        plane.run(1)
        #expect(said.messages.count == 3 && said.messages.last?.labels["name"] == "all-unauthenticated")
        var traffic = Mesh.Outbound.TrafficSpec()
        traffic.sourceWorkload = spec.workload
        traffic.authority = "web.shop.svc.cluster.local:80"
        let outbound = follow(plane, channel, Mesh.Outbound.get, traffic)
        plane.run(1)
        #expect(outbound.messages.first?.metadata.resource.name == "web")
        plane.asAPI { plane.api.remove(.pods, "shop", "web-a") }
        plane.run(1)
        #expect(said.ends.map(\.code) == [.notFound])
        process.stop()
        plane.run(2)
        #expect(process.state == .exited(0))
        plane.judge()
    }
}
