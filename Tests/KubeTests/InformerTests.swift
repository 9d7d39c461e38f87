// Informers over the network: listing, watching, resuming, starting over, and what consumers are told.

import Base
import Documents
import HTTP
import Kube
import Simulator
import Testing
import Transport

@Suite struct `An informer` {
    private final class Log {
        var lines: [String] = []
        var synced = 0
    }

    private func follow(_ net: Net, isOptional: Bool = false) -> (Informer, Log) {
        let log = Log()
        let informer = net.process.run { () -> Informer in
            let informer = Informer(client: net.client, .pods, isOptional: isOptional)
            informer.onChange { change in
                switch change {
                case .added(let object): log.lines.append("+\(object.name)@\(object.resourceVersion)")
                case .updated(let old, let new): log.lines.append("\(new.name)@\(old.resourceVersion)→\(new.resourceVersion)")
                case .deleted(let object): log.lines.append("-\(object.name)@\(object.resourceVersion)")
                }
            }
            informer.onSynced { log.synced += 1 }
            informer.start()
            return informer
        }
        return (informer, log)
    }

    @Test func `lists, watches from there, and tells differences`() throws {
        let net = try Net()
        net.scripted.answer = { asked, stream in
            if asked.path.contains("watch=1") { stream.begin() } else { stream.json(listText([podText("a", "1"), podText("b", "2")], version: "5")) }
        }
        let (informer, log) = follow(net)
        #expect(!informer.hasSynced)
        net.run()
        #expect(informer.hasSynced && log.synced == 1 && log.lines == ["+a@1", "+b@2"])
        #expect(net.scripted.asked[1].path.hasPrefix("/api/v1/pods?watch=1&allowWatchBookmarks=true&resourceVersion=5&timeoutSeconds="))
        net.onServer {
            net.scripted.streams[1].line(event("MODIFIED", podText("a", "6")))
            net.scripted.streams[1].line(event("ADDED", podText("c", "7", namespace: "bank")))
            net.scripted.streams[1].line(event("DELETED", podText("b", "8")))
        }
        net.run()
        #expect(log.lines.dropFirst(2) == ["a@1→6", "+c@7", "-b@8"])
        #expect(informer.objects.map(\.name) == ["c", "a"] && informer.objects(in: "shop").map(\.name) == ["a"] && informer["bank", "c"] != nil)
        // The server ends the watch as announced: it goes on from the last version.
        net.onServer { net.scripted.streams[1].end() }
        net.run(2)
        #expect(net.scripted.asked.count == 3 && net.scripted.asked[2].path.contains("resourceVersion=8"))
        net.process.run { informer.stop() }
        net.run()
        #expect(net.scripted.gone == 1)
    }

    @Test func `resumes from a bookmark after the connection broke`() throws {
        let net = try Net()
        net.scripted.answer = { asked, stream in
            if asked.path.contains("watch=1") { stream.begin() } else { stream.json(listText([podText("a", "1")], version: "5")) }
        }
        let (informer, log) = follow(net)
        net.run()
        net.onServer {
            net.scripted.streams[1].line(#"{"type":"BOOKMARK","object":{"kind":"Pod","metadata":{"resourceVersion":"40"}}}"#)
            net.scripted.streams[1].part(event("ADDED", podText("half", "41")).dropLast(5).description)
        }
        net.run()
        net.onServer { net.scripted.streams[1].connection?.close() }
        net.run(5)
        #expect(net.scripted.asked.map { $0.path.contains("watch=1") } == [false, true, true])
        #expect(net.scripted.asked[2].path.contains("resourceVersion=40&") && log.lines == ["+a@1"] && informer.lastFailure == nil)
    }

    @Test func `lists again when the version is gone, and tells what went meanwhile`() throws {
        let net = try Net()
        var list = listText([podText("a", "1"), podText("b", "2")], version: "5")
        net.scripted.answer = { asked, stream in
            if asked.path.contains("watch=1") { stream.begin() } else { stream.json(list) }
        }
        let (informer, log) = follow(net)
        net.run()
        list = listText([podText("b", "2"), podText("c", "90")], version: "100")
        net.onServer { net.scripted.streams[1].line(#"{"type":"ERROR","object":{"kind":"Status","code":410,"reason":"Expired","message":"too old"}}"#) }
        net.run(5)
        #expect(log.lines == ["+a@1", "+b@2", "-a@1", "+c@90"] && log.synced == 1)
        #expect(net.scripted.asked.last?.path.contains("resourceVersion=100&") == true && informer.count == 2)
    }

    @Test func `an object made again under its name is told as another`() throws {
        let net = try Net()
        net.scripted.answer = { asked, stream in
            if asked.path.contains("watch=1") { stream.begin() } else { stream.json(listText([podText("a", "1")], version: "5")) }
        }
        let (_, log) = follow(net)
        net.run()
        net.onServer { net.scripted.streams[1].line(event("MODIFIED", podText("a", "9").replacing("u-a", with: "u-other"))) }
        net.run()
        #expect(log.lines == ["+a@1", "-a@1", "+a@9"])
    }

    @Test func `waits longer and longer for a server that fails, and asks what it asks for`() throws {
        let net = try Net()
        net.scripted.answer = { _, stream in stream.respond(status: 500) }
        let (informer, log) = follow(net)
        net.run(60)
        let asked = net.scripted.asked.count
        #expect(asked > 4 && asked < 15 && !informer.hasSynced && informer.lastFailure?.code == 500)
        net.scripted.answer = { asked, stream in
            if asked.path.contains("watch=1") { stream.begin() } else { stream.json(listText([podText("a", "1")], version: "5")) }
        }
        net.run(70)
        #expect(log.lines == ["+a@1"] && informer.lastFailure == nil)
    }

    @Test func `an optional kind that the server does not know is empty, and found when it comes`() throws {
        let net = try Net()
        net.scripted.answer = { _, stream in stream.respond(status: 404) }
        let (required, _) = follow(net)
        let (optional, log) = follow(net, isOptional: true)
        net.run()
        #expect(!required.hasSynced && optional.hasSynced && log.synced == 1)
        net.scripted.answer = { asked, stream in
            if asked.path.contains("watch=1") { stream.begin() } else { stream.json(listText([podText("a", "1")], version: "5")) }
        }
        net.run(70)
        #expect(log.lines == ["+a@1"] && required.hasSynced)
    }

    @Test func `a watch that falls silent is begun again where it stood`() throws {
        let net = try Net()
        net.scripted.answer = { asked, stream in
            if asked.path.contains("watch=1") { stream.begin() } else { stream.json(listText([], version: "5")) }
        }
        _ = follow(net)
        net.run(149)
        #expect(net.scripted.asked.count == 2)
        net.run(5)
        #expect(net.scripted.asked.count == 3 && net.scripted.asked[2].path.contains("resourceVersion=5&"))
    }

    @Test func `objects are found by an index of one's own`() throws {
        let net = try Net()
        net.scripted.answer = { asked, stream in
            if asked.path.contains("watch=1") { stream.begin() } else { stream.json(listText([podText("a", "1"), podText("b", "2", namespace: "bank")], version: "5")) }
        }
        let (informer, _) = follow(net)
        informer.addIndex("initial") { [String($0.name.prefix(1))] }
        net.run()
        #expect(informer.objects(by: "initial", "a").map(\.name) == ["a"] && informer.objects(by: "initial", "z").isEmpty)
        net.onServer { net.scripted.streams[1].line(event("DELETED", podText("a", "8"))) }
        net.run()
        #expect(informer.objects(by: "initial", "a").isEmpty)
        var late: [String] = []
        informer.onChange { if case .added(let object) = $0 { late.append(object.name) } }
        #expect(late == ["b"])
    }
}
