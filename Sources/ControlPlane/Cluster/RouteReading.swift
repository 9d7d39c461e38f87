// From route objects to routes. Source: the Gateway API's types; linkerd2 policy-controller k8s/index/src/routes.

import Base
import Documents
import Kube
import MeshAPI
import OrderedCollections
import SwiftProtobuf

extension Cluster.Route {
    /// Never nil: a route that cannot be read still has a status. Parents of other controllers, such as gateways, are left out.
    init(_ object: KubeObject, kind: Kind) {
        self.init(ID(kind, Cluster.Name(object)), createdAt: object.createdAt ?? WallTime(seconds: 0))
        generation = object.generation
        annotations = object.annotations
        hostnames = object.spec.items("hostnames").compactMap { $0.text() }
        let isOurs = kind == .policyHTTP
        parents = object.spec.items("parentRefs").compactMap { value in
            let reference = Reference(value, kind: isOurs ? "Server" : "Gateway", group: isOurs ? "policy.linkerd.io" : "gateway.networking.k8s.io")
            let name = Cluster.Name(reference.namespace ?? object.namespace, reference.name)
            let port = value.number("port").flatMap { UInt16(exactly: $0) }
            // Servers speak for their own namespace only.
            if reference.isServer { return name.namespace == object.namespace ? Parent(.server, name, port: port, written: value) : nil }
            if reference.isService { return Parent(.service, name, port: port, written: value) }
            if reference.isEgressNetwork { return Parent(.egressNetwork, name, port: port, written: value) }
            return nil
        }
        do throws(Refusal) {
            let reader = RuleReader(kind: kind, namespace: object.namespace)
            for rule in object.spec.items("rules") { rules.append(try reader.rule(rule)) }
            // A connection cannot be told apart within.
            if kind == .tls || kind == .tcp, rules.count != 1 { throw Refusal("a \(kind.resource.kind) has exactly one rule, not \(rules.count)") }
        } catch {
            rules = []
            fault = error.reason
        }
    }
}

private struct RuleReader {
    let kind: Cluster.Route.Kind
    let namespace: String

    func rule(_ value: Value) throws(Refusal) -> Cluster.Route.Rule {
        var rule = Cluster.Route.Rule()
        let matches = value.items("matches")
        if kind.isHTTP {
            for match in matches { rule.http.append(try http(match)) }
            if rule.http.isEmpty { rule.http = [Mesh.HTTPRoute.HttpRouteMatch.with { $0.path.prefix = "/" }] }
        } else if kind == .grpc {
            for match in matches { rule.grpc.append(try grpc(match)) }
            if rule.grpc.isEmpty { rule.grpc = [Mesh.GRPCRoute.GrpcRouteMatch()] }
        }
        for item in value.items("filters") { rule.filters.append(try filter(item)) }
        for item in value.items("backendRefs") { rule.backends.append(backend(item)) }
        rule.requestTimeout = try timeout(value.text("timeouts", "request"))
        rule.backendTimeout = try timeout(value.text("timeouts", "backendRequest"))
        return rule
    }

    /// Zero is none.
    private func timeout(_ text: String?) throws(Refusal) -> Interval? {
        guard let text else { return nil }
        guard let time = goDuration(text), time >= .zero else { throw Refusal("the timeout \"\(text.prefix(80))\" is no duration") }
        return time == .zero ? nil : time
    }

    // MARK: Matches

    private func http(_ value: Value) throws(Refusal) -> Mesh.HTTPRoute.HttpRouteMatch {
        var match = Mesh.HTTPRoute.HttpRouteMatch()
        if let path = value.member("path") {
            let text = path.text("value") ?? "/"
            switch path.text("type") ?? "PathPrefix" {
            case "Exact": match.path.exact = text
            case "PathPrefix": match.path.prefix = text
            case "RegularExpression": match.path.regex = text
            case let other: throw Refusal("paths are not matched by \(other.prefix(80))")
            }
            if path.text("type") != "RegularExpression", !text.hasPrefix("/") { throw Refusal("the path \"\(text.prefix(80))\" is not absolute") }
        }
        for item in value.items("headers") { match.headers.append(try header(item)) }
        for item in value.items("queryParams") {
            var parameter = Mesh.HTTPRoute.QueryParamMatch()
            parameter.name = item.text("name") ?? ""
            switch item.text("type") ?? "Exact" {
            case "Exact": parameter.exact = item.text("value") ?? ""
            case "RegularExpression": parameter.regex = item.text("value") ?? ""
            case let other: throw Refusal("query parameters are not matched by \(other.prefix(80))")
            }
            match.queryParams.append(parameter)
        }
        if let method = value.text("method") { match.method = Mesh.HTTPTypes.HttpMethod(named: method) }
        return match
    }

    private func header(_ value: Value) throws(Refusal) -> Mesh.HTTPRoute.HeaderMatch {
        var header = Mesh.HTTPRoute.HeaderMatch()
        header.name = (value.text("name") ?? "").lowercased()
        switch value.text("type") ?? "Exact" {
        case "Exact": return Mesh.HTTPRoute.HeaderMatch(name: header.name, exact: Array((value.text("value") ?? "").utf8))
        case "RegularExpression": header.regex = value.text("value") ?? ""
        case let other: throw Refusal("headers are not matched by \(other.prefix(80))")
        }
        return header
    }

    private func grpc(_ value: Value) throws(Refusal) -> Mesh.GRPCRoute.GrpcRouteMatch {
        var match = Mesh.GRPCRoute.GrpcRouteMatch()
        if let method = value.member("method") {
            guard (method.text("type") ?? "Exact") == "Exact" else { throw Refusal("gRPC methods are matched exactly only, not by \((method.text("type") ?? "").prefix(80))") }
            match.rpc.service = method.text("service") ?? ""
            match.rpc.method = method.text("method") ?? ""
        }
        for item in value.items("headers") { match.headers.append(try header(item)) }
        return match
    }

    // MARK: Filters

    private func filter(_ value: Value) throws(Refusal) -> Cluster.Route.Filter {
        switch value.text("type") ?? "" {
        case "RequestHeaderModifier":
            let (add, set, remove) = headers(value.member("requestHeaderModifier") ?? .null)
            return .requestHeaders(.with { ($0.add, $0.set, $0.remove) = (add, set, remove) })
        case "ResponseHeaderModifier" where kind.isHTTP:
            let (add, set, remove) = headers(value.member("responseHeaderModifier") ?? .null)
            return .responseHeaders(.with { ($0.add, $0.set, $0.remove) = (add, set, remove) })
        case "RequestRedirect" where kind.isHTTP: return .redirect(try redirect(value.member("requestRedirect") ?? .null))
        case let other: throw Refusal("the filter \"\(other.prefix(80))\" is not carried out")
        }
    }

    private func headers(_ value: Value) -> (add: Mesh.HTTPTypes.Headers, set: Mesh.HTTPTypes.Headers, remove: [String]) {
        func list(_ name: String) -> Mesh.HTTPTypes.Headers {
            var headers = Mesh.HTTPTypes.Headers()
            headers.headers = value.items(name).map { item in
                Mesh.HTTPTypes.Headers.Header(name: (item.text("name") ?? "").lowercased(), value: Array((item.text("value") ?? "").utf8))
            }
            return headers
        }
        return (list("add"), list("set"), value.items("remove").compactMap { $0.text()?.lowercased() })
    }

    private func redirect(_ value: Value) throws(Refusal) -> Mesh.HTTPRoute.RequestRedirect {
        var redirect = Mesh.HTTPRoute.RequestRedirect()
        switch value.text("scheme")?.lowercased() {
        case nil: break
        case "http": redirect.scheme.registered = .http
        case "https": redirect.scheme.registered = .https
        case let other?: redirect.scheme.unregistered = other
        }
        redirect.host = value.text("hostname") ?? ""
        if let port = value.number("port") {
            guard let port = UInt16(exactly: port), port > 0 else { throw Refusal("the redirect's port \(port) is none") }
            redirect.port = UInt32(port)
        }
        if let status = value.number("statusCode") {
            guard (300...399).contains(status) else { throw Refusal("the redirect's status \(status) is no redirection") }
            redirect.status = UInt32(status)
        }
        switch value.text("path", "type") {
        case nil: break
        case "ReplaceFullPath": redirect.path.full = value.text("path", "replaceFullPath") ?? "/"
        case "ReplacePrefixMatch": redirect.path.prefix = value.text("path", "replacePrefixMatch") ?? "/"
        case let other?: throw Refusal("paths are not replaced by \(other.prefix(80))")
        }
        return redirect
    }

    // MARK: Backends

    private func backend(_ value: Value) -> Cluster.Route.Backend {
        let reference = Reference(value, kind: "Service")
        let name = Cluster.Name(reference.namespace ?? namespace, reference.name)
        let weight = value.number("weight").flatMap { UInt32(exactly: $0) } ?? 1
        let port = value.number("port").flatMap { UInt16(exactly: $0) }.flatMap { $0 > 0 ? $0 : nil }
        if reference.isEgressNetwork { return Cluster.Route.Backend(.egressNetwork(name, port: port), weight: weight) }
        guard reference.isService else {
            var backend = Cluster.Route.Backend(.invalid("unsupported backend type \(reference.group.isEmpty ? "core" : reference.group) \(reference.kind)"), weight: weight)
            backend.isForeign = true
            return backend
        }
        guard let port else { return Cluster.Route.Backend(.invalid("missing port for backend Service \(reference.name)"), weight: weight) }
        do throws(Refusal) {
            var filters: [Cluster.Route.Filter] = []
            for item in value.items("filters") { filters.append(try filter(item)) }
            return Cluster.Route.Backend(.service(name, port: port), weight: weight, filters: filters)
        } catch { return Cluster.Route.Backend(.invalid("unsupported backend filter: \(error.reason)"), weight: weight) }
    }
}

extension Cluster.EgressNetwork {
    /// nil: its networks or its policy cannot be read, so nothing may be said about them.
    init?(_ object: KubeObject) {
        let allows: Bool
        switch object.spec.text("trafficPolicy") {
        case "Allow": allows = true
        case "Deny": allows = false
        default: return nil
        }
        var networks: [Cluster.NetworkMatch]?
        if let value = object.spec.member("networks"), value != .null {
            guard let list = Cluster.NetworkMatch.list(object.spec.items("networks")), !list.isEmpty else { return nil }
            networks = list
        }
        self.init(name: Cluster.Name(object), createdAt: object.createdAt ?? WallTime(seconds: 0), networks: networks, allows: allows)
        generation = object.generation
        annotations = object.annotations
    }
}
