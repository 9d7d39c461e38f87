// The verbs of the API on one resource. Reads answer at once; writes go through the writer and may wait for admission.

import Base
import Documents
import Kube
import OrderedCollections

struct Verbs {
    typealias Done = (Result<Answer, KubeStatus>, [String]) -> Void

    let registry: Registry
    let writer: Writer
    let authenticator: Authenticator
    let isEnforced: Bool

    // MARK: Reading

    func read(_ request: APIRequest, _ done: Done, _ body: () throws(KubeStatus) -> Answer) {
        do throws(KubeStatus) {
            if request.kind.isVirtual { throw KubeStatus.methodNotAllowed }
            done(.success(try body()), [])
        } catch {
            done(.failure(error), [])
        }
    }

    func listOrWatch(_ request: APIRequest) throws(KubeStatus) -> Answer {
        let selection = try registry.selection(request.kind, request.version, namespace: request.namespace, name: nil, request.query)
        guard request.query.flag("watch") else { return .list(try registry.list(request.kind, selection, request.query), request.kind, request.version) }
        return try watch(request, selection)
    }

    func get(_ request: APIRequest) throws(KubeStatus) -> Answer {
        if request.query.flag("watch") {
            return try watch(request, try registry.selection(request.kind, request.version, namespace: request.namespace, name: request.name, request.query))
        }
        let object = try registry.get(request.kind, request.key)
        switch request.subresource {
        case "": break
        case "status" where request.version.hasStatus: break
        case "scale":
            guard let paths = request.version.scale else { throw .pathNotFound }
            return .document(200, Scale.document(object, paths))
        case _ where PodAccess.subresources.contains(request.subresource) && request.version.otherSubresources.contains(request.subresource): throw PodAccess.refusal(request, KubeObject(object))
        default: throw .pathNotFound
        }
        return .object(200, object, request.kind, request.version)
    }

    private func watch(_ request: APIRequest, _ selection: Selection) throws(KubeStatus) -> Answer {
        let (cursor, initial) = try registry.watch(request.kind, selection, request.query)
        return .watch(cursor, initial: initial, request.kind, request.version, WatchOptions(request.query))
    }

    // MARK: Creating

    func create(_ request: APIRequest, _ done: @escaping Done) {
        guard !request.kind.isNamespaced || request.namespace != nil else { return done(.failure(.methodNotAllowed), []) }
        let document: Value
        let options: WriteOptions
        do throws(KubeStatus) {
            document = try request.document()
            options = try WriteOptions(request.query)
            if request.kind.isVirtual {
                let reviews = Reviews(registry: registry, authenticator: authenticator, isEnforced: isEnforced)
                return done(.success(.document(201, try reviews.answer(request.kind, namespace: request.namespace ?? "", document, request.caller))), [])
            }
        } catch {
            return done(.failure(error), [])
        }
        writer.submit(attempts: 1) { () throws(KubeStatus) in
            var pending = try registry.prepareCreate(request.kind, request.version, namespace: request.namespace ?? "", document, request.caller, options)
            // Events come by the thousand, and nobody applies them.
            if request.kind.conversion == nil, request.kind.name != "events" {
                ServerSideApply(request.kind, request.version, subresource: "", time: registry.wall().description).begin(&pending.object, manager: request.manager(options))
            }
            return pending
        } _: { result in
            finish(result, request, status: 201, done)
        }
    }

    func createSubresource(_ request: APIRequest, _ done: @escaping Done) {
        do throws(KubeStatus) {
            guard request.version.otherSubresources.contains(request.subresource) else { throw request.subresource.isEmpty ? KubeStatus.methodNotAllowed : .pathNotFound }
            if PodAccess.subresources.contains(request.subresource) { throw PodAccess.refusal(request, KubeObject(try registry.get(request.kind, request.key))) }
            let document = try request.document()
            switch request.subresource {
            case "token": done(.success(.document(201, try token(request, document))), [])
            case "binding": try bind(request, document, done)
            case "eviction":
                let options = try DeleteOptions(document.member("deleteOptions"), request.query)
                try registry.admitEviction(request.key, isDryRun: options.isDryRun)
                writer.submit(attempts: registry.limits.patchAttemptsMax, deletion: options) { () throws(KubeStatus) in
                    try registry.prepareDelete(request.kind, request.version, request.key, options, request.caller)
                } _: { result in
                    done(result.map { _ in .document(201, KubeStatus.success(KubeStatus.Details(name: request.name, kind: "pods"))) }, [])
                }
            default: throw KubeStatus.pathNotFound
            }
        } catch {
            done(.failure(error), [])
        }
    }

    /// Source: k8s.io/kubernetes pkg/registry/core/serviceaccount/storage/token.go.
    private func token(_ request: APIRequest, _ document: Value) throws(KubeStatus) -> Value {
        let account = KubeObject(try registry.get(request.kind, request.key))
        var subject = ServiceAccountTokens.Subject(namespace: account.namespace, name: account.name, uid: account.uid)
        let asked = document.number("spec", "expirationSeconds") ?? 3600
        let limits = registry.limits
        guard asked >= limits.tokenLifetimeMin.seconds else {
            throw .invalid(kind: "TokenRequest", group: "authentication.k8s.io", name: "", [.invalid("spec.expirationSeconds", .int(asked), "may not specify a duration less than 10 minutes")])
        }
        if let bound = document.member("spec", "boundObjectRef"), bound != .null {
            let name = bound.text("name") ?? ""
            guard bound.text("kind") == "Pod" else { throw .badRequest("cannot bind token for serviceaccount \"\(account.name)\" to object of kind \(bound.text("kind") ?? "")") }
            let pod = KubeObject(try registry.get(registry.kind(.pods), KubeKey(account.namespace, name)))
            if let uid = bound.text("uid"), !uid.isEmpty, uid != pod.uid { throw .conflict(registry.kind(.pods), name, "the UID in the bound object reference (\(uid)) does not match the UID in record") }
            let runsAs = pod.value.text("spec", "serviceAccountName") ?? ""
            guard runsAs == account.name else { throw .badRequest("cannot bind token for serviceaccount \"\(account.name)\" to pod running with different serviceaccount name.") }
            subject.pod = (pod.name, pod.uid)
            if let node = pod.value.text("spec", "nodeName"), let object = registry.find(.nodes, name: node) { subject.node = (node, object.uid) }
        }
        let named = document.items("spec", "audiences").compactMap { $0.text() }
        let audiences = named.isEmpty ? authenticator.tokens.audiences : named
        let made: (text: String, expires: WallTime)
        do throws(Refusal) {
            made = try authenticator.tokens.make(
                subject, audiences: audiences, now: registry.wall(), lifetime: min(.seconds(asked), limits.tokenLifetimeMax), id: registry.makeUID())
        } catch {
            throw .internalError(error.reason)
        }
        var answer = document
        answer.fill(.string("TokenRequest"), "kind")
        answer.fill(.string("authentication.k8s.io/v1"), "apiVersion")
        answer.put(.members(["name": .string(account.name), "namespace": .string(account.namespace), "creationTimestamp": registry.timestamp]), at: "metadata")
        answer.put(.array(audiences.map { .string($0) }), at: "spec", "audiences")
        answer.put(.int(asked), at: "spec", "expirationSeconds")
        answer.put(.members(["token": .string(made.text), "expirationTimestamp": .string(made.expires.description)]), at: "status")
        return answer
    }

    private func bind(_ request: APIRequest, _ document: Value, _ done: @escaping Done) throws(KubeStatus) {
        guard let node = document.text("target", "name"), !node.isEmpty else {
            throw .invalid(kind: "Binding", group: "", name: request.name, [.required("target.name")])
        }
        let pod = KubeObject(try registry.get(request.kind, request.key))
        if let bound = pod.value.text("spec", "nodeName") { throw .conflict(request.kind, request.name, "pod \(request.name) is already assigned to node \"\(bound)\"") }
        try registry.bind(request.key, to: node)
        done(.success(.document(201, KubeStatus.success(KubeStatus.Details()))), [])
    }

    // MARK: Changing

    func update(_ request: APIRequest, _ done: @escaping Done) {
        do throws(KubeStatus) {
            try checkUpdatable(request)
            let document = try request.document()
            submitUpdate(request, try WriteOptions(request.query), isReplacement: true, done) { _ in document }
        } catch {
            done(.failure(error), [])
        }
    }

    func patch(_ request: APIRequest, _ done: @escaping Done) {
        do throws(KubeStatus) {
            try checkUpdatable(request)
            var options = try WriteOptions(request.query)
            let patch = try Patch(mediaType: request.mediaType, body: request.body, kind: request.kind)
            let time = registry.wall().description
            if case .apply(let wish) = patch {
                guard !options.fieldOwner.isEmpty else {
                    throw .invalid(kind: "PatchOptions", group: "meta.k8s.io", name: "", [.required("fieldManager", "is required for apply patch")])
                }
                if registry.store.object(request.kind.collection, request.key) == nil { return applyNew(request, wish, options, time, done) }
            } else if options.isForced {
                throw .invalid(kind: "PatchOptions", group: "meta.k8s.io", name: "", [.forbidden("force", "may not be specified for non-apply patch")])
            }
            if request.subresource == "scale" { options.isStrict = false }
            submitUpdate(request, options, isReplacement: false, done, isApply: request.mediaType == "application/apply-patch+yaml") { (document) throws(KubeStatus) in
                try patch.applied(to: document, request.kind, request.version, subresource: request.subresource, options, time: time)
            }
        } catch {
            done(.failure(error), [])
        }
    }

    /// Apply of what does not exist is creation.
    private func applyNew(_ request: APIRequest, _ wish: Value, _ options: WriteOptions, _ time: String, _ done: @escaping Done) {
        guard request.subresource.isEmpty else { return done(.failure(.notFound(request.kind, request.name)), []) }
        writer.submit(attempts: 1) { () throws(KubeStatus) in
            if let name = wish.text("metadata", "name"), name != request.name { throw KubeStatus.badRequest("the name of the object (\(name)) does not match the name on the URL (\(request.name))") }
            let apply = ServerSideApply(request.kind, request.version, subresource: "", time: time)
            let merged = try apply.apply(wish, to: .object(Object()), manager: options.fieldOwner, isForced: options.isForced)
            var pending = try registry.prepareCreate(request.kind, request.version, namespace: request.namespace ?? "", merged, request.caller, options)
            pending.object.put(merged.member("metadata", "managedFields"), at: "metadata", "managedFields")
            return pending
        } _: { result in
            finish(result, request, status: 201, done)
        }
    }

    private func checkUpdatable(_ request: APIRequest) throws(KubeStatus) {
        if request.kind.isVirtual { throw .methodNotAllowed }
        switch request.subresource {
        case "": return
        case "status": if !request.version.hasStatus { throw .pathNotFound }
        case "scale": if request.version.scale == nil { throw .pathNotFound }
        case "finalize": if request.kind.name != "namespaces" { throw .pathNotFound }
        default: throw .pathNotFound
        }
    }

    private func submitUpdate(
        _ request: APIRequest, _ options: WriteOptions, isReplacement: Bool, _ done: @escaping Done, isApply: Bool = false, _ change: @escaping (Value) throws(KubeStatus) -> Value
    ) {
        let manager = request.manager(options)
        writer.submit(attempts: registry.limits.patchAttemptsMax) { () throws(KubeStatus) in
            var pending = try registry.prepareUpdate(
                request.kind, request.version, request.key, subresource: request.subresource, isReplacement: isReplacement && request.subresource != "scale", request.caller, options
            ) { (current) throws(KubeStatus) in
                guard request.subresource == "scale", let paths = request.version.scale else { return try change(current) }
                return try Scale.applied(try change(Scale.document(current, paths)), to: current, paths, request.kind)
            }
            if !isApply, let old = pending.old {
                ServerSideApply(request.kind, request.version, subresource: request.subresource, time: registry.wall().description).track(&pending.object, old: old, manager: manager)
            }
            return pending
        } _: { result in
            guard request.subresource == "scale", let paths = request.version.scale else { return finish(result, request, status: 200, done) }
            done(result.map { .document(200, Scale.document($0.object, paths)) }, [])
        }
    }

    // MARK: Deleting

    func delete(_ request: APIRequest, _ done: @escaping Done) {
        let options: DeleteOptions
        do throws(KubeStatus) {
            guard request.subresource.isEmpty, !request.kind.isVirtual else { throw KubeStatus.methodNotAllowed }
            options = try DeleteOptions(request.body.isEmpty ? nil : try request.document(), request.query)
        } catch {
            return done(.failure(error), [])
        }
        writer.submit(attempts: registry.limits.patchAttemptsMax, deletion: options) { () throws(KubeStatus) in
            try registry.prepareDelete(request.kind, request.version, request.key, options, request.caller)
        } _: { result in
            done(
                result.map { written in
                    guard written.isGone, request.kind.name != "pods" else { return .object(200, written.object, request.kind, request.version) }
                    return .document(
                        200,
                        KubeStatus.success(
                            KubeStatus.Details(name: request.name, group: request.kind.group, kind: request.kind.plural, uid: written.object.text("metadata", "uid") ?? "")))
                }, [])
        }
    }

    func deleteCollection(_ request: APIRequest, _ done: @escaping Done) {
        do throws(KubeStatus) {
            guard !request.kind.isVirtual, !request.kind.isNamespaced || request.namespace != nil else { throw KubeStatus.methodNotAllowed }
            let options = try DeleteOptions(request.body.isEmpty ? nil : try request.document(), request.query)
            var query = request.query
            query.items.removeAll { $0.name == "limit" || $0.name == "continue" }
            let page = try registry.list(request.kind, try registry.selection(request.kind, request.version, namespace: request.namespace, name: nil, query), query)
            var left = page.items.count
            var failure: KubeStatus?
            if left == 0 { return done(.success(.list(page, request.kind, request.version)), []) }
            for item in page.items {
                let object = KubeObject(item)
                writer.submit(attempts: registry.limits.patchAttemptsMax, deletion: options) { () throws(KubeStatus) in
                    try registry.prepareDelete(request.kind, request.version, object.key, options, request.caller)
                } _: { result in
                    if case .failure(let status) = result, status.reason != .notFound { failure = failure ?? status }
                    left -= 1
                    if left == 0 { done(failure.map { .failure($0) } ?? .success(.list(page, request.kind, request.version)), []) }
                }
            }
        } catch {
            done(.failure(error), [])
        }
    }

    private func finish(_ result: Result<Writer.Written, KubeStatus>, _ request: APIRequest, status: UInt16, _ done: Done) {
        switch result {
        case .failure(let failure): done(.failure(failure), [])
        case .success(let written): done(.success(.object(status, written.object, request.kind, request.version)), written.pending.warnings)
        }
    }
}

/// The size of a kind that can be scaled, as a document of its own. Source: k8s.io/api/autoscaling/v1 Scale.
enum Scale {
    static func document(_ object: Value, _ paths: ScalePaths) -> Value {
        let selector: String? = paths.labelSelector.flatMap { path in
            guard let value = object.member(at: path) else { return nil }
            if let text = value.text() { return text }
            if case .object(let members) = value, members["matchLabels"] == nil, members["matchExpressions"] == nil { return LabelSelector(labels: value.entries()).description }
            return LabelSelector(structured: value)?.description
        }
        return .members([
            "kind": .string("Scale"), "apiVersion": .string("autoscaling/v1"),
            "metadata": .members([
                "name": object.member("metadata", "name"), "namespace": object.member("metadata", "namespace"), "uid": object.member("metadata", "uid"),
                "resourceVersion": object.member("metadata", "resourceVersion"), "creationTimestamp": object.member("metadata", "creationTimestamp"),
            ]),
            "spec": .members(["replicas": object.member(at: paths.specReplicas) ?? .int(0)]),
            "status": .members(["replicas": object.member(at: paths.statusReplicas) ?? .int(0), "selector": selector.map { .string($0) }]),
        ])
    }

    static func applied(_ scale: Value, to object: Value, _ paths: ScalePaths, _ kind: ServedKind) throws(KubeStatus) -> Value {
        let replicas = scale.number("spec", "replicas") ?? 0
        guard replicas >= 0 else {
            throw .invalid(kind: "Scale", group: "autoscaling", name: scale.text("metadata", "name") ?? "", [.invalid("spec.replicas", .int(replicas), "must be greater than or equal to 0")])
        }
        var object = object
        if let version = scale.text("metadata", "resourceVersion"), !version.isEmpty { object.put(.string(version), at: "metadata", "resourceVersion") }
        object.put(.int(replicas), at: paths.specReplicas)
        return object
    }
}

extension Registry {
    /// Assigns a pod to a node, as the scheduler does.
    func bind(_ key: KubeKey, to node: String) throws(KubeStatus) {
        let kind = kind(.pods)
        var object = try get(kind, key)
        object.put(.string(node), at: "spec", "nodeName")
        var conditions = object.items("status", "conditions").filter { $0.text("type") != "PodScheduled" }
        conditions.append(.members(["type": .string("PodScheduled"), "status": .string("True"), "lastProbeTime": .null, "lastTransitionTime": timestamp]))
        object.put(.array(conditions), at: "status", "conditions")
        store.put(kind.collection, key, object)
    }
}
