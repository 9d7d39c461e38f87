// TLS of the mesh and of applications as others see it through the proxies: s_client at a proxy's inbound port, an application's own TLS passed
// through however its ClientHello is cut, and a proxy that is linked with a newer OpenSSL, which prefers a post-quantum hybrid.

import Base
import Linux
import Platform
import TLS
import Testing

@testable import LocalCluster

@Suite(.serialized) @Mesh struct MeshTLSPeerTests {
    private static func identity(_ name: String) -> String { "\(name).peers.serviceaccount.identity.linkerd.cluster.local" }

    /// A request by s_client from the pod without a proxy to another's application, over TLS with its proxy.
    private func ask(_ peers: MeshPeers, _ pod: LocalPod, _ flags: [String], newerLibrary: Bool = false) throws -> MachineCluster.ProgramResult {
        try peers.serve(.origin, in: pod, "origin.py", ["\(MeshPeers.Port.origin.rawValue)"])
        try peers.put("anchors.pem", Array(peers.cluster.trust.anchorsPEM.utf8), in: peers.bare)
        let program = try Programs.program(
            "openssl",
            ["s_client", "-connect", peers.authority(pod, .origin, direct: true), "-CAfile", "/run/anchors.pem", "-verify_return_error", "-ign_eof", "-brief"] + flags, newerLibrary: newerLibrary)
        return try peers.cluster.run(program, in: peers.bare, input: "GET /echo HTTP/1.1\r\nhost: \(pod.name)\r\nconnection: close\r\n\r\n")
    }

    @Test func `a proxy proves its identity to s_client in TLS 1.3, and takes who has none for nobody`() throws {
        let peers = try MeshPeers.shared()
        let result = try ask(peers, peers.far, ["-servername", Self.identity("far"), "-verify_hostname", Self.identity("far")])
        let said = result.output + result.errors
        #expect(said.contains("Protocol version: TLSv1.3") && said.contains("Verification: OK") && said.contains("CN = \(Self.identity("far"))"), "\(result)")
        #expect(result.output.contains("HTTP/1.1 200") && !result.output.contains("l5d-client-id"), "\(result)")
        let old = try ask(peers, peers.far, ["-servername", Self.identity("far"), "-tls1_2"])
        #expect(old.status != 0 && old.errors.contains("alert protocol version"), "\(old)")
    }

    @Test func `a proxy refuses certificates of another root`() throws {
        let peers = try MeshPeers.shared()
        let other = try Authority(now: peers.host.wall)
        let credentials = try other.credentials(Self.identity("near"))
        try peers.put("foreign.pem", Array(credentials.leaf.pem.utf8), in: peers.bare)
        try peers.put("foreign-key.pem", Array(credentials.key.pem.utf8), in: peers.bare)
        try peers.put("foreign-chain.pem", Array(other.issuer.certificate.pem.utf8), in: peers.bare)
        let result = try ask(
            peers, peers.far, ["-servername", Self.identity("far"), "-cert", "/run/foreign.pem", "-key", "/run/foreign-key.pem", "-cert_chain", "/run/foreign-chain.pem"])
        #expect(!result.output.contains("HTTP/1.1 200") && result.errors.contains("alert unknown ca"), "\(result)")
    }

    /// `openssl s_server` as an application in a pod; its root is where `near` sees it.
    private func application(_ peers: MeshPeers, _ pod: LocalPod) throws {
        if peers.isServing(.tls, in: pod) { return }
        let authority = try Authority(now: peers.host.wall)
        let credentials = try authority.credentials("app.example")
        try peers.put("app.pem", Array(credentials.leaf.pem.utf8), in: pod)
        try peers.put("app-key.pem", Array(credentials.key.pem.utf8), in: pod)
        try peers.put("app-chain.pem", Array(authority.issuer.certificate.pem.utf8), in: pod)
        try peers.put("app-root-\(pod.name).pem", Array(authority.root.certificate.pem.utf8), in: peers.near)
        try peers.serve(.tls, in: pod, "openssl", ["s_server", "-accept", "\(MeshPeers.Port.tls.rawValue)", "-cert", "/run/app.pem", "-key", "/run/app-key.pem", "-cert_chain", "/run/app-chain.pem", "-rev"])
    }

    @Test(arguments: HTTP1PeerTests.Callee.allCases) func `an application's own TLS passes through as it is`(_ callee: HTTP1PeerTests.Callee) throws {
        let peers = try MeshPeers.shared()
        let pod = callee.pod(peers)
        try application(peers, pod)
        let result = try peers.run(
            "openssl",
            ["s_client", "-connect", peers.authority(pod, .tls), "-servername", "app.example", "-verify_hostname", "app.example", "-verify_return_error", "-CAfile", "/run/app-root-\(pod.name).pem", "-brief", "-ign_eof"],
            in: peers.near, input: "drawer\nCLOSE\n")
        #expect(result.output.contains("reward") && (result.output + result.errors).contains("Verification: OK"), "\(result)")
    }

    @Test(arguments: HTTP1PeerTests.Callee.allCases, [false, true]) func `a ClientHello is known in every split`(_ callee: HTTP1PeerTests.Callee, _ newerLibrary: Bool) throws {
        let peers = try MeshPeers.shared()
        let pod = callee.pod(peers)
        try application(peers, pod)
        let program = try Programs.program("hellos.py", ["\(pod.name).peers.svc.cluster.local", "\(MeshPeers.Port.tls.rawValue)", "/run/app-root-\(pod.name).pem", "app.example"], newerLibrary: newerLibrary)
        let result = try peers.cluster.run(program, in: peers.near)
        #expect(result.status == 0 && result.output.contains(" splits, 0 failures"), "\(result)")
    }

    @Test func `a proxy with a newer OpenSSL prefers the hybrid and speaks with older ones`() throws {
        let peers = try MeshPeers.shared()
        let future = peers.future!
        #expect(try peers.metrics(of: future).sum("rustls_info", ["tls_kx_groups": "X25519MLKEM768,X25519,secp256r1"]) == 1)
        #expect(try peers.metrics(of: peers.far).sum("rustls_info", ["tls_kx_groups": TLSLibrary.groups.map { $0 == "P-256" ? "secp256r1" : $0 }.joined(separator: ",")]) == 1)
        // A client that knows nothing but the hybrid.
        let hybrid = try ask(peers, future, ["-servername", Self.identity("future"), "-groups", "X25519MLKEM768"], newerLibrary: true)
        #expect(hybrid.output.contains("HTTP/1.1 200"), "\(hybrid)")
        let classical = try ask(peers, future, ["-servername", Self.identity("future"), "-groups", "X25519"])
        #expect(classical.output.contains("HTTP/1.1 200"), "\(classical)")
        for (caller, callee) in [(peers.near!, future), (future, peers.far!)] {
            try peers.serve(.origin, in: callee, "origin.py", ["\(MeshPeers.Port.origin.rawValue)"])
            let result = try peers.run("curl", ["-sS", "--max-time", "20", "-w", "%{http_code}", "-o", "/run/body", peers.url(callee, .origin, "/echo")], in: caller)
            #expect(result.output == "200\n", "\(result)")
            let body = String(decoding: try peers.host.files.read("\(caller.run)/body"), as: UTF8.self)
            #expect(body.contains(Self.identity(caller.name)), "\(body)")
        }
    }
}
