// The four patch formats as one: a function from the present document to the wanted one.

import Documents
import Kube
import OrderedCollections

enum Patch {
    case json(JSONPatch)
    case merge(Value)
    case strategic(Value)
    case apply(Value)

    static let mediaTypes = ["application/json-patch+json", "application/merge-patch+json", "application/strategic-merge-patch+json", "application/apply-patch+yaml"]

    init(mediaType: String, body: [UInt8], kind: ServedKind) throws(KubeStatus) {
        let accepted = kind.isCustom ? Self.mediaTypes.filter { $0 != "application/strategic-merge-patch+json" } : Self.mediaTypes
        guard accepted.contains(mediaType) else { throw .unsupportedMediaType(accepted) }
        let document: Value
        do throws(DocumentError) {
            if mediaType == "application/apply-patch+yaml" {
                let documents = try YAML.parse(body)
                guard documents.count == 1 else { throw DocumentError(line: 1, column: 1, reason: "one document is expected") }
                document = documents[0].value
            } else {
                document = try Value(json: body)
            }
        } catch {
            throw .badRequest("error decoding patch: \(error)")
        }
        switch mediaType {
        case "application/json-patch+json":
            do throws(JSONPatchError) {
                self = .json(try JSONPatch(document))
            } catch {
                throw .badRequest("error decoding patch: \(error)")
            }
        case "application/merge-patch+json": self = .merge(document)
        case "application/strategic-merge-patch+json": self = .strategic(document)
        default: self = .apply(document)
        }
    }

    func applied(to document: Value, _ kind: ServedKind, _ version: ServedVersion, subresource: String, _ options: WriteOptions, time: String) throws(KubeStatus) -> Value {
        switch self {
        case .json(let patch):
            do throws(JSONPatchError) {
                return try patch.apply(to: document)
            } catch {
                throw KubeStatus(code: 422, reason: .invalid, message: "the server rejected our request due to an error in our request: \(error)", details: KubeStatus.Details())
            }
        case .merge(let patch): return document.merged(with: patch)
        case .strategic(let patch): return try StrategicMerge.apply(patch, to: document, Structure(kind, version))
        case .apply(let wish):
            return try ServerSideApply(kind, version, subresource: subresource, time: time).apply(wish, to: document, manager: options.fieldOwner, isForced: options.isForced)
        }
    }
}
