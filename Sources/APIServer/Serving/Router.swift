// From a request to an answer: who asks, what for, whether they may, and which verb it is.

import Base
import Documents
import HTTP
import Kube
import OrderedCollections
import Platform
import Transport

final class Router {
    let registry: Registry
    let writer: Writer
    let authenticator: Authenticator
    let isEnforced: Bool
    let version: String
    /// Where the server listens, once it does.
    var address = ""
    /// Starts a watch on an exchange.
    var watch: (Exchange, WatchCursor, [Value], ServedKind, ServedVersion, Representation.Form, TableForm.Objects, WatchOptions) -> Void = { _, _, _, _, _, _, _, _ in }
    /// Gets an event for each request; nil: nobody listens.
    var onAudit: ((Value) -> Void)?
    /// Answers `pods/log`.
    var podLogs: PodLogSource?
    private let log: Log

    init(registry: Registry, writer: Writer, authenticator: Authenticator, isEnforced: Bool, version: String, log: Log) {
        self.registry = registry
        self.writer = writer
        self.authenticator = authenticator
        self.isEnforced = isEnforced
        self.version = version
        self.log = log
    }

    func serve(_ exchange: Exchange) {
        let target = exchange.head.path.description
        let mark = target.firstIndex(of: "?") ?? target.endIndex
        let query = Query(target[mark...].dropFirst())
        let accept = exchange.head.headers.first("accept")
        if target[..<mark] == "/openapi/v2", let accept, accept.hasPrefix(OpenAPIBytes.askedMediaType) || accept.hasPrefix(OpenAPIBytes.mediaType) {
            return exchange.answer(200, type: OpenAPIBytes.mediaType, openAPIBytes())
        }
        guard let representation = Representation(accept: accept) else {
            return fail(exchange, KubeStatus(code: 406, reason: .notAcceptable, message: "only the following media types are accepted: application/json"))
        }
        let path = APIPath(target[..<mark])
        let audit = onAudit.map { AuditTrail(exchange, path, verb: verb(exchange.head.method, path.resource, path.watches(query)), id: registry.makeUID(), clock: registry.wall, sink: $0) }
        do throws(KubeStatus) {
            let caller = try impersonated(try authenticator.caller(authorization: exchange.head.headers.first("authorization"), peer: exchange.peer.tls), exchange.head.headers, audit)
            audit?.caller = caller
            switch path {
            case .other(let segments):
                try authorize(caller, AccessRequest(verb: verb(exchange.head.method), path: "/" + segments.joined(separator: "/")))
                guard exchange.head.method == .get || exchange.head.method == .head else { throw .methodNotAllowed }
                send(exchange, try other(segments, representation), representation, query)
            case .resource(let path):
                try self.resource(exchange, path, query, representation, caller)
            }
        } catch {
            fail(exchange, error)
        }
    }

    /// Old clients ask for it before each write: kept as long as the kinds are the same.
    private func openAPIBytes() -> [UInt8] {
        if let kept = openAPIKept, kept.revision == registry.catalog.revision { return kept.bytes }
        let bytes = OpenAPIBytes.document(OpenAPI(catalog: registry.catalog, version: version).whole)
        openAPIKept = (registry.catalog.revision, bytes)
        return bytes
    }
    private var openAPIKept: (revision: Int, bytes: [UInt8])?

    // MARK: Who

    /// Somebody else, when the caller asks to be and may. Source: k8s.io/apiserver pkg/endpoints/filters/impersonation.go.
    private func impersonated(_ caller: Caller, _ headers: Headers, _ audit: AuditTrail?) throws(KubeStatus) -> Caller {
        audit?.caller = caller
        let wish: Impersonation?
        do throws(Refusal) { wish = try Impersonation(headers) } catch { throw .badRequest(error.reason) }
        guard let wish else { return caller }
        for access in wish.accesses { try authorize(caller, access) }
        audit?.original = caller
        return wish.caller
    }

    // MARK: Resources

    private func resource(_ exchange: Exchange, _ path: ResourcePath, _ query: Query, _ representation: Representation, _ caller: Caller) throws(KubeStatus) {
        var query = query
        if path.isWatch { query.items.append(("watch", "true")) }
        let method = exchange.head.method
        try authorize(
            caller,
            AccessRequest(
                verb: verb(method, path, query),
                resource: AccessRequest.Resource(group: path.group, plural: path.plural, subresource: path.subresource, namespace: path.namespace ?? (path.plural == "namespaces" ? path.name ?? "" : ""), name: path.name ?? "")))
        guard let kind = registry.catalog.kind(group: path.group, plural: path.plural), let version = kind.version(path.version) else { throw .pathNotFound }
        if path.namespace != nil, !kind.isNamespaced { throw .pathNotFound }
        if kind.isNamespaced, path.namespace == nil, path.name != nil { throw .pathNotFound }
        let request = APIRequest(
            kind: kind, version: version, namespace: path.namespace, name: path.name ?? "", subresource: path.subresource, query: query,
            contentType: exchange.head.headers.first("content-type") ?? "application/json", body: exchange.body, caller: caller,
            userAgent: exchange.head.headers.first("user-agent") ?? "")
        perform(method, request, hasName: path.name != nil) { [self] result, warnings in
            var warnings = warnings
            if let deprecation = version.deprecation { warnings.append(deprecation) }
            switch result {
            case .success(let answer): send(exchange, answer, representation, query, warnings)
            case .failure(let status): fail(exchange, status, warnings)
            }
        }
    }

    private func perform(_ method: HTTPMethod, _ request: APIRequest, hasName: Bool, _ done: @escaping (Result<Answer, KubeStatus>, [String]) -> Void) {
        if let podLogs, method == .get, hasName, request.kind.name == "pods", request.subresource == "log" {
            do throws(KubeStatus) {
                let pod = KubeObject(try registry.get(request.kind, request.key))
                let container = try PodAccess.container(request, pod)
                return podLogs(pod, container, request.query.number("tailLines").map { Int(clamping: $0) }) { result in
                    done(result.map { .bytes(200, type: "text/plain", $0) }, [])
                }
            } catch { return done(.failure(error), []) }
        }
        let verbs = Verbs(registry: registry, writer: writer, authenticator: authenticator, isEnforced: isEnforced)
        switch (method, hasName) {
        case (.get, false), (.head, false): verbs.read(request, done) { () throws(KubeStatus) in try verbs.listOrWatch(request) }
        case (.get, true), (.head, true): verbs.read(request, done) { () throws(KubeStatus) in try verbs.get(request) }
        case (.post, false): verbs.create(request, done)
        case (.post, true): verbs.createSubresource(request, done)
        case (.put, true): verbs.update(request, done)
        case (.patch, true): verbs.patch(request, done)
        case (.delete, true): verbs.delete(request, done)
        case (.delete, false): verbs.deleteCollection(request, done)
        default: done(.failure(.methodNotAllowed), [])
        }
    }

    // MARK: What is no resource

    private func other(_ segments: [String], _ representation: Representation) throws(KubeStatus) -> Answer {
        let discovery = Discovery(catalog: registry.catalog, address: address)
        let openAPI = OpenAPI(catalog: registry.catalog, version: version)
        func found(_ value: Value?) throws(KubeStatus) -> Answer {
            guard let value else { throw .pathNotFound }
            return .document(200, value)
        }
        switch segments.first {
        case nil: return .document(200, .members(["paths": .array(paths.map { .string($0) })]))
        case "api" where segments.count == 1: return .document(200, representation.discovery == nil ? discovery.coreVersions : discovery.aggregated(isCore: true))
        case "apis" where segments.count == 1: return .document(200, representation.discovery == nil ? discovery.groupList : discovery.aggregated(isCore: false))
        case "api" where segments.count == 2: return try found(discovery.resources(group: "", version: segments[1]))
        case "apis" where segments.count == 2: return try found(discovery.group(segments[1]))
        case "apis" where segments.count == 3: return try found(discovery.resources(group: segments[1], version: segments[2]))
        case "version" where segments.count == 1: return .document(200, versionDocument)
        case "healthz", "livez", "readyz": return .bytes(200, type: "text/plain; charset=utf-8", [UInt8]("ok"))
        case "openapi" where segments.count == 2 && segments[1] == "v2": return .document(200, openAPI.whole)
        case "openapi" where segments.count == 2 && segments[1] == "v3": return .document(200, openAPI.index)
        case "openapi" where segments.count == 4 && segments[2] == "api": return try found(openAPI.document(group: "", version: segments[3]))
        case "openapi" where segments.count == 5 && segments[2] == "apis": return try found(openAPI.document(group: segments[3], version: segments[4]))
        case ".well-known" where segments.count == 2 && segments[1] == "openid-configuration":
            let issuer = authenticator.tokens.issuer
            return .document(
                200,
                .members([
                    "issuer": .string(issuer), "jwks_uri": .string("https://\(address)/openid/v1/jwks"), "response_types_supported": .array([.string("id_token")]),
                    "subject_types_supported": .array([.string("public")]), "id_token_signing_alg_values_supported": .array([.string("ES256")]),
                ]))
        case "openid" where segments == ["openid", "v1", "jwks"]: return .document(200, authenticator.tokens.keySet)
        default: throw .pathNotFound
        }
    }

    private var paths: [String] {
        ["/api", "/api/v1", "/apis"]
            + registry.catalog.groups.filter { !$0.name.isEmpty }.flatMap { group in ["/apis/\(group.name)"] + group.versions.map { "/apis/\(group.name)/\($0)" } }
            + ["/healthz", "/livez", "/openapi/v2", "/openapi/v3", "/readyz", "/version"]
    }

    private var versionDocument: Value {
        let parts = version.drop { $0 == "v" }.split(separator: ".")
        return .members([
            "major": .string(parts.first.map(String.init) ?? ""), "minor": .string(parts.count > 1 ? String(parts[1]) : ""), "gitVersion": .string(version), "gitCommit": .string(""),
            "gitTreeState": .string("clean"), "buildDate": .string("1970-01-01T00:00:00Z"), "goVersion": .string(""), "compiler": .string("swift"), "platform": .string("linux/amd64"),
        ])
    }

    // MARK: May they?

    private func authorize(_ caller: Caller, _ request: AccessRequest) throws(KubeStatus) {
        if Authorizer.isPublic(request) { return }
        if isEnforced ? Authorizer(registry: registry).allows(caller, request) != nil : caller.isAuthenticated { return }
        guard let resource = request.resource else {
            throw KubeStatus(code: 403, reason: .forbidden, message: "forbidden: User \"\(caller.name)\" cannot \(request.verb) path \"\(request.path)\"", details: KubeStatus.Details())
        }
        let full = resource.subresource.isEmpty ? resource.plural : "\(resource.plural)/\(resource.subresource)"
        let place = resource.namespace.isEmpty ? "at the cluster scope" : "in the namespace \"\(resource.namespace)\""
        let name = resource.group.isEmpty ? resource.plural : "\(resource.plural).\(resource.group)"
        throw KubeStatus(
            code: 403, reason: .forbidden,
            message: "\(name)\(resource.name.isEmpty ? "" : " \"\(resource.name)\"") is forbidden: User \"\(caller.name)\" cannot \(request.verb) resource \"\(full)\" in API group \"\(resource.group)\" \(place)",
            details: KubeStatus.Details(name: resource.name, group: resource.group, kind: resource.plural))
    }

    private func verb(_ method: HTTPMethod, _ path: ResourcePath? = nil, _ query: Query = Query()) -> String {
        switch method {
        case .get, .head: path == nil || path?.name != nil ? "get" : query.flag("watch") ? "watch" : "list"
        case .post: "create"
        case .put: "update"
        case .patch: "patch"
        case .delete: path?.name == nil && path != nil ? "deletecollection" : "delete"
        default: method.description.lowercased()
        }
    }

    // MARK: Sending

    private func send(_ exchange: Exchange, _ answer: Answer, _ representation: Representation, _ query: Query, _ warnings: [String] = []) {
        let includes = query["includeObject"].flatMap { TableForm.Objects(rawValue: $0) } ?? .metadata
        func json(_ status: UInt16, _ value: Value) {
            var bytes: [UInt8] = []
            value.json(into: &bytes, indent: query.flag("pretty") ? 2 : nil)
            bytes.append(0x0a)
            exchange.answer(status, type: representation.contentType, bytes, warnings: warnings)
        }
        func form(_ kind: ServedKind, _ version: ServedVersion) -> ObjectForm { ObjectForm(representation.form, kind, version, includes: includes, now: registry.wall()) }
        switch answer {
        case .document(let status, let value): json(status, value)
        case .object(let status, let value, let kind, let version): json(status, form(kind, version).one(registry.shown(value, kind, version)))
        case .list(var page, let kind, let version):
            page.items = page.items.map { registry.shown($0, kind, version) }
            json(200, form(kind, version).list(page))
        case .bytes(let status, let type, let bytes): exchange.answer(status, type: type, bytes, warnings: warnings)
        case .watch(let cursor, let initial, let kind, let version, let options):
            watch(exchange, cursor, initial, kind, version, representation.form, includes, options)
        }
    }

    private func fail(_ exchange: Exchange, _ status: KubeStatus, _ warnings: [String] = []) {
        log(.debug, "apiserver", "\(exchange.head.method) \(exchange.head.path): \(status)")
        var bytes: [UInt8] = []
        status.value.json(into: &bytes)
        bytes.append(0x0a)
        exchange.answer(status.code, type: "application/json", bytes, warnings: warnings, failure: status)
    }
}

/// A request for a resource, with everything found.
struct APIRequest {
    let kind: ServedKind
    let version: ServedVersion
    /// nil: none named.
    let namespace: String?
    let name: String
    let subresource: String
    let query: Query
    let contentType: String
    let body: [UInt8]
    let caller: Caller
    let userAgent: String

    /// Who a write's fields belong to: who the client says, else its program. Source: k8s.io/apiserver pkg/endpoints/handlers managerOrUserAgent.
    func manager(_ options: WriteOptions) -> String {
        if !options.fieldOwner.isEmpty { return options.fieldOwner }
        let program = userAgent.prefix { $0 != "/" }
        return program.isEmpty ? "unknown" : String(program.prefix(128))
    }

    var key: KubeKey { kind.key(namespace: namespace ?? "", name: name) }
    var mediaType: String { String(contentType.prefix { $0 != ";" }.filter { $0 != " " }) }

    /// The body as a document.
    func document() throws(KubeStatus) -> Value {
        if mediaType == ProtobufBody.mediaType { return try ProtobufBody.decode(body) }
        guard ["application/json", "application/yaml", ""].contains(mediaType) else { throw .unsupportedMediaType(["application/json", "application/yaml", ProtobufBody.mediaType]) }
        do throws(DocumentError) {
            if mediaType != "application/yaml" { return try Value(json: body) }
            let documents = try YAML.parse(body)
            guard documents.count == 1 else { throw DocumentError(line: 1, column: 1, reason: "one document is expected") }
            return documents[0].value
        } catch {
            throw .badRequest("the object provided is not readable: \(error)")
        }
    }
}
