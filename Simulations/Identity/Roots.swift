// A story of trust roots that are replaced under running proxies.

import Base
import HTTP
import MeshAPI
import Platform
import Scenario
import Simulator
import TLS

extension Stories {
    // Story: proxies follow a file of roots; it gets garbage, then a second root, then the issuer is of that root alone.
    // Promise: no call fails, nothing restarts, and certificates of the new root are trusted.
    // Source: Linkerd's task "Manually rotating control plane TLS credentials", where every proxy restarts between these steps.
    static let rootsReplaced = Story(
        "identity/roots-replaced",
        story: "Proxies follow a file of roots; it gets garbage, then a second root beside the first, and then certificates come from the second alone.",
        promise: "No call fails, nothing restarts, and everybody is certified by the new root.",
        source: "Linkerd: rotating control plane TLS credentials; no restart is our own"
    ) { stage throws(StoryFailure) in
        let mesh = try stage.mesh {
            $0.leafLifetime = .minutes(2)
            $0.environment = [("WEFT_TRUST_ANCHORS_PATH", "/var/run/roots/ca-bundle.crt")]
        }
        let web = mesh.addPod("web")
        let api = mesh.addPod("api") { process in process.keep(HTTPApplication(process, in: stage.world, port: 80) { _ in HTTPApplication.Answer() }) }
        mesh.addService("api", api)
        try mesh.ready()
        let caller = web.caller()
        var made = 0
        func call(for time: Interval) throws(StoryFailure) {
            let end = stage.world.now + time
            while stage.world.now < end {
                made += 1
                let result = try stage.call(caller, "api", "/\(made)")
                try stage.check(result.status == 200, "call \(made) is answered: \(result.summary)")
                stage.world.run(for: .milliseconds(500))
            }
        }
        func put(_ text: String) { for pod in [web, api] { pod.node.files.put("/var/run/roots/ca-bundle.crt", text: text) } }
        try call(for: .seconds(5))
        put("-----BEGIN CERTIFICATE-----\nnonsense\n-----END CERTIFICATE-----\n")
        try call(for: .seconds(5))
        for pod in [web, api] { try stage.check(pod.proxy!.logLines.contains { $0.contains("cannot be used") }, "\(pod.name) says that the file is no use") }
        let second = try mesh.makeRoot("second.linkerd.cluster.local")
        let both = TrustAnchors([mesh.authority.certificate, second.certificate])
        put(both.pem)
        mesh.anchors = both
        try call(for: .seconds(5))
        mesh.issuer = second
        try call(for: .minutes(5))
        for pod in [web, api] {
            try stage.check(pod.proxy!.lives == 1, "\(pod.name) did not restart")
            try stage.check(pod.proxy!.logLines.contains { $0.contains("New trust roots") }, "\(pod.name) took the new roots")
            try stage.check(pod.metric("control_identity_cert_refreshes_total") >= 4, "\(pod.name) was renewed, and by the second root")
        }
        stage.say("\(made) calls, all answered; both were renewed by the second root without a restart")
    }
}
