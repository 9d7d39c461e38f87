// A write on its way from request to store. Admission stands between its making and its commit and may take long; the commit
// therefore checks again what may have changed meanwhile.

import Documents
import Kube
import OrderedCollections

struct WriteOptions {
    var isDryRun = false
    /// Who owns the fields that server-side apply sets.
    var fieldOwner = ""
    /// Apply takes over fields of other managers.
    var isForced = false
    /// Unknown fields are an error instead of being dropped.
    var isStrict = false
    /// Unknown fields are dropped without a word.
    var isSilent = false

    init() {}

    init(_ query: Query) throws(KubeStatus) {
        if let dryRun = query["dryRun"] {
            guard dryRun == "All" else { throw .badRequest("invalid dryRun value \"\(dryRun)\": must be All") }
            isDryRun = true
        }
        fieldOwner = query["fieldManager"] ?? ""
        isForced = query.flag("force")
        let validation = query["fieldValidation"] ?? "Warn"
        guard ["Strict", "Warn", "Ignore"].contains(validation) else {
            throw .invalid(kind: "PatchOptions", group: "meta.k8s.io", name: "", [.notSupported("fieldValidation", .string(validation), ["", "Ignore", "Warn", "Strict"])])
        }
        isStrict = validation == "Strict"
        isSilent = validation == "Ignore"
    }
}

struct PendingWrite {
    enum Operation: String { case create = "CREATE", update = "UPDATE", delete = "DELETE" }

    let kind: ServedKind
    let version: ServedVersion
    var key: KubeKey
    var subresource = ""
    let operation: Operation
    /// The stored state that the write was made from; nil for a creation.
    let old: Value?
    /// In the storage version. Of a deletion: the state that is to be deleted.
    var object: Value
    let caller: Caller
    let options: WriteOptions
    /// Said to the client besides the answer.
    var warnings: [String] = []
}
