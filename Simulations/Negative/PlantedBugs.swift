// Stories with a bug planted on purpose. Each passes when the judge that it names objects: a judge that nothing can rouse is none.

import Base
import HTTP
import Platform
import Scenario
import Simulator
import Transport

extension Stories {
    // Story: a pod's redirection rules are missing, so that its application talks past the proxy in the clear.
    // Promise: the wire judge sees plaintext between two meshed pods.
    // Source: planted; what a broken init container does.
    static let plaintextLeak = Story(
        "negative/plaintext-leak",
        story: "A meshed pod's redirection rules are lost, and its application talks past the proxy.",
        promise: "The judge of the wire sees plaintext between two meshed pods.",
        source: "planted bug: what a broken init container does",
        mustViolate: "plaintext"
    ) { stage throws(StoryFailure) in
        let cluster = try stage.deploy()
        cluster.image("nginx") { process, _ in process.keep(HTTPApplication(process, in: stage.world, port: 80) { _ in HTTPApplication.Answer() }) }
        try cluster.apply(Manifest.servers(1))
        let web = try cluster.ready("web")
        try cluster.ready("api-0")
        web.node.redirect = nil
        let result = try stage.call(web.caller(), "api.demo")
        stage.say("without redirection: \(result.summary)")
    }

    // Story: something between client and proxy repeats a request whose answer is slow.
    // Promise: the ledger of the application sees the duplicate.
    // Source: planted; what a careless retry does to a POST.
    static let duplicatedRequest = Story(
        "negative/duplicated-request",
        story: "A careless client library repeats a POST whose answer is slow.",
        promise: "The ledger of the application sees the duplicate.",
        source: "planted bug: a retry without regard to the method",
        mustViolate: "duplicate"
    ) { stage throws(StoryFailure) in
        let cluster = try stage.deploy()
        cluster.image("nginx") { process, _ in
            process.keep(HTTPApplication(process, in: stage.world, port: 80) { _ in HTTPApplication.Answer(delay: .seconds(2)) })
        }
        try cluster.apply(Manifest.servers(1))
        let caller = try cluster.ready("web").caller()
        try cluster.ready("api-0")
        var answers = 0
        for attempt in 0..<2 {
            stage.world.after(.seconds(Int64(attempt))) {
                caller.call("api.demo", "/payments", method: .post, headers: [("x-story-request", "payment-1")], body: [1]) { _ in answers += 1 }
            }
        }
        try stage.wait("both answers") { answers == 2 }
        stage.say("the payment was sent twice")
    }
}
