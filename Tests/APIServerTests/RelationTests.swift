// What controllers are told of their pods without looking at everybody's, against what a look at everybody's says.

import Base
import Documents
import Kube
import OrderedCollections
import Testing

@testable import APIServer

@Suite struct `Relations of objects` {
    @Test func `are those that a look at all objects finds, whatever happened before`() {
        let store = ObjectStore(historyMax: 10)
        let pods = store.collection(named: "pods")
        let other = store.collection(named: "others")
        let relations = Relations(store, following: [pods])
        var random = Random(seed: 11)
        func object(_ key: KubeKey) -> Value {
            var object = KubeObject(.pods, namespace: key.namespace, name: key.name)
            for name in ["app", "tier"] where random.chance(2, in: 3) { object.labels[name] = "v\(random.below(3))" }
            if random.chance(2, in: 3) { object.ownerReferences = [KubeOwner(controlling: KubeObject(Value.members(["apiVersion": .string("apps/v1"), "kind": .string("ReplicaSet"), "metadata": .members(["name": .string("set"), "uid": .string("u\(random.below(3))")])])))] }
            return object.value
        }
        for step in 0..<2000 {
            let key = KubeKey("n\(random.below(2))", "p\(random.below(40))")
            if random.chance(1, in: 3) { store.remove(pods, key) } else { store.put(pods, key, object(key)) }
            store.put(other, key, object(key))
            guard step % 10 == 0 else { continue }
            for namespace in ["n0", "n1"] {
                let all = store.objects(pods, namespace: namespace).map { KubeObject($0) }
                for uid in ["", "u0", "u1", "u2"] {
                    #expect(relations.controlled(pods, by: uid, in: namespace).map(\.name) == all.filter { ($0.controller?.uid ?? "") == uid }.map(\.name))
                }
                for labels in [["app": "v0"], ["tier": "v2"], ["app": "v1", "tier": "v1"], ["app": "v9"]] as [KubeLabels] {
                    let expected = all.filter { object in labels.allSatisfy { object.labels[$0.key] == $0.value } }
                    #expect(relations.labelled(pods, labels, in: namespace).map(\.name) == expected.map(\.name))
                }
            }
        }
    }

    @Test func `lines of watches are made once, and forgotten in the order in which they were made`() {
        let lines = WatchLines(countMax: 3)
        var made: [UInt64] = []
        func line(_ change: UInt64, _ type: String = "ADDED") -> [UInt8] {
            lines.line(WatchLines.Key(change: change, kind: "pods", version: "v1", type: type)) {
                made.append(change)
                return [UInt8(change)]
            }
        }
        for change in [1, 2, 1, 3, 2, 3] as [UInt64] { #expect(line(change) == [UInt8(change)]) }
        #expect(made == [1, 2, 3])
        _ = line(1, "DELETED")
        _ = line(2)
        _ = line(1)
        #expect(made == [1, 2, 3, 1, 1])
    }
}
