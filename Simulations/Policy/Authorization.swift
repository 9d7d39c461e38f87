// Stories of authorization: who may call whom.

import Base
import HTTP
import Kube
import Scenario
import Simulator

private let lockedDown = """
    ---
    {apiVersion: policy.linkerd.io/v1beta3, kind: Server, metadata: {name: api, namespace: demo}, spec: {podSelector: {matchLabels: {app: api}}, port: 80, proxyProtocol: HTTP/1}}
    ---
    {apiVersion: policy.linkerd.io/v1alpha1, kind: MeshTLSAuthentication, metadata: {name: only-web, namespace: demo}, spec: {identities: ["web.demo.serviceaccount.identity.linkerd.cluster.local"]}}
    ---
    {apiVersion: policy.linkerd.io/v1alpha1, kind: AuthorizationPolicy, metadata: {name: web-calls-api, namespace: demo},
     spec: {targetRef: {group: policy.linkerd.io, kind: Server, name: api}, requiredAuthenticationRefs: [{group: policy.linkerd.io, kind: MeshTLSAuthentication, name: only-web}]}}

    """

extension Stories {
    // Story: a policy lets only `web` call `api`; `other`, meshed with another service account, and an unmeshed pod try.
    // Promise: both get 403, and the application is never asked.
    // Source: Linkerd AuthorizationPolicy.
    static let denied = Story(
        "policy/denied",
        story: "A policy lets only web call api; a pod of another account and an unmeshed pod try.",
        promise: "Both get 403, and the application is never asked.",
        source: "Linkerd: AuthorizationPolicy, MeshTLSAuthentication"
    ) { stage throws(StoryFailure) in
        var server: HTTPApplication?
        let cluster = try stage.deploy()
        cluster.image("nginx") { process, _ in
            server = HTTPApplication(process, in: stage.world, port: 80) { _ in HTTPApplication.Answer() }
            process.keep(server!)
        }
        try cluster.apply(Manifest.servers(1) + lockedDown + "---\n" + Manifest.client("other", account: "api") + "---\n" + Manifest.client("outsider", isMeshed: false))
        try cluster.ready("api-0")
        for name in ["other", "outsider"] {
            let caller = try cluster.ready(name).caller()
            let result = try stage.call(caller, "api.demo")
            stage.say("\(name): \(result.summary)")
            try stage.check(result.status == 403, "\(name) gets 403, not \(result.summary)")
        }
        try stage.check(server!.requests.isEmpty, "the application is never asked")
    }

    // Story: the policy is taken away and put back while a client calls ten times a second.
    // Promise: the allowed client is answered all the time, the other exactly while there is no policy.
    // Source: Linkerd: policy changes apply to live connections.
    static let allowedByIdentity = Story(
        "policy/changes-live",
        story: "The policy is taken away and put back while two clients call on live connections.",
        promise: "The allowed client is answered always, the other exactly while there is no policy.",
        source: "Linkerd: policy changes re-decide requests of live connections"
    ) { stage throws(StoryFailure) in
        let cluster = try stage.deploy()
        cluster.image("nginx") { process, _ in process.keep(HTTPApplication(process, in: stage.world, port: 80) { _ in HTTPApplication.Answer() }) }
        try cluster.apply(Manifest.servers(1) + lockedDown + "---\n" + Manifest.client("other", account: "api"))
        try cluster.ready("api-0")
        let web = try cluster.ready("web").caller()
        let other = try cluster.ready("other").caller()
        func statuses() throws(StoryFailure) -> [UInt16?] {
            let answers = (try stage.call(web, "api.demo"), try stage.call(other, "api.demo"))
            return [answers.0.status, answers.1.status]
        }
        try stage.check(try statuses() == [200, 403], "with the policy web is answered and other is not")
        try cluster.delete(.servers, "demo", "api")
        stage.world.run(for: .seconds(2))
        let without = try statuses()
        stage.say("without the policy: \(without.map { $0.map(String.init) ?? "-" })")
        try stage.check(without == [200, 200], "without the policy both are answered")
        try cluster.apply(lockedDown)
        stage.world.run(for: .seconds(2))
        let again = try statuses()
        stage.say("with the policy again: \(again.map { $0.map(String.init) ?? "-" })")
        try stage.check(again == [200, 403], "with the policy again web is answered and other is not")
    }
}
