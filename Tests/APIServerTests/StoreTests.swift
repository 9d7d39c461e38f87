// The store as watchers, readers of pages and writers at odds with each other see it.

import Base
import Documents
import Kube
import Testing

@testable import APIServer

@Suite struct StoreTests {
    @Test func `a list tells its version and later versions are greater`() throws {
        let bench = RegistryBench()
        let first = bench.make(.configMaps, "default", bench.configMap("a"))
        let second = bench.make(.configMaps, "default", bench.configMap("b"))
        #expect(UInt64(first.resourceVersion)! < UInt64(second.resourceVersion)!)
        #expect(try bench.list(.configMaps).version == UInt64(second.resourceVersion))
    }

    @Test func `pages of one list show one moment`() throws {
        let bench = RegistryBench()
        for name in ["a", "c", "e", "g"] { bench.make(.configMaps, "default", bench.configMap(name)) }
        let page = try bench.list(.configMaps, "limit=2")
        #expect(page.items.map { $0.text("metadata", "name") } == ["a", "c"])
        #expect(page.remaining == 2)
        // What happens between the pages must not be seen: one more, one changed, one gone.
        bench.make(.configMaps, "default", bench.configMap("f"))
        try bench.registry.update(.configMaps, namespace: "default", name: "e") { $0.value.put("2", at: "data", "key") }
        #expect(try bench.delete(.configMaps, "g"))
        let next = try bench.list(.configMaps, "limit=2&continue=\(page.continueToken!)")
        #expect(next.items.map { $0.text("metadata", "name") } == ["e", "g"])
        #expect(next.items[0].text("data", "key") == "1")
        #expect(next.version == page.version)
        #expect(next.continueToken == nil)
        #expect(try bench.list(.configMaps).items.map { $0.text("metadata", "name") } == ["a", "c", "e", "f"])
    }

    @Test func `a page of a forgotten moment is 410 Expired`() throws {
        let bench = RegistryBench()
        for name in ["a", "b", "c"] { bench.make(.configMaps, "default", bench.configMap(name)) }
        let page = try bench.list(.configMaps, "limit=1")
        bench.make(.configMaps, "default", bench.configMap("d"))
        bench.registry.store.compact()
        let status = bench.status { _ = try bench.list(.configMaps, "continue=\(page.continueToken!)") }
        #expect(status?.code == 410)
        #expect(status?.reason == .expired)
    }

    @Test func `a watch from a version sees every later change in order`() throws {
        let bench = RegistryBench()
        bench.make(.configMaps, "default", bench.configMap("a"))
        var cursor = try bench.watch(.configMaps, "resourceVersion=\(bench.registry.store.version)")
        bench.make(.configMaps, "default", bench.configMap("b"))
        try bench.registry.update(.configMaps, namespace: "default", name: "a") { $0.value.put("2", at: "data", "key") }
        #expect(try bench.delete(.configMaps, "b"))
        #expect(try bench.drain(&cursor) == ["added b", "modified a", "deleted b"])
        #expect(try bench.drain(&cursor).isEmpty)
        #expect(cursor.version == bench.registry.store.version)
    }

    @Test func `an object that leaves a selector is deleted for its watcher`() throws {
        let bench = RegistryBench()
        var cursor = try bench.watch(.configMaps, "resourceVersion=\(bench.registry.store.version)&labelSelector=app%3Dweb")
        bench.make(.configMaps, "default", bench.configMap("other", labels: [("app", "db")]))
        bench.make(.configMaps, "default", bench.configMap("a", labels: [("app", "web")]))
        try bench.registry.update(.configMaps, namespace: "default", name: "a") { $0.labels["app"] = "db" }
        try bench.registry.update(.configMaps, namespace: "default", name: "a") { $0.labels["app"] = "web" }
        #expect(try bench.drain(&cursor) == ["added a", "deleted a", "added a"])
    }

    @Test func `field selectors choose by node, name and phase, and unknown fields are refused`() throws {
        let bench = RegistryBench()
        for (name, node) in [("a", "n1"), ("b", "n2")] {
            bench.make(.pods, "default", ["metadata": ["name": .string(name)], "spec": ["nodeName": .string(node), "containers": [["name": "c", "image": "i"]]]])
        }
        #expect(try bench.list(.pods, "fieldSelector=spec.nodeName%3Dn2").items.map { $0.text("metadata", "name") } == ["b"])
        #expect(try bench.list(.pods, "fieldSelector=metadata.name!%3Da,status.phase%3DPending").items.count == 1)
        #expect(bench.status { _ = try bench.list(.pods, "fieldSelector=spec.wrong%3D1") }?.code == 400)
    }

    @Test func `a watch whose place is forgotten is told 410`() throws {
        var limits = APIServerLimits()
        limits.historyChangesMax = 3
        let bench = RegistryBench(limits: limits)
        bench.make(.configMaps, "default", bench.configMap("a"))
        var cursor = try bench.watch(.configMaps, "resourceVersion=\(bench.registry.store.version)")
        for i in 0..<3 { bench.make(.configMaps, "default", bench.configMap("b\(i)")) }
        var copy = cursor
        #expect(try bench.drain(&copy).count == 3)
        bench.make(.configMaps, "default", bench.configMap("c"))
        #expect(bench.status { _ = try bench.drain(&cursor) }?.code == 410)
    }

    @Test func `a version from the future is a timeout, not a wait for ever`() {
        let bench = RegistryBench()
        #expect(bench.status { _ = try bench.watch(.configMaps, "resourceVersion=9999") }?.code == 504)
        #expect(bench.status { _ = try bench.list(.configMaps, "resourceVersion=9999") }?.code == 504)
    }

    @Test func `an exact list shows an old moment`() throws {
        let bench = RegistryBench()
        let a = bench.make(.configMaps, "default", bench.configMap("a"))
        #expect(try bench.delete(.configMaps, "a"))
        #expect(try bench.list(.configMaps, "resourceVersion=\(a.resourceVersion)&resourceVersionMatch=Exact").items.count == 1)
        #expect(try bench.list(.configMaps, "resourceVersion=\(a.resourceVersion)").items.isEmpty)
    }
}
