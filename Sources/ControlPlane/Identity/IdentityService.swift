// The identity service: a certificate for whoever proves by a service account token to be the name it asks for. The order of
// the checks and their statuses are Linkerd's. Serial numbers are unguessable, unlike upstream's counter.
// Source: linkerd2 pkg/identity/service.go, controller/identity/validator.go, shared facts on the control plane 4.

import Base
import GRPC
import MeshAPI
import TLS

/// Asks the API server whose token it is.
public protocol TokenReviewer: AnyObject {
    /// Answers later or at once, exactly once.
    func review(token: String, audiences: [String], _ answer: @escaping (Result<TokenReview, TokenReviewFailure>) -> Void)
}

public struct TokenReview: Equatable, Sendable {
    public var isAuthenticated: Bool
    /// `system:serviceaccount:<namespace>:<name>` for a service account.
    public var username: String
    /// The API server's complaint; empty if none.
    public var error: String

    public init(isAuthenticated: Bool, username: String, error: String = "") {
        self.isAuthenticated = isAuthenticated
        self.username = username
        self.error = error
    }
}

public struct TokenReviewFailure: Error, Equatable, Sendable {
    public var reason: String
    public init(_ reason: String) { self.reason = reason }
}

/// Something that people should find in `kubectl get events`.
public struct IdentityEvent: Equatable, Sendable {
    public enum Subject: Equatable, Sendable {
        case issuerDeployment
        case serviceAccount(namespace: String, name: String)
    }

    public var subject: Subject
    public var isWarning: Bool
    public var reason: String
    public var message: String
}

public struct IdentityOptions: Sendable {
    public var controllerNamespace = "linkerd"
    public var trustDomain = "cluster.local"
    /// Source: linkerd2 charts `identity.issuer.issuanceLifetime`.
    public var lifetime = Interval.hours(24)
    /// Source: linkerd2 charts `identity.issuer.clockSkewAllowance`; the code's own default is 10 s.
    public var clockSkew = Interval.seconds(20)

    public init() {}
}

public final class IdentityService {
    /// The audience of the tokens that the injector mounts.
    public static let audience = "identity.l5d.io"

    private let options: IdentityOptions
    private var anchors: TrustAnchors
    private let reviewer: any TokenReviewer
    private let wall: () -> WallTime
    private let record: (IdentityEvent) -> Void
    /// nil until one could be loaded: every call is answered UNAVAILABLE.
    public private(set) var issuer: CertificateAuthority?

    public init(options: IdentityOptions, anchors: TrustAnchors, reviewer: any TokenReviewer, wall: @escaping () -> WallTime, record: @escaping (IdentityEvent) -> Void) {
        self.options = options
        self.anchors = anchors
        self.reviewer = reviewer
        self.wall = wall
        self.record = record
    }

    /// Takes over what was loaded; the same certificate changes nothing.
    public func update(issuer loaded: CertificateAuthority) {
        if let issuer, issuer.certificate == loaded.certificate, issuer.intermediates == loaded.intermediates { return }
        let isFirst = issuer == nil
        issuer = loaded
        if !isFirst { record(IdentityEvent(subject: .issuerDeployment, isWarning: false, reason: "IssuerUpdated", message: "Updated identity issuer")) }
    }

    /// What the issuer must lead to from now on.
    public func update(anchors newest: TrustAnchors) { anchors = newest }

    /// New files cannot be used: the old issuer stays.
    public func skipped(issuer refusal: Refusal) {
        record(IdentityEvent(subject: .issuerDeployment, isWarning: true, reason: "IssuerUpdateSkipped", message: "Skipping issuer update as certs could not be read from disk: \(refusal.reason)"))
    }

    /// Answers `Certify`. The token review may take its time; everything else is done at once.
    public func certify(_ request: Mesh.Identity.CertifyRequest, _ answer: @escaping (Result<Mesh.Identity.CertifyResponse, GRPCStatus>) -> Void) {
        do throws(GRPCStatus) {
            let (csr, authority) = try check(request)
            review(request, retriesWithoutAudience: true) { result in
                answer(result.flatMap { account in self.issue(request.identity, csr, authority, account) })
            }
        } catch { answer(.failure(error)) }
    }

    // MARK: Checks, in order

    private func check(_ request: Mesh.Identity.CertifyRequest) throws(GRPCStatus) -> (CertificateSigningRequest, CertificateAuthority) {
        guard let issuer else { throw GRPCStatus(.unavailable, "cert issuer not ready yet") }
        if request.identity.isEmpty { throw GRPCStatus(.invalidArgument, "missing identity") }
        if request.token.isEmpty { throw GRPCStatus(.invalidArgument, "missing token") }
        if request.certificateSigningRequest.isEmpty { throw GRPCStatus(.invalidArgument, "missing certificate_signing_request") }
        let csr: CertificateSigningRequest
        do { csr = try CertificateSigningRequest(der: request.requestBytes) } catch { throw GRPCStatus(.invalidArgument, error.rule) }
        do { try IssuerFiles.verify(issuer, anchors: anchors, at: wall()) } catch {
            record(IdentityEvent(subject: .issuerDeployment, isWarning: true, reason: "IssuerValidationFailed", message: "Failed to validate issuer credentials: \(error.rule)"))
            throw GRPCStatus(.unknown, "the issuer's certificate is not valid: \(error.rule)")
        }
        if let complaint = Self.complaint(csr, request.identity) { throw GRPCStatus(.failedPrecondition, complaint) }
        return (csr, issuer)
    }

    /// What is wrong with a request for this identity; nil if nothing.
    private static func complaint(_ csr: CertificateSigningRequest, _ identity: String) -> String? {
        let names = csr.names
        if names.count != 1 || names.dns.count != 1 { return "the CSR must have exactly one DNS name and no other, it has \(names.count) names" }
        if names.dns[0] != identity { return "the CSR is for \(names.dns[0].prefix(300)), not for the requested identity" }
        if let name = csr.subjectCommonName, !name.isEmpty, name != identity { return "the CSR's common name is not the requested identity" }
        // SubjectPublicKeyInfo of an uncompressed P-256 point (RFC 5480 section 2).
        let p256: [UInt8] = [0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00]
        return csr.publicKey.starts(with: p256) ? nil : "the CSR's key must be ECDSA P-256"
    }

    private func review(_ request: Mesh.Identity.CertifyRequest, retriesWithoutAudience: Bool, _ then: @escaping (Result<Account, GRPCStatus>) -> Void) {
        guard let token = String(validating: request.tokenBytes, as: UTF8.self) else { return then(.failure(GRPCStatus(.invalidArgument, "the token is not text"))) }
        reviewer.review(token: token, audiences: retriesWithoutAudience ? [Self.audience] : []) { [self] result in
            switch result {
            case .failure(let failure): then(.failure(GRPCStatus(.internal, "token review failed: \(failure.reason)")))
            // An API server without the audience configured says so; tokens of older injectors carry none.
            case .success(let review) where review.error.contains("audience") && retriesWithoutAudience: self.review(request, retriesWithoutAudience: false, then)
            case .success(let review) where !review.error.isEmpty: then(.failure(GRPCStatus(.invalidArgument, "token review: \(review.error)")))
            case .success(let review) where !review.isAuthenticated: then(.failure(GRPCStatus(.failedPrecondition, "token could not be authenticated")))
            case .success(let review):
                guard let account = Account(username: review.username) else { return then(.failure(GRPCStatus(.invalidArgument, "the token is not a service account's: \(review.username)"))) }
                then(.success(account))
            }
        }
    }

    private struct Account {
        var namespace: String
        var name: String

        init?(username: String) {
            let parts = username.split(separator: ":", omittingEmptySubsequences: false).map(String.init)
            guard parts.count == 4, parts[0] == "system", parts[1] == "serviceaccount", !parts[2].isEmpty, !parts[3].isEmpty, !parts[2].contains("."), !parts[3].isEmpty else { return nil }
            namespace = parts[2]
            name = parts[3]
        }
    }

    // MARK: Issuing

    private func issue(_ identity: String, _ csr: CertificateSigningRequest, _ authority: CertificateAuthority, _ account: Account) -> Result<Mesh.Identity.CertifyResponse, GRPCStatus> {
        let proven = "\(account.name).\(account.namespace).serviceaccount.identity.\(options.controllerNamespace).\(options.trustDomain)"
        guard proven == identity else { return .failure(GRPCStatus(.failedPrecondition, "requested identity did not match provided token: requested=\(identity); found=\(proven)")) }
        let now = wall()
        do {
            // The authority clips the end to its chain's.
            let leaf = try authority.issue(csr, validity: (now - options.clockSkew)...(now + options.lifetime + options.clockSkew))
            var response = Mesh.Identity.CertifyResponse(leaf: leaf.der, intermediates: authority.chain.map(\.der))
            response.validUntil = Mesh.timestamp(leaf.notAfter)
            let digest = leaf.sha256.map { byte in (byte < 16 ? "0" : "") + String(byte, radix: 16) }.joined()
            record(
                IdentityEvent(
                    subject: .serviceAccount(namespace: account.namespace, name: account.name), isWarning: false, reason: "IssuedLeafCertificate",
                    message: "issued certificate for \(identity) until \(leaf.notAfter): \(digest)"))
            return .success(response)
        } catch { return .failure(GRPCStatus(.internal, error.reason)) }
    }
}
