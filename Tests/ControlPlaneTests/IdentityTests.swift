// The identity service: every check with its status and in its order, what is issued, and issuers that come and go.

import Base
import ControlPlane
import GRPC
import MeshAPI
import Platform
import TLS
import Testing

private let identity = "web.books.serviceaccount.identity.linkerd.cluster.local"
private let now = WallTime(seconds: 1_800_000_000)

private final class ScriptedReviewer: TokenReviewer {
    var answers: [Result<TokenReview, TokenReviewFailure>] = [.success(TokenReview(isAuthenticated: true, username: "system:serviceaccount:books:web"))]
    var asked: [[String]] = []

    func review(token: String, audiences: [String], _ answer: @escaping (Result<TokenReview, TokenReviewFailure>) -> Void) {
        asked.append(audiences)
        answer(answers.count > 1 ? answers.removeFirst() : answers[0])
    }
}

private final class World {
    let reviewer = ScriptedReviewer()
    let root: CertificateAuthority
    let service: IdentityService
    var events: [IdentityEvent] = []
    var wall = now

    init(issuer: Bool = true) throws {
        bindRandomness()
        root = try CertificateAuthority.selfSignedRoot(name: "root.linkerd.cluster.local", validity: (now - .hours(1))...(now + .days(30)))
        var record: (IdentityEvent) -> Void = { _ in }
        var wall: () -> WallTime = { now }
        service = IdentityService(options: IdentityOptions(), anchors: TrustAnchors([root.certificate]), reviewer: reviewer, wall: { wall() }, record: { record($0) })
        record = { [unowned self] in events.append($0) }
        wall = { [unowned self] in self.wall }
        if issuer { service.update(issuer: root) }
    }

    func certify(_ name: String = identity, csr: [UInt8]? = nil, token: String = "token") throws -> Result<Mesh.Identity.CertifyResponse, GRPCStatus> {
        let der = try csr ?? CertificateSigningRequest.make(key: try PrivateKey.generate(), identity: name).der
        var answer: Result<Mesh.Identity.CertifyResponse, GRPCStatus>?
        service.certify(Mesh.Identity.CertifyRequest(identity: name, token: Array(token.utf8), request: der)) { answer = $0 }
        return try #require(answer)
    }

    func code(_ result: Result<Mesh.Identity.CertifyResponse, GRPCStatus>) -> GRPCStatus.Code {
        if case .failure(let status) = result { status.code } else { .ok }
    }
}

@Suite struct IdentityTests {
    @Test func `a leaf is issued for the token's name`() throws {
        let world = try World()
        let response = try world.certify().get()
        let leaf = try Certificate(der: response.leafBytes)
        #expect(leaf.names.identities == [identity])
        #expect(leaf.notBefore == now - .seconds(20) && leaf.notAfter == now + .hours(24) + .seconds(20))
        #expect(WallTime(response.validUntil) == leaf.notAfter)
        #expect(response.intermediateBytes.isEmpty)
        try Certificate.verify(chain: [leaf], anchors: TrustAnchors([world.root.certificate]), at: now, purpose: .client)
        #expect(world.reviewer.asked == [["identity.l5d.io"]])
        #expect(world.events.map(\.reason) == ["IssuedLeafCertificate"] && world.events[0].subject == .serviceAccount(namespace: "books", name: "web"))
        let second = try Certificate(der: try world.certify().get().leafBytes)
        #expect(second.serial != leaf.serial && second.serial.count >= 32)
    }

    @Test func `an intermediate issuer goes along, and its end bounds the leaf's`() throws {
        let world = try World()
        let issuer = try world.root.issueIntermediate(name: "issuer.linkerd.cluster.local", validity: (now - .hours(1))...(now + .hours(2)))
        world.service.update(issuer: issuer)
        #expect(world.events.map(\.reason) == ["IssuerUpdated"])
        world.service.update(issuer: issuer)
        #expect(world.events.count == 1)
        let response = try world.certify().get()
        let leaf = try Certificate(der: response.leafBytes)
        #expect(leaf.notAfter == now + .hours(2) && response.intermediateBytes == [issuer.certificate.der])
        try Certificate.verify(chain: [leaf, issuer.certificate], anchors: TrustAnchors([world.root.certificate]), at: now)
    }

    @Test func `without an issuer nobody is served`() throws {
        let world = try World(issuer: false)
        #expect(world.code(try world.certify()) == .unavailable)
        #expect(world.code(try world.certify(token: "")) == .unavailable)
    }

    @Test func `missing fields and malformed requests are invalid arguments`() throws {
        let world = try World()
        #expect(world.code(try world.certify(token: "")) == .invalidArgument)
        #expect(world.code(try world.certify(csr: [])) == .invalidArgument)
        #expect(world.code(try world.certify(csr: [0x30, 0])) == .invalidArgument)
        let good = try CertificateSigningRequest.make(key: try PrivateKey.generate(), identity: identity).der
        #expect(world.code(try world.certify("", csr: good)) == .invalidArgument)
        var broken = good
        broken[good.count - 1] ^= 1
        #expect(world.code(try world.certify(csr: broken)) == .invalidArgument)
        #expect(world.reviewer.asked.isEmpty)
    }

    @Test func `an expired issuer is told to people and refuses everybody`() throws {
        let world = try World()
        world.wall = now + .days(31)
        #expect(world.code(try world.certify()) == .unknown)
        #expect(world.events.map(\.reason) == ["IssuerValidationFailed"] && world.events[0].isWarning)
    }

    @Test func `a request for another name, or a token for another, fails the precondition`() throws {
        let world = try World()
        let other = "other.books.serviceaccount.identity.linkerd.cluster.local"
        let csr = try CertificateSigningRequest.make(key: try PrivateKey.generate(), identity: other).der
        #expect(world.code(try world.certify(identity, csr: csr)) == .failedPrecondition)
        #expect(world.reviewer.asked.isEmpty)
        #expect(world.code(try world.certify(other)) == .failedPrecondition)
        #expect(world.reviewer.asked.count == 1)
        let spiffe = try CertificateSigningRequest.make(key: try PrivateKey.generate(), identity: "spiffe://root/x").der
        #expect(world.code(try world.certify("spiffe://root/x", csr: spiffe)) == .failedPrecondition)
        #expect(world.events.isEmpty)
    }

    @Test(arguments: [
        (TokenReview(isAuthenticated: false, username: ""), GRPCStatus.Code.failedPrecondition),
        (TokenReview(isAuthenticated: false, username: "", error: "token has expired"), .invalidArgument),
        (TokenReview(isAuthenticated: true, username: "kubernetes-admin"), .invalidArgument),
        (TokenReview(isAuthenticated: true, username: "system:serviceaccount:books"), .invalidArgument),
        (TokenReview(isAuthenticated: true, username: "system:serviceaccount:books:web:x"), .invalidArgument),
        (TokenReview(isAuthenticated: true, username: "system:serviceaccount::web"), .invalidArgument),
        (TokenReview(isAuthenticated: true, username: "system:serviceaccount:shop:web"), .failedPrecondition),
    ])
    func `a review that does not prove the name has its status`(_ review: TokenReview, _ code: GRPCStatus.Code) throws {
        let world = try World()
        world.reviewer.answers = [.success(review)]
        #expect(world.code(try world.certify()) == code)
    }

    @Test func `a dot in an account's name cannot stand for another namespace`() throws {
        let world = try World()
        // Account `web.books` in namespace `x` and account `web` in namespace `books.x` would spell the same name.
        world.reviewer.answers = [.success(TokenReview(isAuthenticated: true, username: "system:serviceaccount:books.x:web"))]
        #expect(world.code(try world.certify("web.books.x.serviceaccount.identity.linkerd.cluster.local")) == .invalidArgument)
    }

    @Test func `a failed review is ours, a complaint about audiences is asked again without`() throws {
        let world = try World()
        world.reviewer.answers = [.failure(TokenReviewFailure("connection refused"))]
        #expect(world.code(try world.certify()) == .internal)
        world.reviewer.asked = []
        world.reviewer.answers = [.success(TokenReview(isAuthenticated: false, username: "", error: "token audiences are invalid")), .success(TokenReview(isAuthenticated: true, username: "system:serviceaccount:books:web"))]
        #expect(world.code(try world.certify()) == .ok)
        #expect(world.reviewer.asked == [["identity.l5d.io"], []])
        world.reviewer.answers = [.success(TokenReview(isAuthenticated: false, username: "", error: "token audiences are invalid"))]
        #expect(world.code(try world.certify()) == .invalidArgument)
    }
}

private final class TableFiles: Files {
    var contents: [String: [UInt8]] = [:]
    func read(_ path: String) throws(HostFailure) -> [UInt8] {
        guard let bytes = contents[path] else { throw HostFailure("read", .notFound, subject: path) }
        return bytes
    }
    func list(_ directory: String) throws(HostFailure) -> [String] { throw HostFailure("list", .notFound, subject: directory) }
    func write(_ path: String, _ bytes: [UInt8], mode: UInt32) throws(HostFailure) { contents[path] = bytes }
}

@Suite struct IssuerFilesTests {
    @Test(arguments: IssuerScheme.allCases) func `both spellings of the secret are read`(_ scheme: IssuerScheme) throws {
        bindRandomness()
        let root = try CertificateAuthority.selfSignedRoot(name: "root", validity: now...(now + .days(1)))
        let issuer = try root.issueIntermediate(name: "issuer", validity: now...(now + .days(1)))
        let files = TableFiles()
        let (certificate, key) = scheme == .linkerd ? ("/i/crt.pem", "/i/key.pem") : ("/i/tls.crt", "/i/tls.key")
        files.contents = [certificate: Array(issuer.certificate.pem.utf8), key: Array(issuer.key.pem.utf8)]
        let anchors = TrustAnchors([root.certificate])
        #expect(try IssuerFiles.load(files, directory: "/i", scheme: scheme, anchors: anchors, at: now).certificate == issuer.certificate)

        func refusal(_ change: (TableFiles) throws -> Void, at time: WallTime = now, anchors: TrustAnchors = anchors) throws -> String? {
            let copy = TableFiles()
            copy.contents = files.contents
            try change(copy)
            do {
                _ = try IssuerFiles.load(copy, directory: "/i", scheme: scheme, anchors: anchors, at: time)
                return nil
            } catch { return error.reason }
        }
        #expect(try refusal { $0.contents[key] = nil }?.contains("not found") == true)
        #expect(try refusal { $0.contents[certificate] = [1, 2] } != nil)
        #expect(try refusal { $0.contents[key] = Array(root.key.pem.utf8) } != nil)
        let leaf = try root.issueCredentials(identity: "leaf.x", validity: now...(now + .days(1)))
        #expect(try refusal { $0.contents = [certificate: Array(leaf.leaf.pem.utf8), key: Array(leaf.key.pem.utf8)] } != nil)
        #expect(try refusal({ _ in }, at: now + .days(2)) != nil)
        let stranger = try CertificateAuthority.selfSignedRoot(name: "other", validity: now...(now + .days(1)))
        #expect(try refusal({ _ in }, anchors: TrustAnchors([stranger.certificate])) != nil)
    }
}
