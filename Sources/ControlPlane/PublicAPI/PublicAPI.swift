// The API that command lines and dashboards talk to: which version runs, whether the control plane is well, how each of its parts does; and
// the doors to telemetry and tap, which know who asks and whether he may before they open. What stands behind the doors is given by
// whoever has it; without it the answer says so. Source: linkerd2 2.10 controller/api/public, shared facts on the control plane 0 and 7.

import Base
import Kube
import Platform

/// What answers questions about traffic.
public protocol TelemetrySource: AnyObject {
    /// `method` is one of `PublicAPI.telemetryMethods`; body and answer are its protobuf. `answer` is called once, at once or later.
    func answer(_ method: String, namespace: String, body: [UInt8], _ answer: @escaping (Result<[UInt8], PublicError>) -> Void)
}

/// What shows live requests.
public protocol TapSource: AnyObject {
    /// Each piece is one message of the stream; `end` is called once, with nil when all was told. Returns what stops it.
    func tap(_ target: TapTarget, body: [UInt8], piece: @escaping ([UInt8]) -> Void, end: @escaping (PublicError?) -> Void) -> () -> Void
}

/// Whose requests are to be shown.
public struct TapTarget: Sendable, Equatable {
    public var namespace: String
    /// Plural and name; empty: the whole namespace.
    public var resource: String
    public var name: String

    public init(namespace: String, resource: String, name: String) {
        self.namespace = namespace
        self.resource = resource
        self.name = name
    }
}

public final class PublicAPI {
    /// Source: linkerd2 viz/metrics-api/proto/viz.proto.
    public static let telemetryMethods = ["StatSummary", "Edges", "Gateways", "TopRoutes", "ListPods", "ListServices", "Authz"]

    private let client: KubeClient
    private let components: ComponentWatch
    private let limits: ControlPlaneLimits
    private let namespace: String
    private let version: String
    private var looksOpen = 0
    private var askersOpen = 0
    public var telemetry: (any TelemetrySource)?
    public var tap: (any TapSource)?

    /// The parts that a whole control plane has. Source: charts/linkerd-control-plane, names of its containers.
    static let parts = ["destination", "identity", "policy", "proxy-injector", "sp-validator"]

    init(client: KubeClient, components: ComponentWatch, namespace: String, version: String, limits: ControlPlaneLimits) {
        self.client = client
        self.components = components
        self.namespace = namespace
        self.version = version
        self.limits = limits
    }

    func versionInfo() -> VersionInfo { VersionInfo(releaseVersion: version) }

    // MARK: How it does

    func status(_ answer: @escaping (Result<ComponentsResponse, PublicError>) -> Void) {
        guard enter(answer) else { return }
        components.ask { [self] found in
            looksOpen -= 1
            answer(.success(ComponentsResponse(components: found)))
        }
    }

    func selfCheck(_ answer: @escaping (Result<SelfCheckResponse, PublicError>) -> Void) {
        guard enter(answer) else { return }
        var kubernetes: CheckResult?
        var found: [ComponentStatus]?
        let finish = { [self] in
            guard let kubernetes, let found else { return }
            looksOpen -= 1
            answer(.success(SelfCheckResponse(results: [kubernetes] + Self.parts.map { judge($0, found) })))
        }
        client.version { result in
            switch result {
            case .success: kubernetes = CheckResult(subsystem: "kubernetes", description: "control plane can talk to Kubernetes", status: .ok)
            case .failure(let error): kubernetes = CheckResult(subsystem: "kubernetes", description: "control plane can talk to Kubernetes", status: .error, message: "\(error)")
            }
            finish()
        }
        components.ask {
            found = $0
            finish()
        }
    }

    private func enter<Answer>(_ answer: (Result<Answer, PublicError>) -> Void) -> Bool {
        guard looksOpen < limits.selfChecksOpenMax else {
            answer(.failure(PublicError(.tooMany, "\(limits.selfChecksOpenMax) looks at the control plane are under way: ask again soon")))
            return false
        }
        looksOpen += 1
        return true
    }

    private func judge(_ part: String, _ found: [ComponentStatus]) -> CheckResult {
        let mine = found.filter { $0.component == part }
        var result = CheckResult(subsystem: part, description: "\(part) is ready", status: .ok)
        if mine.isEmpty {
            result.status = .fail
            result.message = "no pod in the namespace \(namespace) has a container \(part) with an admin port"
        } else if !mine.contains(where: \.isReady) {
            result.status = .fail
            result.message = mine.map { "\($0.pod): \($0.message)" }.joined(separator: "; ")
        }
        return result
    }

    // MARK: The doors

    /// Who may list the pods of a namespace may know how they fare.
    func telemetry(_ method: String, namespace: String, token: String?, body: [UInt8], _ answer: @escaping (Result<[UInt8], PublicError>) -> Void) {
        guard Self.telemetryMethods.contains(method) else { return answer(.failure(PublicError(.notFound, "there is no method \(method.prefix(100))"))) }
        admit(token, KubeAccess(verb: "list", resource: "pods", namespace: namespace)) { [self] refusal in
            if let refusal { return answer(.failure(refusal)) }
            guard let telemetry else { return answer(.failure(PublicError(.unavailable, "nothing here collects telemetry: install the viz extension"))) }
            telemetry.answer(method, namespace: namespace, body: body, answer)
        }
    }

    /// Who may watch taps of the target, as `linkerd-*-tap-admin` grants it. Source: linkerd2 viz/tap/api/handlers.go.
    func openTap(_ target: TapTarget, token: String?, _ answer: @escaping (Result<any TapSource, PublicError>) -> Void) {
        let access = KubeAccess(
            verb: "watch", group: "tap.linkerd.io", resource: target.resource.isEmpty ? "namespaces" : target.resource, subresource: "tap", namespace: target.namespace,
            name: target.name.isEmpty ? target.namespace : target.name)
        admit(token, access) { [self] refusal in
            if let refusal { return answer(.failure(refusal)) }
            guard let tap else { return answer(.failure(PublicError(.unavailable, "nothing here taps: install the viz extension"))) }
            answer(.success(tap))
        }
    }

    /// nil: he may.
    private func admit(_ token: String?, _ access: KubeAccess, _ answer: @escaping (PublicError?) -> Void) {
        guard let token, !token.isEmpty else { return answer(PublicError(.unauthenticated, "say who you are: authorization: Bearer TOKEN")) }
        guard askersOpen < limits.authorizationsOpenMax else { return answer(PublicError(.tooMany, "\(limits.authorizationsOpenMax) callers are being looked at: ask again soon")) }
        askersOpen += 1
        let done = { [self] (refusal: PublicError?) in
            askersOpen -= 1
            answer(refusal)
        }
        client.reviewToken(token, audiences: []) { [client] result in
            switch result {
            case .failure(let error): done(PublicError(.unavailable, "the API server cannot say whose token this is: \(error)"))
            case .success(let review) where !review.isAuthenticated: done(PublicError(.unauthenticated, review.error.isEmpty ? "the token is nobody's" : "the token is refused: \(review.error)"))
            case .success(let review):
                client.reviewAccess(access, user: review.username, groups: review.groups) { result in
                    switch result {
                    case .failure(let error): done(PublicError(.unavailable, "the API server cannot say what \(review.username) may do: \(error)"))
                    case .success(let allowed) where allowed.isAllowed: done(nil)
                    case .success(let denied):
                        let what = "\(review.username) may not \(access.verb) \(access.resource)\(access.subresource.isEmpty ? "" : "/" + access.subresource) in the namespace \(access.namespace)"
                        done(PublicError(.forbidden, denied.reason.isEmpty ? what : "\(what): \(denied.reason)"))
                    }
                }
            }
        }
    }
}
