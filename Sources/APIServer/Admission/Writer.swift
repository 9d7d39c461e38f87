// The one way by which requests and controllers write: make the new state, let admission see it, commit; and again from the
// start when somebody else was faster and the change does not depend on the version.

import Documents
import Kube

final class Writer {
    struct Written {
        /// The state after the write; of a deletion, the last state.
        var object: Value
        var isGone = false
        var pending: PendingWrite
    }

    let registry: Registry
    let admission: Admission

    init(registry: Registry, admission: Admission) {
        self.registry = registry
        self.admission = admission
    }

    /// `make` is called again after a conflict. `done` may be called inside this call.
    func submit(attempts: Int, deletion: DeleteOptions? = nil, _ make: @escaping () throws(KubeStatus) -> PendingWrite, _ done: @escaping (Result<Written, KubeStatus>) -> Void) {
        let pending: PendingWrite
        do throws(KubeStatus) {
            pending = try make()
        } catch {
            return done(.failure(error))
        }
        admission.admit(pending) { [self] result in
            switch result {
            case .failure(let status): done(.failure(status))
            case .success(let admitted):
                do throws(KubeStatus) {
                    done(.success(try commit(admitted, deletion)))
                } catch {
                    guard error.reason == .conflict, attempts > 1 else { return done(.failure(error)) }
                    submit(attempts: attempts - 1, deletion: deletion, make, done)
                }
            }
        }
    }

    private func commit(_ pending: PendingWrite, _ deletion: DeleteOptions?) throws(KubeStatus) -> Written {
        switch pending.operation {
        case .create: return Written(object: try registry.commitCreate(pending), pending: pending)
        case .update:
            let object = try registry.commitUpdate(pending)
            return Written(object: object, isGone: registry.store.object(pending.kind.collection, pending.key) == nil, pending: pending)
        case .delete:
            let result = try registry.delete(pending.kind, pending.key, deletion ?? DeleteOptions())
            return Written(object: result.object, isGone: result.isGone, pending: pending)
        }
    }

    // MARK: For controllers

    func create(_ resource: KubeResource, namespace: String, _ document: Value, _ done: @escaping (KubeStatus?) -> Void = { _ in }) {
        let kind = registry.kind(resource)
        submit(attempts: 1) { [registry] () throws(KubeStatus) in
            try registry.prepareCreate(kind, kind.versions[0], namespace: namespace, document, .controller, WriteOptions())
        } _: { result in
            if case .failure(let status) = result { done(status) } else { done(nil) }
        }
    }

    func delete(_ kind: ServedKind, _ key: KubeKey, _ options: DeleteOptions = DeleteOptions()) {
        submit(attempts: registry.limits.patchAttemptsMax, deletion: options) { [registry] () throws(KubeStatus) in
            try registry.prepareDelete(kind, kind.versions[0], key, options, .controller)
        } _: { _ in }
    }
}
