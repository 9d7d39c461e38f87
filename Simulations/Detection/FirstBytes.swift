// Stories of the first bytes of a connection, and of those that do not come.

import Base
import HTTP
import MeshAPI
import Platform
import Scenario
import Simulator
import SwiftProtobuf

extension Stories {
    private static func echoing(_ mesh: ScriptedMesh, _ greeting: String = "") -> ScriptedService {
        mesh.addService("tcp", port: 9000, mesh.addPod("tcp") { $0.keep(EchoApplication($0, port: 9000, greeting: Array(greeting.utf8))) })
    }

    // Story: a server greets first on a port that nobody marked opaque.
    // Promise: the greeting comes after the detection timeout of ten seconds, not never, and then bytes pass both ways.
    // Source: linkerd2 #5922, #10745: server-speaks-first protocols.
    static let greetingLate = Story(
        "detection/greeting-late",
        story: "A server greets first on a port that nobody marked opaque.",
        promise: "The greeting comes after the detection timeout, not never, and then bytes pass both ways.",
        source: "linkerd2 #5922, #10745"
    ) { stage throws(StoryFailure) in
        let mesh = try stage.mesh()
        let caller = mesh.addPod("web").caller()
        _ = echoing(mesh, "220 ready\r\n")
        try mesh.ready()
        let began = stage.world.now
        let talk = caller.talk("tcp", 9000)
        try stage.wait("the greeting", within: .seconds(30)) { !talk.heard.isEmpty }
        let took = talk.heardAt! - began
        stage.say("the greeting came after \(took)")
        try stage.check(took >= .seconds(10) && took < .milliseconds(10_500), "after ten seconds, not \(took)")
        talk.say("EHLO\r\n")
        try stage.wait("an echo") { talk.text.hasSuffix("EHLO\r\n") }
        talk.close()
    }

    // Story: a client writes an HTTP request line in two segments, and another the HTTP/2 preface byte by byte.
    // Promise: both are HTTP, and nobody waits for the detection timeout.
    // Source: linkerd2-proxy detects by one read alone and takes a first segment below 14 bytes for opaque; we wait for the rest.
    static let firstSegmentTiny = Story(
        "detection/tiny-segments",
        story: "A client writes its request line in two segments, 50 ms apart.",
        promise: "It is HTTP all the same, is routed as such, and nobody waits for the detection timeout.",
        source: "linkerd2-proxy linkerd/http/detect reads once; RFC 9112 section 2.2"
    ) { stage throws(StoryFailure) in
        let mesh = try stage.mesh()
        let caller = mesh.addPod("web").caller()
        var clients: [String?] = []
        let pod = mesh.addPod("api") { process in
            process.keep(
                HTTPApplication(process, in: stage.world, port: 80) { request in
                    clients.append(request.head.headers.first("l5d-client-id"))
                    return HTTPApplication.Answer(body: Array("answered".utf8))
                })
        }
        mesh.addService("api", pod)
        try mesh.ready()
        let talk = caller.talk("api", 80)
        let began = stage.world.now
        talk.say("GE")
        stage.world.run(for: .milliseconds(50))
        talk.say("T / HTTP/1.1\r\nhost: api\r\n\r\n")
        try stage.wait("the answer", within: .seconds(20)) { talk.text.hasSuffix("answered") }
        stage.say("answered after \(talk.heardAt! - began)")
        try stage.check(talk.heardAt! - began < .seconds(1), "nobody waits for detection")
        try stage.check(clients.count == 1 && clients[0] != nil, "the proxies know it for HTTP")
        talk.close()
    }

    // Story: an unmeshed client connects to a meshed pod and says nothing; another closes without a word.
    // Promise: the silent one is closed after the detection timeout, because nobody knows who it is; the proxy lives on.
    // Source: linkerd2-proxy: a TLS detection timeout is an error, unlike HTTP's.
    static let silentStranger = Story(
        "detection/silent-stranger",
        story: "An unmeshed client connects to a meshed pod and says nothing; another leaves without a word.",
        promise: "The silent one is closed after ten seconds and counted; the application is never dialled for either.",
        source: "linkerd2-proxy linkerd/tls: detection timeout"
    ) { stage throws(StoryFailure) in
        let mesh = try stage.mesh()
        let caller = mesh.addPod("outsider", isMeshed: false).caller()
        var echo: EchoApplication?
        let pod = mesh.addPod("tcp") {
            echo = EchoApplication($0, port: 9000)
            $0.keep(echo!)
        }
        try mesh.ready()
        let began = stage.world.now
        let silent = caller.talk("\(pod.ip)", 9000)
        let brief = caller.talk("\(pod.ip)", 9000)
        stage.world.run(for: .milliseconds(100))
        brief.finish()
        try stage.wait("the end of both", within: .seconds(20)) { silent.isClosed && (brief.isClosed || brief.isFinished) }
        stage.say("the silent one was closed after \(silent.closedAt! - began)")
        try stage.check(silent.closedAt! - began >= .seconds(10) && silent.closedAt! - began < .milliseconds(10_200), "after ten seconds")
        try stage.check(echo!.connectionCount == 0, "the application is never dialled")
        try stage.check(pod.metric("inbound_tcp_errors_total", "tls detection timeout") == 1, "the timeout is counted")
        brief.close()
    }

    // Story: a binary protocol that looks like nothing, TLS of the application's own, and HTTP share one port of one service.
    // Promise: each comes through unchanged at once, and only HTTP is treated as such.
    // Source: linkerd2-proxy: protocol detection is per connection.
    static let mixedProtocols = Story(
        "detection/mixed-protocols",
        story: "A binary protocol, something that begins like TLS, and text that begins like HTTP share one port.",
        promise: "Each comes through unchanged and at once.",
        source: "linkerd2-proxy outbound/src/protocol.rs: detection per connection"
    ) { stage throws(StoryFailure) in
        let mesh = try stage.mesh()
        let caller = mesh.addPod("web").caller()
        _ = echoing(mesh)
        try mesh.ready()
        let samples: [[UInt8]] = [
            [0, 1, 2, 3, 255, 254, 253], [0x16, 3, 1, 0, 5, 1, 0, 0, 1, 0, 99, 99, 99, 99, 99], Array("GETTING / nowhere\r\n".utf8), Array("SSH-2.0-client\r\n".utf8), Array("x".utf8),
        ]
        for (i, sample) in samples.enumerated() {
            let began = stage.world.now
            let (heard, failure) = try stage.converse(caller, "tcp", 9000, say: sample)
            try stage.check(failure == nil && heard == sample, "sample \(i) comes back unchanged: \(failure ?? "\(heard.count) bytes")")
            try stage.check(stage.world.now - began < .seconds(1), "sample \(i) comes at once")
        }
        stage.say("five kinds of bytes came back")
    }
}
