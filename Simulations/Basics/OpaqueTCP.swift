// Story: a client talks raw bytes to a port that is marked opaque.
// Promise: the bytes come back unchanged, half-close passes through, and what crosses the network is TLS all the same.
// Source: Linkerd's opaque ports (config.linkerd.io/opaque-ports) and transport header.

import Base
import Scenario
import Simulator

extension Stories {
    static let opaqueTCP = Story(
        "basics/opaque-tcp",
        story: "A client talks raw bytes to a port that is marked opaque.",
        promise: "The bytes come back unchanged, half-close passes through, and the network sees TLS only.",
        source: "Linkerd: config.linkerd.io/opaque-ports, transport header"
    ) { stage throws(StoryFailure) in
        let cluster = try stage.deploy()
        cluster.image("echo") { process, _ in process.keep(EchoApplication(process, port: 9000)) }
        try cluster.apply(
            Manifest.servers(0) + """
                ---
                {apiVersion: v1, kind: Service, metadata: {name: echo, namespace: demo, annotations: {config.linkerd.io/opaque-ports: "9000"}}, spec: {selector: {app: echo}, ports: [{port: 9000}]}}
                ---
                {apiVersion: v1, kind: Pod, metadata: {name: echo-0, namespace: demo, labels: {app: echo}, annotations: {linkerd.io/inject: enabled, config.linkerd.io/opaque-ports: "9000"}},
                 spec: {serviceAccountName: api, containers: [{name: echo, image: echo, ports: [{containerPort: 9000}]}]}}
                """)
        let caller = try cluster.ready("web").caller()
        try cluster.ready("echo-0")
        for count in [1, 5_000, 300_000] {
            let bytes = (0..<count).map { UInt8(truncatingIfNeeded: $0 &* 7) }
            let (heard, failure) = try stage.converse(caller, "echo.demo", 9000, say: bytes)
            stage.say("said \(count) bytes, heard \(heard.count)\(failure.map { ": \($0)" } ?? "")")
            try stage.check(heard == bytes && failure == nil, "\(count) bytes come back unchanged, then the end")
        }
    }

    // Story: the server greets first, as MySQL and SMTP do, on an opaque port.
    // Promise: the greeting arrives at once, not after the detection timeout of ten seconds.
    // Source: Linkerd issue family of server-speaks-first protocols (#5922, #7768, #10745).
    static let serverSpeaksFirst = Story(
        "basics/server-speaks-first",
        story: "The server greets first, as MySQL and SMTP do, on an opaque port.",
        promise: "The greeting arrives at once, not after the detection timeout.",
        source: "linkerd2 #5922, #7768, #10745"
    ) { stage throws(StoryFailure) in
        let cluster = try stage.deploy()
        cluster.image("mysql") { process, _ in process.keep(EchoApplication(process, port: 3306, greeting: Array("5.7.0-greeting\n".utf8))) }
        try cluster.apply(
            Manifest.servers(0) + """
                ---
                {apiVersion: v1, kind: Service, metadata: {name: db, namespace: demo}, spec: {selector: {app: db}, ports: [{port: 3306}]}}
                ---
                {apiVersion: v1, kind: Pod, metadata: {name: db-0, namespace: demo, labels: {app: db}, annotations: {linkerd.io/inject: enabled}},
                 spec: {serviceAccountName: api, containers: [{name: db, image: mysql, ports: [{containerPort: 3306}]}]}}
                """)
        let caller = try cluster.ready("web").caller()
        try cluster.ready("db-0")
        let before = stage.world.now
        let (heard, failure) = try stage.converse(caller, "db.demo", 3306, say: [])
        let took = stage.world.now - before
        stage.say("greeting of \(heard.count) bytes after \(took)")
        try stage.check(failure == nil && heard == Array("5.7.0-greeting\n".utf8), "the greeting arrives")
        try stage.check(took < .seconds(1), "the greeting takes less than a second, not \(took)")
    }
}
