// ServiceProfile objects to the API's routes. A route that lacks its name or condition, or has one that cannot be read, is left
// out, and the others stay, as upstream. Source: linkerd2 controller/api/destination/profile_translator.go.

import Base
import Documents
import Kube
import MeshAPI
import SwiftProtobuf

extension Cluster.ServiceProfile {
    init(_ object: KubeObject) {
        self.init(name: Cluster.Name(object))
        routes = object.spec.items("routes").compactMap { Self.route($0) }
        if let budget = object.spec.member("retryBudget") { retryBudget = Self.budget(budget) }
        overrides = object.spec.items("dstOverrides").compactMap { item in
            guard let authority = item.text("authority"), let weight = Self.weight(item.member("weight")) else { return nil }
            return Mesh.Destination.WeightedDst.with {
                $0.authority = authority
                $0.weight = weight
            }
        }
    }

    private static func route(_ value: Value) -> Mesh.Destination.Route? {
        guard let name = value.text("name"), let condition = value.member("condition"), let match = request(condition) else { return nil }
        var route = Mesh.Destination.Route()
        route.condition = match
        route.metricsLabels = ["route": name]
        route.isRetryable = value.flag("isRetryable") ?? false
        // What is no duration counts as none.
        if let timeout = value.text("timeout").flatMap({ goDuration($0) }), timeout > .zero { route.timeout = Mesh.duration(timeout) }
        for item in value.items("responseClasses") {
            guard let condition = item.member("condition"), let match = response(condition) else { return nil }
            var response = Mesh.Destination.ResponseClass()
            response.condition = match
            response.isFailure = item.flag("isFailure") ?? false
            route.responseClasses.append(response)
        }
        return route
    }

    /// Every field that is set must match. nil: none is set, here or deeper.
    private static func request(_ value: Value) -> Mesh.Destination.RequestMatch? {
        var matches: [Mesh.Destination.RequestMatch] = []
        for list in ["all", "any"] where value.member(list) != nil {
            let inner = value.items(list).map { request($0) }
            guard inner.allSatisfy({ $0 != nil }) else { return nil }
            var match = Mesh.Destination.RequestMatch()
            if list == "all" { match.all.matches = inner.compactMap { $0 } } else { match.any.matches = inner.compactMap { $0 } }
            matches.append(match)
        }
        if let method = value.text("method"), !method.isEmpty {
            var match = Mesh.Destination.RequestMatch()
            match.method = Mesh.HTTPTypes.HttpMethod(named: method)
            matches.append(match)
        }
        if let not = value.member("not") {
            guard let inner = request(not) else { return nil }
            var match = Mesh.Destination.RequestMatch()
            match.not = inner
            matches.append(match)
        }
        if let regex = value.text("pathRegex"), !regex.isEmpty {
            var match = Mesh.Destination.RequestMatch()
            match.path.regex = regex
            matches.append(match)
        }
        if matches.count < 2 { return matches.first }
        var match = Mesh.Destination.RequestMatch()
        match.all.matches = matches
        return match
    }

    private static func response(_ value: Value) -> Mesh.Destination.ResponseMatch? {
        var matches: [Mesh.Destination.ResponseMatch] = []
        for list in ["all", "any"] where value.member(list) != nil {
            let inner = value.items(list).map { response($0) }
            guard inner.allSatisfy({ $0 != nil }) else { return nil }
            var match = Mesh.Destination.ResponseMatch()
            if list == "all" { match.all.matches = inner.compactMap { $0 } } else { match.any.matches = inner.compactMap { $0 } }
            matches.append(match)
        }
        if let status = value.member("status") {
            let min = status.number("min").flatMap { UInt32(exactly: $0) } ?? 0
            let max = status.number("max").flatMap { UInt32(exactly: $0) } ?? 0
            if min == 0, max == 0 { return nil }
            var match = Mesh.Destination.ResponseMatch()
            // One bound alone means that very status.
            match.status.min = min == 0 ? max : min
            match.status.max = max == 0 ? min : max
            matches.append(match)
        }
        if let not = value.member("not") {
            guard let inner = response(not) else { return nil }
            var match = Mesh.Destination.ResponseMatch()
            match.not = inner
            matches.append(match)
        }
        if matches.count < 2 { return matches.first }
        var match = Mesh.Destination.ResponseMatch()
        match.all.matches = matches
        return match
    }

    private static func budget(_ value: Value) -> Mesh.Destination.RetryBudget {
        var budget = Mesh.Destination.RetryBudget()
        switch value.member("retryRatio") {
        case .double(let ratio)?: budget.retryRatio = Float(ratio)
        case .int(let ratio)?: budget.retryRatio = Float(ratio)
        default: break
        }
        budget.minRetriesPerSecond = value.number("minRetriesPerSecond").flatMap { UInt32(exactly: $0) } ?? 0
        if let ttl = value.text("ttl").flatMap({ goDuration($0) }) { budget.ttl = Mesh.duration(ttl) }
        return budget
    }

    /// A quantity; the API takes ten thousandths.
    /// Ten for each thousandth, as the API weighs.
    fileprivate static func weight(_ value: Value?) -> UInt32? {
        let milli: Int64? =
            switch value {
            case .int(let number)?: number >= 0 && number <= 400_000 ? number * 1000 : nil
            case .double(let number)?: number >= 0 && number <= 400_000 ? Int64((number * 1000).rounded(.up)) : nil
            case .string(let text)?: quantityMilli(text)
            default: nil
            }
        return milli.flatMap { UInt32(exactly: $0 * 10) }
    }
}

extension Cluster.TrafficSplit {
    /// nil: it divides nobody's traffic. A backend whose weight cannot be read gets nothing.
    init?(_ object: KubeObject) {
        guard let service = object.spec.text("service"), !service.isEmpty else { return nil }
        self.init(name: Cluster.Name(object), createdAt: object.createdAt ?? WallTime(seconds: 0), service: service)
        backends = object.spec.items("backends").compactMap { item in
            item.text("service").map { Backend(service: $0, weight: Cluster.ServiceProfile.weight(item.member("weight")) ?? 0) }
        }
    }
}

extension Mesh.HTTPTypes.HttpMethod {
    /// A method that the API has a number for, else its name.
    init(named name: String) {
        self.init()
        switch name {
        case "GET": registered = .get
        case "POST": registered = .post
        case "PUT": registered = .put
        case "DELETE": registered = .delete
        case "PATCH": registered = .patch
        case "OPTIONS": registered = .options
        case "CONNECT": registered = .connect
        case "HEAD": registered = .head
        case "TRACE": registered = .trace
        default: unregistered = name
        }
    }
}
