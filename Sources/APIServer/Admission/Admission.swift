// Admission: webhooks that change a write and webhooks that judge it, in the order of their configurations. Between the two
// stands our own validation. What a webhook is asked and how its answer counts is here; the calling itself is `WebhookCall`.
// Source: kubernetes.io/docs/reference/access-authn-authz/extensible-admission-controllers; k8s.io/apiserver pkg/admission/plugin/webhook.

import Base
import Documents
import Kube
import OrderedCollections

final class Admission {
    private let registry: Registry
    /// Sends an AdmissionReview to a webhook.
    private let call: (Webhook, Value, @escaping (Result<Value, Refusal>) -> Void) -> Void
    private let log: (String) -> Void

    init(registry: Registry, log: @escaping (String) -> Void, call: @escaping (Webhook, Value, @escaping (Result<Value, Refusal>) -> Void) -> Void) {
        self.registry = registry
        self.log = log
        self.call = call
    }

    /// `done` is called inside this call when no webhook is concerned.
    func admit(_ pending: PendingWrite, _ done: @escaping (Result<PendingWrite, KubeStatus>) -> Void) {
        // The configurations themselves are beyond webhooks, or a broken one could not be removed.
        if pending.kind.group == "admissionregistration.k8s.io" { return finish(pending, [], done) }
        let mutating = webhooks(.mutatingWebhookConfigurations, pending)
        let validating = webhooks(.validatingWebhookConfigurations, pending)
        mutate(pending, mutating[...]) { [self] result in
            switch result {
            case .failure: done(result)
            case .success(let changed): finish(changed, validating, done)
            }
        }
    }

    private func finish(_ pending: PendingWrite, _ validating: [Webhook], _ done: @escaping (Result<PendingWrite, KubeStatus>) -> Void) {
        do throws(KubeStatus) {
            try registry.validate(pending)
        } catch {
            return done(.failure(error))
        }
        judge(pending, validating[...], done)
    }

    // MARK: Which webhooks

    private func webhooks(_ resource: KubeResource, _ pending: PendingWrite) -> [Webhook] {
        registry.all(resource).flatMap { configuration in
            configuration.value.items("webhooks").compactMap { hook in
                concerns(hook, pending) ? Webhook(value: hook, isMutating: resource == .mutatingWebhookConfigurations) : nil
            }
        }
    }

    private func concerns(_ hook: Value, _ pending: PendingWrite) -> Bool {
        let isNamed = hook.items("rules").contains { rule in
            func holds(_ member: String, _ word: String) -> Bool { rule.items(member).contains { $0.text() == "*" || $0.text() == word } }
            let full = pending.subresource.isEmpty ? pending.kind.plural : "\(pending.kind.plural)/\(pending.subresource)"
            let scope = rule.text("scope") ?? "*"
            return holds("operations", pending.operation.rawValue) && holds("apiGroups", pending.kind.group)
                && pending.kind.versions.contains { holds("apiVersions", $0.name) }
                && rule.items("resources").compactMap { $0.text() }.contains { $0 == full || $0 == "*/*" || $0 == "*" && pending.subresource.isEmpty || $0 == "\(pending.kind.plural)/*" || $0 == "*/\(pending.subresource)" }
                && (scope == "*" || (scope == "Namespaced") == pending.kind.isNamespaced)
        }
        guard isNamed else { return false }
        if let selector = hook.member("namespaceSelector").flatMap({ LabelSelector(structured: $0) }), !selector.isEmpty {
            if pending.kind.name == "namespaces" {
                if !selector.matches(pending.object.entries("metadata", "labels")) { return false }
            } else if pending.kind.isNamespaced {
                guard let namespace = registry.find(.namespaces, name: pending.key.namespace), selector.matches(namespace.labels) else { return false }
            }
        }
        if let selector = hook.member("objectSelector").flatMap({ LabelSelector(structured: $0) }), !selector.isEmpty {
            let matchesOld = pending.old.map { selector.matches($0.entries("metadata", "labels")) } ?? false
            if !matchesOld, !selector.matches(pending.object.entries("metadata", "labels")) { return false }
        }
        // Match conditions are written in CEL, which this server does not read: the webhook is called, and may decide the same itself.
        return true
    }

    // MARK: Asking

    private func mutate(_ pending: PendingWrite, _ hooks: ArraySlice<Webhook>, _ done: @escaping (Result<PendingWrite, KubeStatus>) -> Void) {
        guard let hook = hooks.first else { return done(.success(pending)) }
        ask(hook, pending) { [self] result in
            switch result {
            case .failure(let status): done(.failure(status))
            case .success(let response):
                var changed = pending
                if let response {
                    do throws(KubeStatus) {
                        changed.object = try patched(pending, by: response, hook)
                        changed.warnings += response.items("warnings").compactMap { $0.text() }
                        // A webhook may have added what has defaults of its own, such as a container.
                        try registry.complete(&changed)
                    } catch {
                        return done(.failure(error))
                    }
                }
                mutate(changed, hooks.dropFirst(), done)
            }
        }
    }

    private func judge(_ pending: PendingWrite, _ hooks: ArraySlice<Webhook>, _ done: @escaping (Result<PendingWrite, KubeStatus>) -> Void) {
        guard let hook = hooks.first else { return done(.success(pending)) }
        ask(hook, pending) { [self] result in
            switch result {
            case .failure(let status): done(.failure(status))
            case .success(let response):
                var pending = pending
                pending.warnings += response?.items("warnings").compactMap { $0.text() } ?? []
                judge(pending, hooks.dropFirst(), done)
            }
        }
    }

    /// The response when it allows; nil when the webhook failed and may fail.
    private func ask(_ hook: Webhook, _ pending: PendingWrite, _ done: @escaping (Result<Value?, KubeStatus>) -> Void) {
        let uid = registry.makeUID()
        if pending.options.isDryRun, !["None", "NoneOnDryRun"].contains(hook.value.text("sideEffects")) {
            return done(.failure(.badRequest("admission webhook \"\(hook.name)\" does not support dry run")))
        }
        call(hook, review(pending, uid: uid)) { [self] result in
            let failure: String
            switch result {
            case .success(let document):
                if let response = document.member("response"), response.text("uid") == uid {
                    return done(response.flag("allowed") == true ? .success(response) : .failure(denial(hook, response)))
                }
                failure = "expected response.uid=\"\(uid)\""
            case .failure(let refusal): failure = refusal.reason
            }
            log("webhook \(hook.name) failed: \(failure)")
            if hook.value.text("failurePolicy") == "Ignore" { return done(.success(nil)) }
            done(.failure(.internalError("failed calling webhook \"\(hook.name)\": \(failure)")))
        }
    }

    private func denial(_ hook: Webhook, _ response: Value) -> KubeStatus {
        let code = response.number("status", "code").flatMap { UInt16(exactly: $0) }.flatMap { $0 >= 400 && $0 < 600 ? $0 : nil } ?? 400
        let reason = response.text("status", "message") ?? response.text("status", "reason")
        return KubeStatus(
            code: code, reason: response.text("status", "reason").flatMap { KubeStatus.Reason(rawValue: $0) } ?? (code == 403 ? .forbidden : .badRequest),
            message: "admission webhook \"\(hook.name)\" denied the request" + (reason.map { ": \($0)" } ?? " without explanation"))
    }

    private func patched(_ pending: PendingWrite, by response: Value, _ hook: Webhook) throws(KubeStatus) -> Value {
        guard let text = response.text("patch"), !text.isEmpty else { return pending.object }
        guard response.text("patchType") == "JSONPatch" else { throw .internalError("webhook \"\(hook.name)\": patchType must be JSONPatch") }
        guard let bytes = base64Decoded(text) else { throw .internalError("webhook \"\(hook.name)\": the patch is not base64") }
        do {
            return try JSONPatch(try Value(json: bytes)).apply(to: pending.object)
        } catch {
            throw .internalError("webhook \"\(hook.name)\": the patch does not apply: \(error)")
        }
    }

    private func review(_ pending: PendingWrite, uid: String) -> Value {
        let kind = pending.kind
        func triple(_ last: String, _ name: String) -> Value { .members(["group": .string(kind.group), "version": .string(kind.storageVersion), last: .string(name)] as KeyValuePairs<String, Value?>) }
        let isDeletion = pending.operation == .delete
        return .members([
            "kind": .string("AdmissionReview"), "apiVersion": .string("admission.k8s.io/v1"),
            "request": .members([
                "uid": .string(uid), "kind": triple("kind", kind.kind), "resource": triple("resource", kind.plural),
                "subResource": pending.subresource.isEmpty ? nil : .string(pending.subresource), "requestKind": triple("kind", kind.kind), "requestResource": triple("resource", kind.plural),
                "name": .string(pending.key.name), "namespace": kind.isNamespaced ? .string(pending.key.namespace) : nil, "operation": .string(pending.operation.rawValue),
                "userInfo": pending.caller.value, "object": isDeletion ? .null : pending.object, "oldObject": pending.old ?? .null, "dryRun": .bool(pending.options.isDryRun),
                "options": .members([
                    "kind": .string(isDeletion ? "DeleteOptions" : pending.operation == .create ? "CreateOptions" : "UpdateOptions"), "apiVersion": .string("meta.k8s.io/v1"),
                ]),
            ]),
        ])
    }
}

struct Webhook {
    /// An element of `webhooks`.
    let value: Value
    let isMutating: Bool

    var name: String { value.text("name") ?? "" }
    var timeout: Interval { .seconds(min(30, max(1, value.number("timeoutSeconds") ?? 10))) }
}
