// The rules of the API between requests and the store: what may be read and written, and what a write does to metadata.
// Knows nothing of HTTP; the server, the controllers and the loading of manifests all come through here.

import Base
import Documents
import Kube
import OrderedCollections

final class Registry {
    let store: ObjectStore
    /// Of pods, ReplicaSets and EndpointSlices.
    private(set) var relations: Relations!
    let catalog = Catalog()
    let limits: APIServerLimits
    let wall: () -> WallTime
    private var random: Random
    /// Addresses of services; nil until options are known.
    var serviceAddresses: ServiceAddresses
    /// Controllers say what they did, as events.
    var recordsEvents = false
    /// Refuses a write that gives somebody more than its caller has; nil: access is not enforced.
    var checkEscalation: ((PendingWrite) throws(KubeStatus) -> Void)?
    /// Hears that kinds have come or gone.
    var onCatalogChange: () -> Void = {}

    init(limits: APIServerLimits, serviceNetwork: IPNetwork, random: Random, wall: @escaping () -> WallTime) {
        store = ObjectStore(historyMax: limits.historyChangesMax)
        self.limits = limits
        self.random = random
        self.wall = wall
        serviceAddresses = ServiceAddresses(network: serviceNetwork)
        for builtIn in BuiltInKind.all { catalog.register(builtIn.served(in: store)) }
        relations = Relations(store, following: [KubeResource.pods, .replicaSets, .endpointSlices].map { kind($0).collection })
    }

    // MARK: Chance

    /// A version 4 UUID (RFC 9562).
    func makeUID() -> String {
        var bytes = [UInt8](repeating: 0, count: 16)
        bytes.withUnsafeMutableBytes { random.fill($0) }
        bytes[6] = bytes[6] & 0x0f | 0x40
        bytes[8] = bytes[8] & 0x3f | 0x80
        let digits = Array("0123456789abcdef".utf8)
        var text: [UInt8] = []
        for (i, byte) in bytes.enumerated() {
            if [4, 6, 8, 10].contains(i) { text.append(0x2d) }
            text += [digits[Int(byte >> 4)], digits[Int(byte & 15)]]
        }
        return String(decoding: text, as: UTF8.self)
    }

    /// Five characters that spell no word. Source: k8s.io/apimachinery pkg/util/rand.
    func makeSuffix() -> String {
        String(decoding: (0..<5).map { _ in Names.suffixAlphabet[random.below(Names.suffixAlphabet.count)] }, as: UTF8.self)
    }

    var timestamp: Value { .string(wall().description) }

    // MARK: Kinds

    func kind(_ resource: KubeResource) -> ServedKind {
        guard let kind = catalog.kind(group: resource.group, plural: resource.plural) else { invariantBroken("the server's own code names kinds that are served") }
        return kind
    }

    /// The object as this version shows it.
    func shown(_ object: Value, _ kind: ServedKind, _ version: ServedVersion) -> Value { kind.shown(object, version) }

    // MARK: Reading

    func get(_ kind: ServedKind, _ key: KubeKey) throws(KubeStatus) -> Value {
        guard let object = store.object(kind.collection, key) else { throw .notFound(kind, key.name) }
        return object
    }

    /// For the server's own code.
    func find(_ resource: KubeResource, namespace: String = "", name: String) -> KubeObject? {
        store.object(kind(resource).collection, KubeKey(namespace, name)).map { KubeObject($0) }
    }

    func all(_ resource: KubeResource, namespace: String? = nil) -> [KubeObject] {
        store.objects(kind(resource).collection, namespace: namespace).map { KubeObject($0) }
    }

    /// Those of a followed kind that this object controls.
    func controlled(_ resource: KubeResource, by owner: KubeObject) -> [KubeObject] { relations.controlled(kind(resource).collection, by: owner.uid, in: owner.namespace) }

    struct Page {
        var items: [Value]
        var version: UInt64
        var continueToken: String?
        var remaining: Int?
    }

    func list(_ kind: ServedKind, _ selection: Selection, _ query: Query) throws(KubeStatus) -> Page {
        var version = store.version
        var start: KubeKey?
        if let token = query["continue"] {
            guard let place = ContinueToken(token) else { throw .badRequest("continue key is not valid") }
            if place.version < store.compacted(kind.collection) {
                throw .expired("The provided continue parameter is too old to display a consistent list result. You can start a new list without the continue parameter.")
            }
            version = place.version
            start = place.start
        } else if let asked = query["resourceVersion"] {
            guard let number = UInt64(asked) else { throw .badRequest("invalid resource version: \(asked)") }
            if number > version { throw .versionTooLarge(number, version) }
            if query["resourceVersionMatch"] == "Exact" {
                if number < store.compacted(kind.collection) { throw .expired("The resourceVersion for the provided list is too old.") }
                version = number
            }
        }
        var rows = store.state(kind.collection, at: version, namespace: selection.namespace)[...]
        if let start { rows = rows[rows.lowerBound { !(start < $0.key) }...] }
        let limit = query.number("limit").map { Int(clamping: $0) } ?? 0
        var page = Page(items: [], version: version)
        var last: KubeKey?
        while let row = rows.first {
            if selection.matches(row.key, row.object) {
                if limit > 0, page.items.count == limit, let last {
                    page.continueToken = ContinueToken(version: version, start: last).text
                    if selection.labels.isEmpty, selection.fields.isEmpty { page.remaining = rows.count }
                    break
                }
                page.items.append(row.object)
                last = row.key
            }
            rows.removeFirst()
        }
        return page
    }

    /// A watch from the version that the query names, and the objects to begin with.
    func watch(_ kind: ServedKind, _ selection: Selection, _ query: Query) throws(KubeStatus) -> (cursor: WatchCursor, initial: [Value]) {
        let asked = query["resourceVersion"]
        guard let number = UInt64(asked ?? "0") else { throw .badRequest("invalid resource version: \(asked ?? "")") }
        if number > store.version { throw .versionTooLarge(number, store.version) }
        if query.flag("sendInitialEvents") || number == 0 {
            let initial = store.state(kind.collection, at: store.version, namespace: selection.namespace).filter { selection.matches($0.key, $0.object) }.map(\.object)
            return (WatchCursor(collection: kind.collection, selection: selection, version: store.version), initial)
        }
        return (WatchCursor(collection: kind.collection, selection: selection, version: number), [])
    }

    /// Selectors of a list, watch or deletion of many.
    func selection(_ kind: ServedKind, _ version: ServedVersion, namespace: String?, name: String?, _ query: Query) throws(KubeStatus) -> Selection {
        var selection = Selection(namespace: namespace)
        do {
            if let text = query["labelSelector"] { selection.labels = try LabelSelector(parsing: text) }
            if let text = query["fieldSelector"] { selection.fields = try FieldSelector(parsing: text) }
        } catch {
            throw .badRequest(error.message)
        }
        if let name { selection.fields.requirements.append(FieldSelector.Requirement("metadata.name", name)) }
        for requirement in selection.fields.requirements where !["metadata.name", "metadata.namespace"].contains(requirement.field) && !version.selectableFields.contains(requirement.field) {
            throw .badRequest("Unable to find \"\(kind.apiVersion(version.name)), Resource=\(kind.plural)\" that match label selector \"\(selection.labels)\", field selector \"\(selection.fields)\": field label not supported: \(requirement.field)")
        }
        return selection
    }
}

/// Where the next page of a list begins: opaque to clients.
struct ContinueToken {
    var version: UInt64
    /// The last key of the page before.
    var start: KubeKey

    init(version: UInt64, start: KubeKey) {
        self.version = version
        self.start = start
    }

    init?(_ text: String) {
        guard let bytes = base64Decoded(text, isURL: true), let value = try? Value(json: bytes), value.text("v") == "meta.k8s.io/v1",
            let version = value.number("rv").flatMap({ UInt64(exactly: $0) }), let start = value.text("start")
        else { return nil }
        let parts = start.split(separator: "/", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
        guard parts.count == 2 else { return nil }
        self.init(version: version, start: KubeKey(parts[0], parts[1]))
    }

    var text: String {
        base64URL(Array(Value.members(["v": .string("meta.k8s.io/v1"), "rv": .int(Int64(version)), "start": .string("\(start.namespace)/\(start.name)")]).json().utf8))
    }
}

/// Base64 in the URL alphabet without padding (RFC 4648 section 5).
func base64URL(_ bytes: [UInt8]) -> String {
    String(base64Encoded(bytes).compactMap { $0 == "+" ? "-" : $0 == "/" ? "_" : $0 == "=" ? nil : $0 })
}
