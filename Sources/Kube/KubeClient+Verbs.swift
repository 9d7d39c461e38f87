// The verbs of the API: each is one request and one typed answer.

import Base
import Documents
import HTTP
import OrderedCollections
import Platform
import Transport

extension KubeClient {
    public typealias ObjectAnswer = (Result<KubeObject, KubeError>) -> Void

    @discardableResult
    public func get(_ resource: KubeResource, _ key: KubeKey, _ answer: @escaping ObjectAnswer) -> KubeCall {
        object(KubeRequest(.get, path(resource, key)), answer)
    }

    /// One page. `limit` nil: everything at once. An empty `resourceVersion` asks for the newest, "0" for any.
    @discardableResult
    public func list(
        _ resource: KubeResource, namespace: String? = nil, labels: LabelSelector = .everything, fields: FieldSelector = .everything,
        limit: Int? = nil, continueToken: String? = nil, resourceVersion: String? = nil, metadataOnly: Bool = false,
        _ answer: @escaping (Result<KubeList, KubeError>) -> Void
    ) -> KubeCall {
        var query = selection(labels, fields)
        if let limit { query.append(("limit", String(limit))) }
        if let continueToken { query.append(("continue", continueToken)) }
        if let resourceVersion { query.append(("resourceVersion", resourceVersion)) }
        var request = KubeRequest(.get, resource.path(namespace: namespace), query: query)
        if metadataOnly { request.accept = Self.accept("PartialObjectMetadataList") }
        return send(request) { answer($0.flatMap { KubeList.read($0.body, of: resource) }) }
    }

    /// Every page; begins anew without pages when the server has forgotten the first before the last was read.
    public func listAll(
        _ resource: KubeResource, namespace: String? = nil, labels: LabelSelector = .everything, fields: FieldSelector = .everything,
        _ answer: @escaping (Result<KubeList, KubeError>) -> Void
    ) {
        next(resource, namespace, labels, fields, KubeList(resourceVersion: "", items: []), limit: limits.listPageObjectsMax, answer)
    }

    private func next(
        _ resource: KubeResource, _ namespace: String?, _ labels: LabelSelector, _ fields: FieldSelector, _ soFar: KubeList, limit: Int?,
        _ answer: @escaping (Result<KubeList, KubeError>) -> Void
    ) {
        list(resource, namespace: namespace, labels: labels, fields: fields, limit: limit, continueToken: soFar.continueToken) { [self] result in
            switch result {
            case .success(var page):
                if !soFar.items.isEmpty, page.resourceVersion != soFar.resourceVersion {
                    // Pages of two versions are no collection that ever was.
                    return next(resource, namespace, labels, fields, KubeList(resourceVersion: "", items: []), limit: nil, answer)
                }
                page.items = soFar.items + page.items
                if page.continueToken == nil { return answer(.success(page)) }
                next(resource, namespace, labels, fields, page, limit: limit, answer)
            case .failure(let error) where error.isExpired && limit != nil && soFar.continueToken != nil:
                next(resource, namespace, labels, fields, KubeList(resourceVersion: "", items: []), limit: nil, answer)
            case .failure(let error): answer(.failure(error))
            }
        }
    }

    /// In the object's own namespace.
    @discardableResult
    public func create(_ resource: KubeResource, _ object: KubeObject, options: KubeWriteOptions = KubeWriteOptions(), _ answer: @escaping ObjectAnswer) -> KubeCall {
        self.object(KubeRequest(.post, resource.path(namespace: object.namespace), query: options.query, body: object.value), answer)
    }

    /// Replaces the whole object, or its subresource (`status`). With a resource version that is not the newest: a conflict.
    @discardableResult
    public func update(
        _ resource: KubeResource, _ object: KubeObject, subresource: String? = nil, options: KubeWriteOptions = KubeWriteOptions(), _ answer: @escaping ObjectAnswer
    ) -> KubeCall {
        self.object(KubeRequest(.put, path(resource, object.key, subresource), query: options.query, body: object.value), answer)
    }

    @discardableResult
    public func patch(
        _ resource: KubeResource, _ key: KubeKey, _ patch: KubePatch, subresource: String? = nil, options: KubeWriteOptions = KubeWriteOptions(), _ answer: @escaping ObjectAnswer
    ) -> KubeCall {
        object(KubeRequest(.patch, path(resource, key, subresource), query: patch.query + options.query, body: patch.body, contentType: patch.contentType), answer)
    }

    /// `uid` and `resourceVersion` are preconditions; `propagation`: `Foreground`, `Background`, `Orphan`. The answer is the object
    /// as it was, still there while finalizers hold it, or a Status that says success.
    @discardableResult
    public func delete(
        _ resource: KubeResource, _ key: KubeKey, uid: String? = nil, resourceVersion: String? = nil, gracePeriodSeconds: Int64? = nil, propagation: String? = nil,
        isDryRun: Bool = false, _ answer: @escaping ObjectAnswer
    ) -> KubeCall {
        let options = Self.deleteOptions(uid: uid, resourceVersion: resourceVersion, gracePeriodSeconds: gracePeriodSeconds, propagation: propagation, isDryRun: isDryRun)
        return object(KubeRequest(.delete, path(resource, key), query: [], body: options), answer)
    }

    /// Every object that the selectors choose. The answer is what was deleted, or nothing when the server does not say.
    @discardableResult
    public func deleteAll(
        _ resource: KubeResource, namespace: String? = nil, labels: LabelSelector = .everything, fields: FieldSelector = .everything, propagation: String? = nil,
        isDryRun: Bool = false, _ answer: @escaping (Result<[KubeObject], KubeError>) -> Void
    ) -> KubeCall {
        let options = Self.deleteOptions(uid: nil, resourceVersion: nil, gracePeriodSeconds: nil, propagation: propagation, isDryRun: isDryRun)
        return send(KubeRequest(.delete, resource.path(namespace: namespace), query: selection(labels, fields), body: options)) { result in
            answer(result.map { response in if case .success(let list) = KubeList.read(response.body, of: resource) { list.items } else { [] } })
        }
    }

    private static func deleteOptions(uid: String?, resourceVersion: String?, gracePeriodSeconds: Int64?, propagation: String?, isDryRun: Bool) -> Value {
        let preconditions: Value? = uid == nil && resourceVersion == nil ? nil : .members(["uid": uid.map { .string($0) }, "resourceVersion": resourceVersion.map { .string($0) }])
        return .members([
            "kind": .string("DeleteOptions"), "apiVersion": .string("v1"), "gracePeriodSeconds": gracePeriodSeconds.map { .int($0) }, "preconditions": preconditions,
            "propagationPolicy": propagation.map { .string($0) }, "dryRun": isDryRun ? .array([.string("All")]) : nil,
        ])
    }

    /// Reads an object, changes it, and writes it back; again from the start when somebody else wrote meanwhile, or when the server
    /// says that trying again may help. `change` gives nil when there is nothing to do. The answer is the object as it is then.
    public func change(
        _ resource: KubeResource, _ key: KubeKey, subresource: String? = nil, _ change: @escaping (KubeObject) -> KubeObject?, _ answer: @escaping ObjectAnswer
    ) {
        attempt(resource, key, subresource, change, Backoff(BackoffOptions(min: limits.conflictBackoff, max: limits.backoffMax), random: host.random("change/\(resource)/\(key)")), 1, answer)
    }

    private func attempt(
        _ resource: KubeResource, _ key: KubeKey, _ subresource: String?, _ change: @escaping (KubeObject) -> KubeObject?, _ backoff: Backoff, _ number: Int,
        _ answer: @escaping ObjectAnswer
    ) {
        let again = { [self] (error: KubeError) in
            guard error.isConflict || error.isRetryable, number < limits.conflictAttemptsMax else { return answer(.failure(error)) }
            var backoff = backoff
            let delay = backoff.next()
            host.after(error.retryAfter.map { max($0, delay) } ?? delay) { [self] in attempt(resource, key, subresource, change, backoff, number + 1, answer) }
        }
        get(resource, key) { [self] result in
            switch result {
            case .failure(let error): again(error)
            case .success(let object):
                guard let changed = change(object), changed != object else { return answer(.success(object)) }
                update(resource, changed, subresource: subresource) { result in
                    if case .failure(let error) = result { again(error) } else { answer(result) }
                }
            }
        }
    }

    /// A watch stream from a version on. Every call of `onEvent` and `onHeard` comes before the one of `onEnd`.
    @discardableResult
    public func watch(
        _ resource: KubeResource, namespace: String? = nil, labels: LabelSelector = .everything, fields: FieldSelector = .everything, resourceVersion: String,
        timeoutSeconds: Int64, metadataOnly: Bool = false, onEvent: @escaping (KubeWatchEvent) -> Void, onHeard: @escaping () -> Void, onEnd: @escaping (KubeError?) -> Void
    ) -> KubeCall {
        let query = selection(labels, fields) + [("watch", "1"), ("allowWatchBookmarks", "true"), ("resourceVersion", resourceVersion), ("timeoutSeconds", String(timeoutSeconds))]
        let decoder = WatchDecoder(resource: resource, limits: limits)
        let link = CallLink()
        var request = KubeRequest(.get, resource.path(namespace: namespace), query: query)
        if metadataOnly { request.accept = Self.accept("PartialObjectMetadata") }
        link.call = stream(request, onOpen: onHeard) { bytes in
            onHeard()
            decoder.receive(bytes)
            while !link.isOver, let event = decoder.next() {
                if case .undecodable = event { self.watchEventsSkipped += 1 }
                onEvent(event)
            }
        } onEnd: { error in
            if !link.isOver { onEnd(error) }
            link.isOver = true
            link.call = nil
        }
        link.call?.onCancel = { link.isOver = true }
        return link.call!
    }

    // MARK: Reviews

    @discardableResult
    public func reviewToken(_ token: String, audiences: [String], _ answer: @escaping (Result<KubeTokenReview, KubeError>) -> Void) -> KubeCall {
        let spec = Value.members(["token": .string(token), "audiences": audiences.isEmpty ? nil : .array(audiences.map { .string($0) })])
        return review(.tokenReviews, spec) { answer($0.map { KubeTokenReview($0) }) }
    }

    /// Whether we ourselves may do this.
    @discardableResult
    public func reviewOwnAccess(_ attributes: KubeAccess, _ answer: @escaping (Result<KubeAccessReview, KubeError>) -> Void) -> KubeCall {
        review(.selfSubjectAccessReviews, .members(["resourceAttributes": attributes.value])) { answer($0.map { KubeAccessReview($0) }) }
    }

    /// Whether a user may do this.
    @discardableResult
    public func reviewAccess(_ attributes: KubeAccess, user: String, groups: [String], _ answer: @escaping (Result<KubeAccessReview, KubeError>) -> Void) -> KubeCall {
        let spec = Value.members(["resourceAttributes": attributes.value, "user": .string(user), "groups": groups.isEmpty ? nil : .array(groups.map { .string($0) })])
        return review(.subjectAccessReviews, spec) { answer($0.map { KubeAccessReview($0) }) }
    }

    private func review(_ resource: KubeResource, _ spec: Value, _ answer: @escaping ObjectAnswer) -> KubeCall {
        let document = Value.members(["apiVersion": .string(resource.apiVersion), "kind": .string(resource.kind), "metadata": .members([:]), "spec": spec])
        return object(KubeRequest(.post, resource.path(), query: [], body: document), answer)
    }

    /// `major.minor` of the server's version document, whole as `gitVersion`.
    @discardableResult
    public func version(_ answer: @escaping (Result<String, KubeError>) -> Void) -> KubeCall {
        object(KubeRequest(.get, "/version")) { answer($0.map { $0.value.text("gitVersion") ?? "" }) }
    }

    // MARK: Parts

    /// Type and metadata alone if the server can, else whole objects. Source: Kubernetes API concepts, "Metadata-only fetches".
    private static func accept(_ form: String) -> String { "application/json;as=\(form);v=v1;g=meta.k8s.io,application/json" }

    private func path(_ resource: KubeResource, _ key: KubeKey, _ subresource: String? = nil) -> String {
        resource.path(namespace: key.namespace.isEmpty ? nil : key.namespace, name: key.name, subresource: subresource)
    }

    private func selection(_ labels: LabelSelector, _ fields: FieldSelector) -> [(String, String)] {
        (labels.isEmpty ? [] : [("labelSelector", labels.description)]) + (fields.isEmpty ? [] : [("fieldSelector", fields.description)])
    }

    /// An answer that is one object.
    public func object(_ request: KubeRequest, _ answer: @escaping ObjectAnswer) -> KubeCall {
        send(request) { result in
            answer(
                result.flatMap { response in
                    do throws(DocumentError) { return .success(KubeObject(try Value(json: response.body))) } catch { return .failure(.malformed("\(error)")) }
                })
        }
    }
}

private final class CallLink {
    var call: KubeCall?
    var isOver = false
}

extension KubeList {
    /// A page from its document; items get the kind that lists leave out.
    static func read(_ body: [UInt8], of resource: KubeResource) -> Result<KubeList, KubeError> {
        let document: Value
        do throws(DocumentError) { document = try Value(json: body) } catch { return .failure(.malformed("\(error)")) }
        guard case .array(let items)? = document.member("items") ?? .array([]), document.text("kind")?.hasSuffix("List") == true else {
            return .failure(.malformed("the answer is no list of \(resource)"))
        }
        let token = document.text("metadata", "continue") ?? ""
        return .success(
            KubeList(
                resourceVersion: document.text("metadata", "resourceVersion") ?? "", continueToken: token.isEmpty ? nil : token,
                items: items.map { KubeObject($0.typed(as: resource)) }))
    }
}

extension Value {
    /// The same object with its type first, if it does not say it itself or says only that it is a part.
    func typed(as resource: KubeResource) -> Value {
        guard case .object(let members) = self else { return self }
        if let kind = members["kind"], kind != .string("PartialObjectMetadata") { return self }
        var object: Object = ["kind": .string(resource.kind), "apiVersion": .string(resource.apiVersion)]
        for (key, value) in members where key != "kind" && key != "apiVersion" { object[key] = value }
        return .object(object)
    }
}

/// What somebody wants to do to which resource.
public struct KubeAccess: Sendable {
    public var verb: String
    public var group: String
    public var resource: String
    public var subresource: String
    public var namespace: String
    public var name: String

    public init(verb: String, group: String = "", resource: String, subresource: String = "", namespace: String = "", name: String = "") {
        self.verb = verb
        self.group = group
        self.resource = resource
        self.subresource = subresource
        self.namespace = namespace
        self.name = name
    }

    var value: Value {
        func nonEmpty(_ text: String) -> Value? { text.isEmpty ? nil : .string(text) }
        return .members([
            "namespace": nonEmpty(namespace), "verb": .string(verb), "group": nonEmpty(group), "resource": .string(resource), "subresource": nonEmpty(subresource), "name": nonEmpty(name),
        ])
    }
}

public struct KubeAccessReview: Equatable, Sendable {
    public var isAllowed: Bool
    public var reason: String

    init(_ object: KubeObject) {
        isAllowed = object.value.flag("status", "allowed") ?? false
        reason = object.value.text("status", "reason") ?? ""
    }
}

public struct KubeTokenReview: Equatable, Sendable {
    public var isAuthenticated: Bool
    public var username: String
    public var uid: String
    public var groups: [String]
    public var audiences: [String]
    /// The server's complaint; empty if none.
    public var error: String

    init(_ object: KubeObject) {
        isAuthenticated = object.value.flag("status", "authenticated") ?? false
        username = object.value.text("status", "user", "username") ?? ""
        uid = object.value.text("status", "user", "uid") ?? ""
        groups = object.value.items("status", "user", "groups").compactMap { $0.text() }
        audiences = object.value.items("status", "audiences").compactMap { $0.text() }
        error = object.value.text("status", "error") ?? ""
    }
}
