// Routes of a service profile: the first whose condition holds takes the request and names it in metrics; its response classes say
// what counts as a failure. Source: linkerd2-proxy linkerd/service-profiles/src/http; facts 2.14, 5.6.

import Base
import GRPC
import HTTP
import Platform

final class ProfileRoutes {
    final class Route {
        let condition: Prepared
        let profile: ServiceProfile.Route
        /// Requests of this route may need more than forwarding.
        let hasPlan: Bool
        /// `route_…`: what the application saw.
        let series: RequestSeries
        /// `route_actual_…`: what each attempt saw.
        let actual: RequestSeries
        let retries: ProfileRetries

        fileprivate init(_ profile: ServiceProfile.Route, series: RequestSeries, actual: RequestSeries, retries: ProfileRetries) {
            self.retries = retries
            condition = Prepared(profile.condition)
            self.profile = profile
            hasPlan = profile.isRetryable || profile.timeout != nil
            self.series = series
            self.actual = actual
        }

        /// By the classes of the profile; nil: none of them fits.
        func isFailure(status: UInt16) -> Bool? { profile.responseClasses.first { $0.condition.matches(status) }?.isFailure }
    }

    /// A condition with its expressions compiled. One that cannot be compiled matches nothing.
    indirect enum Prepared {
        case all([Prepared]), any([Prepared]), not(Prepared)
        case path(RegularExpression)
        case method(HTTPMethod)
        case never

        init(_ condition: ServiceProfile.Route.Condition) {
            switch condition {
            case .all(let parts): self = .all(parts.map(Prepared.init))
            case .any(let parts): self = .any(parts.map(Prepared.init))
            case .not(let part): self = .not(Prepared(part))
            case .method(let method): self = .method(method)
            case .path(let text):
                do throws(Refusal) { self = .path(try RegularExpression(text)) } catch { self = .never }
            }
        }

        /// Every path that it takes begins with this segment; nil: it names none.
        var firstSegment: Substring? {
            switch self {
            case .all(let parts): parts.lazy.compactMap(\.firstSegment).first
            case .path(let expression): expression.firstSegment
            case .any, .not, .method, .never: nil
            }
        }

        func matches(_ method: HTTPMethod, _ path: Substring) -> Bool {
            switch self {
            case .all(let parts): parts.allSatisfy { $0.matches(method, path) }
            case .any(let parts): parts.contains { $0.matches(method, path) }
            case .not(let part): !part.matches(method, path)
            case .method(let wanted): method == wanted
            // Expressions of profiles are anchored at both ends.
            case .path(let expression): expression.matchesWhole(path)
            case .never: false
            }
        }
    }

    private let routes: [Route]
    private let rest: Route
    /// Indices into `routes`, in order, by the first segment of the path that they name; look-up only.
    private var bySegment: [Substring: [Int]] = [:]
    /// Those that a path's first segment does not decide, in order.
    private var others: [Int] = []

    /// `name` is the profile's `name:port`.
    init(_ profile: ServiceProfile, name: String, direction: String, registry: MetricsRegistry) {
        func made(_ route: ServiceProfile.Route) -> Route {
            let labels = [("direction", direction), ("dst", name)] + route.labels.map { ("rt_" + $0.name, $0.value) }
            return Route(route, series: RequestSeries(registry, Families.profileRequests, labels), actual: RequestSeries(registry, Families.profileAttempts, labels),
                retries: ProfileRetries(registry, labels))
        }
        routes = profile.routes.map(made)
        rest = made(ServiceProfile.Route(condition: .all([])))
        for (i, route) in routes.enumerated() {
            if let segment = route.condition.firstSegment { bySegment[segment, default: []].append(i) } else { others.append(i) }
        }
    }

    /// The route of a request, or the one that stands for all others.
    func find(_ head: RequestHead) -> Route {
        let path = RouteTable.split(head.path.description).path
        let named = RouteTable.firstSegment(path).flatMap { bySegment[$0] } ?? []
        // The first of the list, whichever index it stands in.
        var (n, o) = (0, 0)
        while n < named.count || o < others.count {
            let isNamed = o == others.count || (n < named.count && named[n] < others[o])
            let route = routes[isNamed ? named[n] : others[o]]
            if isNamed { n += 1 } else { o += 1 }
            if route.condition.matches(head.method, path) { return route }
        }
        return rest
    }
}

extension ServiceProfile.Route.ResponseClass.Condition {
    func matches(_ status: UInt16) -> Bool {
        switch self {
        case .all(let parts): parts.allSatisfy { $0.matches(status) }
        case .any(let parts): parts.contains { $0.matches(status) }
        case .not(let part): !part.matches(status)
        case .status(let range): range.contains(status)
        }
    }
}
