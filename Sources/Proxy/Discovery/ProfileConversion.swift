// From a DestinationProfile to a service profile. A route or class that cannot be understood is left out, the rest holds.
// Source: linkerd2-proxy linkerd/service-profiles/src/proto.rs; shared facts on the data plane 2.2, 2.12 (b), 2.14.

import Base
import HTTP
import MeshAPI

extension ServiceProfile {
    init(_ message: Mesh.Destination.DestinationProfile) {
        self.init()
        let name = message.fullyQualifiedName
        fullyQualifiedName = name.isEmpty ? nil : name.hasSuffix(".") ? String(name.dropLast()) : name
        isOpaque = message.opaqueProtocol
        endpoint = message.hasEndpoint ? Endpoint(message.endpoint) : nil
        routes = message.routes.compactMap { Route($0) }
        overrides = message.dstOverrides.compactMap { override in
            guard override.weight > 0, let authority = Authority(override.authority) else { return nil }
            return (authority.withoutTrailingDot.description, override.weight)
        }
        if message.hasRetryBudget, let budget = Budget(message.retryBudget) {
            self.budget = budget
        } else {
            // Without a budget nothing is retried.
            for i in routes.indices { routes[i].isRetryable = false }
        }
    }
}

extension ServiceProfile.Budget {
    /// Bounds: ratio up to 1000, a rate that fits 31 bits, a time of 1 to 60 s. Source: linkerd2-proxy service-profiles, set_route_retry.
    init?(_ message: Mesh.Destination.RetryBudget) {
        guard message.retryRatio >= 0, message.retryRatio <= 1000, message.minRetriesPerSecond <= UInt32(Int32.max), message.hasTtl,
            let ttl = Interval(message.ttl), ttl >= .seconds(1), ttl <= .seconds(60)
        else { return nil }
        self.init(ratioPermille: UInt32((message.retryRatio * 1000).rounded()), retriesPerSecondMin: message.minRetriesPerSecond, ttl: ttl)
    }
}

extension ServiceProfile.Route {
    init?(_ message: Mesh.Destination.Route) {
        guard message.hasCondition, let condition = Condition(message.condition) else { return nil }
        self.init(condition: condition)
        labels = Label.list(message.metricsLabels)
        responseClasses = message.responseClasses.compactMap { ResponseClass($0) }
        isRetryable = message.isRetryable
        if message.hasTimeout, let timeout = Interval(message.timeout), timeout > .zero { self.timeout = timeout }
    }
}

extension ServiceProfile.Route.Condition {
    init?(_ message: Mesh.Destination.RequestMatch) {
        switch message.match {
        case .all(let list):
            guard let parts = Self.list(list) else { return nil }
            self = .all(parts)
        case .any(let list):
            guard let parts = Self.list(list) else { return nil }
            self = .any(parts)
        case .not(let inner):
            guard let part = Self(inner) else { return nil }
            self = .not(part)
        case .path(let path): self = .path(regex: path.regex)
        case .method(let method):
            guard let method = HTTPMethod(method) else { return nil }
            self = .method(method)
        case nil: return nil
        }
    }

    private static func list(_ message: Mesh.Destination.RequestMatch.Seq) -> [Self]? {
        let parts = message.matches.compactMap { Self($0) }
        return parts.count == message.matches.count ? parts : nil
    }
}

extension ServiceProfile.Route.ResponseClass {
    init?(_ message: Mesh.Destination.ResponseClass) {
        guard message.hasCondition, let condition = Condition(message.condition) else { return nil }
        self.init(condition: condition, isFailure: message.isFailure)
    }
}

extension ServiceProfile.Route.ResponseClass.Condition {
    init?(_ message: Mesh.Destination.ResponseMatch) {
        switch message.match {
        case .all(let list):
            guard let parts = Self.list(list) else { return nil }
            self = .all(parts)
        case .any(let list):
            guard let parts = Self.list(list) else { return nil }
            self = .any(parts)
        case .not(let inner):
            guard let part = Self(inner) else { return nil }
            self = .not(part)
        case .status(let range):
            // One bound absent: the other alone is meant open-ended; both absent mean nothing.
            guard range.min > 0 || range.max > 0 else { return nil }
            let low = range.min == 0 ? 100 : range.min
            let high = range.max == 0 ? 599 : range.max
            guard let low = UInt16(exactly: low), let high = UInt16(exactly: high), low <= high else { return nil }
            self = .status(low...high)
        case nil: return nil
        }
    }

    private static func list(_ message: Mesh.Destination.ResponseMatch.Seq) -> [Self]? {
        let parts = message.matches.compactMap { Self($0) }
        return parts.count == message.matches.count ? parts : nil
    }
}

extension HTTPMethod {
    /// nil: not said, or not a token (RFC 9110 section 5.6.2).
    init?(_ message: Mesh.HTTPTypes.HttpMethod) {
        switch message.type {
        case .registered(let method):
            switch method {
            case .get: self = .get
            case .post: self = .post
            case .put: self = .put
            case .delete: self = .delete
            case .patch: self = .patch
            case .options: self = .options
            case .connect: self = .connect
            case .head: self = .head
            case .trace: self = .trace
            case .UNRECOGNIZED: return nil
            }
        case .unregistered(let text):
            guard !text.isEmpty, text.utf8.count <= 64, text.utf8.allSatisfy({ HTTPGrammar.isTokenByte($0) }) else { return nil }
            self.init(text)
        case nil: return nil
        }
    }
}

/// The two rules of HTTP's grammar that configuration must hold to.
enum HTTPGrammar {
    /// RFC 9110 section 5.6.2.
    static func isTokenByte(_ byte: UInt8) -> Bool {
        switch byte {
        case 48...57, 65...90, 97...122: true
        case 0x21, 0x23, 0x24, 0x25, 0x26, 0x27, 0x2a, 0x2b, 0x2d, 0x2e, 0x5e, 0x5f, 0x60, 0x7c, 0x7e: true
        default: false
        }
    }

    static func isFieldName(_ text: String) -> Bool { !text.isEmpty && text.utf8.allSatisfy(isTokenByte) }

    /// Visible bytes, spaces and tabs (RFC 9110 section 5.5).
    static func isFieldValue(_ bytes: [UInt8]) -> Bool { bytes.allSatisfy { $0 == 9 || ($0 >= 0x20 && $0 != 0x7f) } }
}

extension Authority {
    /// Names are sent to the control plane without the root's dot.
    var withoutTrailingDot: Authority { host.hasSuffix(".") ? Authority(host: String(host.dropLast()), port: port) : self }
}
