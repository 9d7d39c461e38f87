// Story: pods whose redirection is a CNI plugin's work, on a node that has the plugin and on one that lost it.
// Promise: with the plugin the pod is meshed like any other; without it the pod never starts, and nothing leaves it bare.
// Source: linkerd2-proxy-init validator; linkerd2 issues on pods that started before their CNI plugin.

import Base
import Manifests
import Platform
import Scenario
import Simulator

extension Stories {
    static let pluginMissing = Story(
        "interception/plugin-missing", story: "Redirection is a CNI plugin's work; one pod's node has lost the plugin.",
        promise: "The network validator lets the pod with the plugin start, and ends with 95 in the other, which never starts its applications.", source: "linkerd2-proxy-init, the network validator and the repair controller that looks for 95"
    ) { stage throws(StoryFailure) in
        let cluster = try stage.deploy { $0.injection = { $0.isCNIEnabled = true } }
        cluster.plugin { !$0.name.hasPrefix("lost") }
        var bare = 0
        cluster.image("nginx") { process, _ in process.keep(HTTPApplication(process, in: stage.world, port: 80) { _ in HTTPApplication.Answer(body: Array("meshed\n".utf8)) }) }
        cluster.image("lost") { process, _ in
            bare += 1
            process.onShutdown { process.exit(0) }
        }
        try cluster.apply(
            Manifest.servers(1) + """
                ---
                apiVersion: v1
                kind: Pod
                metadata: {name: lost, namespace: demo, annotations: {linkerd.io/inject: enabled}}
                spec: {serviceAccountName: web, restartPolicy: Never, containers: [{name: lost, image: lost}]}
                """)
        try cluster.ready("api")
        let web = try cluster.ready("web")
        let result = try stage.call(web.caller(), "api.demo.svc.cluster.local")
        try stage.check(result.status == 200, "a pod behind the plugin calls another: \(result.summary)")
        stage.say("pods behind the plugin are meshed: GET / → \(result.summary)")
        try stage.wait("the failure of the pod without plugin") { cluster.pod("lost")?.problem != nil }
        let problem = cluster.pod("lost")?.problem ?? ""
        try stage.check(problem.contains("linkerd-network-validator ended with status 95"), "the validator of the other pod fails: \(problem)")
        try stage.check(bare == 0, "nothing of the other pod has started")
        stage.say("the pod without plugin: \(problem)")
    }
}
