// Stories of an authority that changes, and of clocks that do not agree with it.

import Base
import ControlPlane
import HTTP
import Kube
import Platform
import Scenario
import Simulator
import TLS

extension Stories {
    // Story: the issuer is replaced three times while calls go on and certificates are renewed.
    // Promise: no call fails; certificates come from the new issuer; events tell of it.
    // Source: linkerd2 #15109 (notifications of a rotated issuer get lost); Linkerd's task "Rotating issuer".
    static let issuerRotation = Story(
        "identity/issuer-rotation",
        story: "The issuer is replaced three times under ten calls a second, the last time without a hint of it; certificates live two minutes.",
        promise: "No call fails, all proxies are renewed meanwhile, and events tell of each new issuer.",
        source: "linkerd2 #15109"
    ) { stage throws(StoryFailure) in
        let cluster = try stage.deploy { $0.leafLifetime = .minutes(2) }
        cluster.image("nginx") { process, _ in process.keep(HTTPApplication(process, in: stage.world, port: 80) { _ in HTTPApplication.Answer() }) }
        try cluster.apply(Manifest.servers(2))
        let caller = try cluster.ready("web").caller()
        for i in 0..<2 { try cluster.ready("api-\(i)") }
        let calls = SteadyCalls(stage, caller, "api.demo", every: .milliseconds(100))
        func certified() -> Double { ["api-0", "api-1", "web"].map { cluster.pod($0)?.metric("control_identity_cert_refreshes_total") ?? 0 }.min() ?? 0 }
        for round in 1...3 {
            // The kernel's queue of hints overflows: the issuer's files are found by looking.
            if round == 3 { for process in stage.world.processes where process.node === cluster.identityNode { process.simFiles.isSilent = true } }
            let before = cluster.identity?.service.issuer?.certificate
            try cluster.rotateIssuer()
            try stage.wait("the identity service to take up issuer \(round)", within: .seconds(15)) { cluster.identity?.service.issuer?.certificate != before }
            let renewed = certified()
            // Metrics are read once a second: after every event would be most of the work.
            for _ in 0..<180 where certified() <= renewed { stage.world.run(for: .seconds(1)) }
            try stage.check(certified() > renewed, "issuer \(round) certifies everybody within three minutes")
            stage.say("issuer \(round) has certified everybody")
        }
        try calls.end()
        let told = cluster.stored(.events, namespace: "linkerd").filter { $0.value.text("reason") == "IssuerUpdated" }.reduce(0) { $0 + ($1.value.number("count") ?? 1) }
        try stage.check(told == 3, "events tell of three issuers, not of \(told)")
    }

    // Story: the clocks of two pods' machines go wrong, one a little, one by a minute.
    // Promise: what the allowance covers disturbs nobody; a certificate from the future is not used, and a clock that is mended is enough.
    // Source: linkerd2 charts `identity.issuer.clockSkewAllowance`, 20 s.
    static let clockSkew = Story(
        "identity/clock-skew",
        story: "One machine's clock is fifteen seconds late and another's fifteen seconds early; a third is a minute late, until somebody sets it.",
        promise: "The first two call each other; the third's proxy is ready soon after its clock is set, and not before.",
        source: "linkerd2 charts identity.issuer.clockSkewAllowance"
    ) { stage throws(StoryFailure) in
        let cluster = try stage.deploy()
        cluster.image("nginx") { process, _ in process.keep(HTTPApplication(process, in: stage.world, port: 80) { _ in HTTPApplication.Answer() }) }
        let skews: [(name: String, seconds: Int64)] = [("web", -15), ("api-0", 15), ("late", -60)]
        cluster.onPlace { node in
            if let skew = skews.first(where: { $0.name == node.name }) { stage.world.stepWall(node, by: .seconds(skew.seconds)) }
        }
        try cluster.apply(Manifest.servers(1) + "---\n" + Manifest.client("late"))
        let caller = try cluster.ready("web").caller()
        try cluster.ready("api-0")
        for i in 0..<20 {
            stage.world.run(for: .seconds(1))
            let result = try stage.call(caller, "api.demo")
            try stage.check(result.status == 200, "call \(i) between skewed clocks is answered, not \(result.summary)")
        }
        let late = cluster.pod("late")!
        try stage.check(!late.isReady, "who lives before his certificate's first second is not ready")
        stage.say("the late one: \(late.proxy?.logLines.last ?? "")")
        stage.world.stepWall(late.node, by: .seconds(60))
        let again = try cluster.ready("late", within: .minutes(2)).caller()
        let result = try stage.call(again, "api.demo")
        stage.say("its clock was set: \(result.summary)")
        try stage.check(result.status == 200, "with its clock set it is served, not \(result.summary)")
    }
}
