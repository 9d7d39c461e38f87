// What an informer does about an API server that is odd: events that cannot be read, pages of two versions, kinds in other
// versions; what it keeps, and how it is shared.

import Base
import Documents
import HTTP
import Kube
import Simulator
import Testing
import Transport

private final class Story {
    var lines: [String] = []

    func follow(_ informer: Informer) {
        informer.onChange { [self] change in
            switch change {
            case .added(let object): lines.append("+\(object.name)@\(object.resourceVersion)")
            case .updated(let old, let object): lines.append("\(object.name)@\(old.resourceVersion)>\(object.resourceVersion)")
            case .deleted(let object): lines.append("-\(object.name)@\(object.resourceVersion)")
            }
        }
    }
}

/// Lists what `list` says and leaves watches open.
private func serve(_ net: Net, _ list: @escaping () -> String) {
    net.scripted.answer = { asked, stream in if asked.path.contains("watch=1") { stream.begin() } else { stream.json(list()) } }
}

@Suite struct `An informer of an odd server` {
    @Test func `passes over events that it cannot read, and lists anew before the next watch`() throws {
        let net = try Net()
        var list = listText([podText("a", "1")], version: "5")
        serve(net) { list }
        let story = Story()
        let informer = net.process.run { Informer(client: net.client, .pods) }
        net.process.run {
            story.follow(informer)
            informer.start()
        }
        net.run()
        net.onServer {
            let watch = net.scripted.streams[1]
            watch.line("{\"type\":\"MODIFIED\"")
            watch.line(event("ADDED", podText("b", "7")))
        }
        net.run()
        #expect(story.lines == ["+a@1", "+b@7"] && informer.skippedCount == 1 && net.client.watchEventsSkipped == 1 && informer.lastFailure == nil)
        #expect(net.scripted.asked.count == 2)
        // The watch ends as announced; what was missed is in the list.
        list = listText([podText("a", "6"), podText("b", "7")], version: "8")
        net.run(300)
        net.onServer { net.scripted.streams[1].end() }
        net.run()
        #expect(story.lines == ["+a@1", "+b@7", "a@1>6"])
        #expect(net.scripted.asked[2].path.hasPrefix("/api/v1/pods?limit=") && net.scripted.asked[3].path.contains("resourceVersion=8&"))
    }

    @Test func `takes no collection whose pages are of two versions`() throws {
        let net = try Net()
        net.scripted.answer = { asked, stream in
            if asked.path.contains("watch=1") { return stream.begin() }
            if !asked.path.contains("limit=") { return stream.json(listText([podText("b", "8")], version: "9")) }
            if asked.path.contains("continue=") { return stream.json(listText([podText("b", "8")], version: "9")) }
            stream.json(listText([podText("a", "1")], version: "5", token: "t"))
        }
        let story = Story()
        net.process.run {
            let informer = Informer(client: net.client, .pods)
            story.follow(informer)
            informer.start()
            net.process.keep(informer)
        }
        net.run()
        #expect(story.lines == ["+b@8"] && net.scripted.asked.count == 4 && net.scripted.asked[3].path.contains("resourceVersion=9&"))
        let all: Result<KubeList, KubeError> = try net.wait { net.client.listAll(.pods, $0) }
        #expect(try all.get().items.map(\.name) == ["b"])
    }

    @Test func `that keeps versions only tells the same changes with names`() throws {
        let net = try Net()
        var list = listText([podText("a", "1"), podText("b", "2")], version: "5")
        serve(net) { list }
        let story = Story()
        let informer = net.process.run { Informer(client: net.client, .pods, shape: Informer.Shape(retention: .versions)) }
        let whole = net.process.run { Informer(client: net.client, .pods) }
        net.process.run {
            story.follow(informer)
            informer.start()
            whole.start()
        }
        net.run()
        let watches = zip(net.scripted.asked, net.scripted.streams).filter { $0.0.path.contains("watch=1") }.map(\.1)
        net.onServer { for stream in watches { stream.line(event("MODIFIED", podText("a", "6"))) } }
        net.run()
        list = listText([podText("a", "6")], version: "9")
        net.onServer { for stream in watches { stream.line(#"{"type":"ERROR","object":{"kind":"Status","code":410}}"#) } }
        net.run(5)
        #expect(story.lines == ["+a@1", "+b@2", "a@1>6", "-b@2"] && informer.count == 1 && informer.objects.isEmpty && informer["shop", "a"] == nil, "\(story.lines) \(informer.count)")
        #expect(informer.estimatedBytes > 0 && informer.estimatedBytes < whole.estimatedBytes)
    }

    @Test func `estimates no bytes when nothing is left`() throws {
        let net = try Net()
        var list = listText([podText("a", "1"), podText("b", "2")], version: "5")
        serve(net) { list }
        let informer = net.process.run { Informer(client: net.client, .pods) }
        net.process.run { informer.start() }
        net.run()
        let two = informer.estimatedBytes
        net.onServer { net.scripted.streams[1].line(event("DELETED", podText("a", "8"))) }
        net.run()
        #expect(informer.estimatedBytes * 2 == two)
        list = listText([], version: "9")
        net.onServer { net.scripted.streams[1].line(#"{"type":"ERROR","object":{"kind":"Status","code":410}}"#) }
        net.run(5)
        #expect(informer.estimatedBytes == 0 && informer.count == 0)
    }

    @Test func `asks for metadata alone if that is enough`() throws {
        let net = try Net()
        serve(net) { #"{"kind":"PartialObjectMetadataList","apiVersion":"meta.k8s.io/v1","metadata":{"resourceVersion":"5"},"items":[{"kind":"PartialObjectMetadata","apiVersion":"meta.k8s.io/v1","metadata":{"name":"n","resourceVersion":"1"}}]}"# }
        let informer = net.process.run { Informer(client: net.client, .nodes, shape: Informer.Shape(metadataOnly: true)) }
        net.process.run { informer.start() }
        net.run()
        #expect(informer.objects.map(\.kind) == ["Node"] && informer.objects[0].apiVersion == "v1")
        #expect(net.scripted.heads[0].headers.first("accept") == "application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io,application/json")
        #expect(net.scripted.heads[1].headers.first("accept")?.hasPrefix("application/json;as=PartialObjectMetadata;") == true)
    }
}

@Suite struct `Discovery` {
    private let group = #"{"kind":"APIGroup","name":"policy.linkerd.io","versions":[{"groupVersion":"policy.linkerd.io/v1beta1","version":"v1beta1"},{"groupVersion":"policy.linkerd.io/v1beta2","version":"v1beta2"}],"preferredVersion":{"version":"v1beta1"}}"#
    private func kinds(_ names: String...) -> String {
        #"{"kind":"APIResourceList","resources":[\#(names.map { #"{"name":"\#($0)","kind":"Server","namespaced":true,"verbs":["get","list"],"shortNames":["srv"]}"# }.joined(separator: ","))]}"#
    }

    @Test func `chooses the first version that both sides know`() throws {
        let net = try Net()
        net.scripted.answer = { [self] asked, stream in
            switch asked.path {
            case "/apis/policy.linkerd.io": stream.json(group)
            case "/apis/policy.linkerd.io/v1beta2": stream.json(kinds("servers", "servers/status", "httproutes"))
            case "/apis/policy.linkerd.io/v1beta1": stream.json(kinds("servers"))
            default: stream.respond(status: 404)
            }
        }
        func negotiate(_ forms: [KubeResource]) throws -> KubeResource? {
            let result: Result<KubeResource?, KubeError> = try net.wait { net.client.negotiate(forms, $0) }
            return try result.get()
        }
        #expect(try negotiate(KubeResource.servers.forms)?.version == "v1beta2")
        #expect(net.scripted.asked.map(\.path) == ["/apis/policy.linkerd.io", "/apis/policy.linkerd.io/v1beta2"])
        #expect(try negotiate(KubeResource.externalWorkloads.forms) == nil)
        #expect(try negotiate(KubeResource.egressNetworks.forms) == nil)
        // Answers are kept for a while.
        let before = net.scripted.asked.count
        #expect(try negotiate(KubeResource.servers.forms)?.version == "v1beta2" && net.scripted.asked.count == before)
        net.run(31)
        #expect(try negotiate(KubeResource.servers.forms)?.version == "v1beta2" && net.scripted.asked.count == before + 2)
        let resources: Result<[KubeAPIResource], KubeError> = try net.wait { net.client.resources(of: "policy.linkerd.io", "v1beta2", $0) }
        #expect(try resources.get().map(\.resource.plural) == ["servers", "httproutes"] && resources.get()[0].subresources == ["status"] && resources.get()[0].shortNames == ["srv"])
    }

    @Test func `an informer follows the form that is served, and the one that comes later`() throws {
        let net = try Net()
        var served: String?
        var watch: HTTPStream?
        net.scripted.answer = { [self] asked, stream in
            let path = asked.path
            if path == "/apis/policy.linkerd.io", served != nil { return stream.json(group.replacing("v1beta2", with: served!)) }
            if path == "/apis/policy.linkerd.io/\(served ?? "-")" { return stream.json(kinds("servers")) }
            guard let served, path.hasPrefix("/apis/policy.linkerd.io/\(served)/servers") else { return stream.respond(status: 404) }
            if path.contains("watch=1") {
                watch = stream
                return stream.begin()
            }
            stream.json(#"{"kind":"ServerList","metadata":{"resourceVersion":"5"},"items":[{"metadata":{"name":"\#(served)","namespace":"shop","resourceVersion":"1"}}]}"#)
        }
        let informer = net.process.run { Informer(client: net.client, forms: KubeResource.servers.forms, isOptional: true) }
        net.process.run { informer.start() }
        net.run()
        #expect(informer.hasSynced && informer.count == 0)
        served = "v1beta2"
        net.run(90)
        #expect(informer.objects.map(\.name) == ["v1beta2"] && informer.resource.version == "v1beta2")
        served = "v1beta3"
        net.onServer { watch?.line(#"{"type":"ERROR","object":{"kind":"Status","code":410}}"#) }
        net.run(120)
        #expect(informer.objects.map(\.name) == ["v1beta3"] && informer.resource.version == "v1beta3")
    }
}

@Suite struct `A set of informers` {
    @Test func `watches a collection once, however many readers it has`() throws {
        let net = try Net()
        serve(net) { listText([podText("a", "1")], version: "5") }
        let set = net.process.run { InformerSet(client: net.client) }
        let (one, two, other) = net.process.run { (set.informer([.pods]), set.informer([.pods]), set.informer([.pods], namespace: "shop")) }
        #expect(one === two && one !== other)
        net.process.run { set.start() }
        net.run()
        #expect(set.hasSynced && net.scripted.asked.filter { $0.path.contains("watch=1") }.count == 2)
        net.process.run { #expect(set.informer([.pods]) === one) }
        // Two leave and one stays; the last one ends it.
        for _ in 0..<2 { net.process.run { set.release(one) } }
        net.onServer { net.scripted.streams[2].line(event("ADDED", podText("b", "7"))) }
        net.run()
        #expect(set.informers.count == 2)
        net.process.run { set.release(one) }
        #expect(set.informers.count == 1)
        net.process.run {
            set.stop()
            net.client.close()
        }
        net.run()
        net.judge()
    }

    @Test func `keeps whole documents as soon as two readers want different parts`() throws {
        let net = try Net()
        serve(net) { listText([podText("a", "1")], version: "5") }
        let set = net.process.run { InformerSet(client: net.client) }
        let narrow = Informer.Shape(retention: .versions)
        let informer = net.process.run { set.informer([.pods], shape: narrow) }
        net.process.run { _ = set.informer([.pods], shape: narrow) }
        net.process.run { set.start() }
        net.run()
        #expect(informer.objects.isEmpty && informer.count == 1)
        net.process.run { _ = set.informer([.pods]) }
        net.run()
        #expect(informer.objects.map(\.name) == ["a"] && informer.shape.retention == .documents && informer.objects(in: "shop").count == 1)
        #expect(net.scripted.asked.filter { !$0.path.contains("watch=1") }.count == 2)
    }
}

@Suite struct `A change` {
    @Test func `is made again on what somebody else wrote meanwhile`() throws {
        let net = try Net()
        var version = 1
        net.scripted.answer = { asked, stream in
            if asked.method == "GET" { return stream.json(podText("a", "\(version)")) }
            version += 1
            if version < 4 { return stream.json(#"{"kind":"Status","code":409,"reason":"Conflict","message":"the object has been modified"}"#, status: 409) }
            stream.json(asked.body)
        }
        func label(_ object: KubeObject) -> KubeObject {
            var object = object
            object.labels["seen"] = object.resourceVersion
            return object
        }
        let done: Result<KubeObject, KubeError> = try net.wait { net.client.change(.pods, KubeKey("shop", "a"), label, $0) }
        #expect(try done.get().labels["seen"] == "3" && net.scripted.asked.map(\.method) == ["GET", "PUT", "GET", "PUT", "GET", "PUT"])
        // Nothing to do is no write.
        let same: Result<KubeObject, KubeError> = try net.wait { net.client.change(.pods, KubeKey("shop", "a"), { $0 }, $0) }
        #expect(try same.get().name == "a" && net.scripted.asked.count == 7)
    }

    @Test func `is given up when others never cease to write, and at once when it is forbidden`() throws {
        let net = try Net()
        net.scripted.answer = { asked, stream in
            if asked.method == "GET" { return stream.json(podText("a", "1")) }
            stream.json(#"{"kind":"Status","code":409,"reason":"Conflict"}"#, status: 409)
        }
        let change = { (object: KubeObject) -> KubeObject? in
            var object = object
            object.labels["x"] = "y"
            return object
        }
        let lost: Result<KubeObject, KubeError> = try net.wait { net.client.change(.pods, KubeKey("shop", "a"), change, $0) }
        guard case .failure(let error) = lost else { return #expect(Bool(false)) }
        #expect(error.isConflict && net.scripted.asked.count == 16)
        net.scripted.answer = { _, stream in stream.respond(status: 403) }
        let forbidden: Result<KubeObject, KubeError> = try net.wait { net.client.change(.pods, KubeKey("shop", "a"), change, $0) }
        guard case .failure(let error) = forbidden else { return #expect(Bool(false)) }
        #expect(error.code == 403 && net.scripted.asked.count == 17)
    }

    @Test func `may be tried without being made, by an owner, with fields judged`() throws {
        let net = try Net()
        net.scripted.answer = { _, stream in stream.json(podText("a", "1")) }
        let options = KubeWriteOptions(isDryRun: true, fieldOwner: "me", fieldValidation: "Strict")
        let pod = KubeObject(.pods, namespace: "shop", name: "a")
        let made: Result<KubeObject, KubeError> = try net.wait { net.client.create(.pods, pod, options: options, $0) }
        _ = try made.get()
        let gone: Result<[KubeObject], KubeError> = try net.wait { net.client.deleteAll(.pods, namespace: "shop", labels: LabelSelector(labels: ["app": "x"]), propagation: "Background", isDryRun: true, $0) }
        _ = try gone.get()
        #expect(net.scripted.asked.map(\.path) == ["/api/v1/namespaces/shop/pods?dryRun=All&fieldManager=me&fieldValidation=Strict", "/api/v1/namespaces/shop/pods?labelSelector=app%3Dx"])
        #expect(net.scripted.asked[1].body == #"{"kind":"DeleteOptions","apiVersion":"v1","propagationPolicy":"Background","dryRun":["All"]}"#)
    }
}
