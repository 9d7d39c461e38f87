// From the route messages that inbound and outbound policies share to matches and filters. A message that breaks its own rules
// makes the whole policy invalid, because half a policy may let through what the other half forbids.
// Source: linkerd2-proxy linkerd/http/route/src/http/*.rs (proto modules).

import Base
import HTTP
import MeshAPI

/// Why a policy message cannot be used.
struct InvalidPolicy: Error, Equatable {
    var reason: String

    init(_ reason: String) { self.reason = reason }
}

/// `map` for closures that throw our one error.
func converted<In, Out>(_ list: [In], _ convert: (In) throws(InvalidPolicy) -> Out) throws(InvalidPolicy) -> [Out] {
    var out: [Out] = []
    out.reserveCapacity(list.count)
    for item in list { out.append(try convert(item)) }
    return out
}

extension HostMatch {
    init(_ message: Mesh.HTTPRoute.HostMatch) throws(InvalidPolicy) {
        switch message.match {
        case .exact(let host): self = .exact(host)
        case .suffix(let suffix): self = .suffix(suffix.reverseLabels)
        case nil: throw InvalidPolicy("a host match says nothing")
        }
    }

    init(_ message: Mesh.TLSRoute.SniMatch) throws(InvalidPolicy) {
        switch message.match {
        case .exact(let host): self = .exact(host)
        case .suffix(let suffix): self = .suffix(suffix.reverseLabels)
        case nil: throw InvalidPolicy("a server name match says nothing")
        }
    }
}

extension HTTPMatch {
    init(_ message: Mesh.HTTPRoute.HttpRouteMatch) throws(InvalidPolicy) {
        self.init()
        if message.hasPath {
            switch message.path.kind {
            case .exact(let text): path = .exact(try Self.absolute(text))
            case .prefix(let text): path = .prefix(try Self.absolute(text))
            case .regex(let text): path = .regex(text)
            case nil: throw InvalidPolicy("a path match says nothing")
            }
        }
        headers = try Self.headers(message.headers)
        queryParameters = try converted(message.queryParams) { (parameter) throws(InvalidPolicy) in
            switch parameter.value {
            case .exact(let text): (parameter.name, .exact(text))
            case .regex(let text): (parameter.name, .regex(text))
            case nil: throw InvalidPolicy("the match of query parameter \(parameter.name) says nothing")
            }
        }
        if message.hasMethod {
            guard let method = HTTPMethod(message.method) else { throw InvalidPolicy("a method match names no method") }
            self.method = method
        }
    }

    /// A call is a POST to `/service/method`; an empty part stands for any.
    init(_ message: Mesh.GRPCRoute.GrpcRouteMatch) throws(InvalidPolicy) {
        self.init()
        method = .post
        headers = try Self.headers(message.headers)
        switch (message.rpc.service, message.rpc.method) {
        case ("", ""): path = nil
        case (let service, ""): path = .prefix("/" + service)
        case ("", let method): path = .regex("/[^/]+/" + Self.literal(method))
        case (let service, let method): path = .exact("/\(service)/\(method)")
        }
    }

    private static func absolute(_ path: String) throws(InvalidPolicy) -> String {
        guard path.hasPrefix("/") else { throw InvalidPolicy("a path match must begin with a slash, not \(path.prefix(40))") }
        return path
    }

    private static func headers(_ list: [Mesh.HTTPRoute.HeaderMatch]) throws(InvalidPolicy) -> [(name: String, value: Text)] {
        try converted(list) { (header) throws(InvalidPolicy) in
            guard HTTPGrammar.isFieldName(header.name) else { throw InvalidPolicy("a header match needs the name of a header") }
            let name = header.name.lowercased()
            if let exact = header.exactBytes {
                guard HTTPGrammar.isFieldValue(exact) else { throw InvalidPolicy("the match of header \(name) has bytes that no header may have") }
                return (name, .exact(String(decoding: exact, as: UTF8.self)))
            }
            guard case .regex(let text) = header.value else { throw InvalidPolicy("the match of header \(name) says nothing") }
            return (name, .regex(text))
        }
    }

    /// As a regular expression that matches just this text.
    static func literal(_ text: String) -> String {
        var out = ""
        for c in text {
            if "\\^$.|?*+()[]{}".contains(c) { out.append("\\") }
            out.append(c)
        }
        return out
    }
}

extension HTTPFilter {
    static func failure(_ message: Mesh.HTTPRoute.HttpFailureInjector) throws(InvalidPolicy) -> HTTPFilter {
        guard let status = UInt16(exactly: message.status), (100...999).contains(status) else { throw InvalidPolicy("a failure injector's status \(message.status) is none") }
        let ratio = try Self.ratio(message.hasRatio ? message.ratio : nil)
        return .failure(status: status, message: message.message, numerator: ratio.0, denominator: ratio.1)
    }

    static func failure(_ message: Mesh.GRPCRoute.GrpcFailureInjector) throws(InvalidPolicy) -> HTTPFilter {
        guard let code = UInt16(exactly: message.code) else { throw InvalidPolicy("a failure injector's gRPC code \(message.code) is none") }
        let ratio = try Self.ratio(message.hasRatio ? message.ratio : nil)
        return .grpcFailure(code: code, message: message.message, numerator: ratio.0, denominator: ratio.1)
    }

    static func requestHeaders(_ message: Mesh.HTTPRoute.RequestHeaderModifier) throws(InvalidPolicy) -> HTTPFilter {
        .requestHeaders(HeaderChange(add: try labels(message.add), set: try labels(message.set), remove: try names(message.remove)))
    }

    static func responseHeaders(_ message: Mesh.HTTPRoute.ResponseHeaderModifier) throws(InvalidPolicy) -> HTTPFilter {
        .responseHeaders(HeaderChange(add: try labels(message.add), set: try labels(message.set), remove: try names(message.remove)))
    }

    static func redirect(_ message: Mesh.HTTPRoute.RequestRedirect) throws(InvalidPolicy) -> HTTPFilter {
        var redirect = Redirect()
        if message.hasScheme {
            switch message.scheme.type {
            case .registered(.http): redirect.scheme = .http
            case .registered(.https): redirect.scheme = .https
            default: throw InvalidPolicy("a redirect's scheme is neither http nor https")
            }
        }
        if !message.host.isEmpty { redirect.host = message.host }
        if message.hasPath {
            switch message.path.replace {
            case .full(let text): redirect.path = .full(text)
            case .prefix(let text): redirect.path = .prefix(text)
            case nil: throw InvalidPolicy("a redirect's path says nothing")
            }
        }
        if message.port > 0 {
            guard let port = UInt16(exactly: message.port) else { throw InvalidPolicy("a redirect's port \(message.port) is none") }
            redirect.port = port
        }
        if message.status > 0 {
            guard (300...399).contains(message.status) else { throw InvalidPolicy("a redirect's status \(message.status) does not redirect") }
            redirect.status = UInt16(message.status)
        }
        return .redirect(redirect)
    }

    /// Absent: always.
    private static func ratio(_ message: Mesh.HTTPRoute.Ratio?) throws(InvalidPolicy) -> (UInt32, UInt32) {
        guard let message else { return (1, 1) }
        guard message.denominator > 0 else { throw InvalidPolicy("a failure injector's ratio has the denominator 0") }
        return (message.numerator, message.denominator)
    }

    private static func labels(_ message: Mesh.HTTPTypes.Headers) throws(InvalidPolicy) -> [Label] {
        try converted(message.headers) { (header) throws(InvalidPolicy) in
            guard HTTPGrammar.isFieldName(header.name), HTTPGrammar.isFieldValue(header.valueBytes) else { throw InvalidPolicy("a header filter's field \(header.name.prefix(40)) is no header") }
            return Label(name: header.name.lowercased(), value: String(decoding: header.valueBytes, as: UTF8.self))
        }
    }

    private static func names(_ list: [String]) throws(InvalidPolicy) -> [String] {
        try converted(list) { (name) throws(InvalidPolicy) in
            guard HTTPGrammar.isFieldName(name) else { throw InvalidPolicy("a header filter removes \(name.prefix(40)), which is no header") }
            return name.lowercased()
        }
    }
}

extension Interval {
    /// A duration that must be one, and positive.
    static func positive(_ message: Mesh.Duration, _ what: String) throws(InvalidPolicy) -> Interval {
        guard let interval = Interval(message), interval > .zero else { throw InvalidPolicy("\(what) is not a positive duration") }
        return interval
    }
}

extension Optional where Wrapped == ResourceName {
    /// The name that a message must have.
    func named(_ what: String) throws(InvalidPolicy) -> ResourceName {
        guard let self else { throw InvalidPolicy("\(what) has no metadata") }
        return self
    }
}
