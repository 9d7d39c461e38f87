// A registry without network and clock, and short words for objects, for tests of the rules themselves.

import Base
import Documents
import Kube
import Testing

@testable import APIServer

final class RegistryBench {
    let registry: Registry
    var seconds: Int64 = 1_700_000_000

    init(limits: APIServerLimits = APIServerLimits()) {
        var time: () -> WallTime = { WallTime(seconds: 0) }
        registry = Registry(limits: limits, serviceNetwork: IPNetwork("10.96.0.0/12")!, random: Random(seed: 1), wall: { time() })
        time = { [unowned self] in WallTime(seconds: seconds) }
        make(.namespaces, "", ["metadata": ["name": "default"]])
    }

    @discardableResult
    func make(_ resource: KubeResource, _ namespace: String, _ document: Value) -> KubeObject {
        var document = document
        document.put(.string(resource.apiVersion), at: "apiVersion")
        document.put(.string(resource.kind), at: "kind")
        do {
            return try registry.create(resource, namespace: namespace, document)
        } catch {
            Issue.record("\(error)")
            return KubeObject(.null)
        }
    }

    func configMap(_ name: String, labels: [(String, String)] = [], value: String = "1") -> Value {
        var object: Value = ["metadata": ["name": .string(name)], "data": ["key": .string(value)]]
        for (key, text) in labels { object.put(.string(text), at: "metadata", "labels", key) }
        return object
    }

    func status(_ body: () throws -> Void) -> KubeStatus? {
        do {
            try body()
            return nil
        } catch {
            return error as? KubeStatus
        }
    }

    func list(_ resource: KubeResource, _ query: String = "", namespace: String? = "default") throws(KubeStatus) -> Registry.Page {
        let kind = registry.kind(resource)
        let query = Query(query[...])
        return try registry.list(kind, try registry.selection(kind, kind.versions[0], namespace: namespace, name: nil, query), query)
    }

    func watch(_ resource: KubeResource, _ query: String, namespace: String? = "default") throws(KubeStatus) -> WatchCursor {
        let kind = registry.kind(resource)
        let query = Query(query[...])
        return try registry.watch(kind, try registry.selection(kind, kind.versions[0], namespace: namespace, name: nil, query), query).cursor
    }

    func drain(_ cursor: inout WatchCursor) throws(KubeStatus) -> [String] {
        var seen: [String] = []
        while let change = try cursor.next(in: registry.store) { seen.append("\(change.kind) \(change.object.text("metadata", "name") ?? "")") }
        return seen
    }

    func delete(_ resource: KubeResource, _ name: String, namespace: String = "default", _ options: DeleteOptions = DeleteOptions()) throws(KubeStatus) -> Bool {
        let kind = registry.kind(resource)
        return try registry.delete(kind, kind.key(namespace: namespace, name: name), options).isGone
    }
}

extension Value: ExpressibleByStringLiteral, ExpressibleByIntegerLiteral, ExpressibleByBooleanLiteral, ExpressibleByArrayLiteral, ExpressibleByDictionaryLiteral {
    public init(stringLiteral value: String) { self = .string(value) }
    public init(integerLiteral value: Int64) { self = .int(value) }
    public init(booleanLiteral value: Bool) { self = .bool(value) }
    public init(arrayLiteral elements: Value...) { self = .array(elements) }
    public init(dictionaryLiteral elements: (String, Value)...) {
        var value = Value.object([:])
        for (key, member) in elements { value.put(member, at: key) }
        self = value
    }
}
