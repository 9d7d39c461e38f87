// Stories of clusters in which pods come and go all the time.

import Base
import ControlPlane
import HTTP
import Kube
import Scenario
import Simulator

extension Stories {
    // Story: most of a cluster's pods are replaced again and again while two meshed pods of it call each other.
    // Promise: no call fails; destination follows: in the end every proxy that asks is told what the API server holds.
    // Source: linkerd2 #11480 (endpoints that stay behind under churn).
    static let churn = churn(pods: 120)
    static let churn5000 = churn(pods: 5000)

    private static func churn(pods: Int) -> Story {
        Story(
            "cluster/churn-\(pods)",
            story: "\(pods) pods in Deployments of twenty; each second some Deployments are scaled to nothing and others back, and a server that is called is replaced as well.",
            promise: "No call fails, and destination knows in the end exactly the ready pods that the API server knows.",
            source: "linkerd2 #11480"
        ) { stage throws(StoryFailure) in
            let cluster = try stage.deploy()
            cluster.image("nginx") { process, pod in
                process.keep(HTTPApplication(process, in: stage.world, port: 80) { _ in HTTPApplication.Answer(body: Array(pod.name.utf8), delay: .milliseconds(5)) })
            }
            try cluster.apply(Manifest.servers(2))
            let caller = try cluster.ready("web").caller()
            for i in 0..<2 { try cluster.ready("api-\(i)") }
            let deployments = pods / 20
            func scale(_ i: Int, _ replicas: Int) throws(StoryFailure) {
                try cluster.apply(
                    """
                    apiVersion: apps/v1
                    kind: Deployment
                    metadata: {name: app-\(i), namespace: demo}
                    spec:
                      replicas: \(replicas)
                      selector: {matchLabels: {app: app-\(i)}}
                      template: {metadata: {labels: {app: app-\(i)}}, spec: {containers: [{name: main, image: idle, ports: [{containerPort: 80, name: http}]}]}}
                    """)
            }
            for i in 0..<deployments {
                try scale(i, 20)
                try cluster.apply("{apiVersion: v1, kind: Service, metadata: {name: app-\(i), namespace: demo}, spec: {selector: {app: app-\(i)}, ports: [{name: http, port: 80, targetPort: http}]}}")
            }
            func ready() -> Int64 { cluster.stored(.deployments, namespace: "demo").reduce(0) { $0 + ($1.value.number("status", "readyReplicas") ?? 0) } }
            try stage.wait("\(pods) ready pods", within: .minutes(10)) { ready() == Int64(deployments * 20) }
            stage.say("\(deployments * 20) pods are ready")
            let calls = SteadyCalls(stage, caller, "api.demo", every: .milliseconds(20))
            // A tenth of all pods goes each second, and comes back in the next but one.
            let step = max(1, deployments / 10)
            for second in 0..<20 {
                for i in 0..<step {
                    try scale((second * step + i) % deployments, 0)
                    try scale(((second + deployments / step - 2) * step + i) % deployments, 20)
                }
                if second % 5 == 2 {
                    let turn = second / 5
                    try cluster.apply(Manifest.server("api-\(turn + 2)"))
                    try cluster.ready("api-\(turn + 2)")
                    try cluster.delete(.pods, "demo", "api-\(turn)")
                }
                stage.world.run(for: .seconds(1))
            }
            for i in 0..<deployments { try scale(i, 20) }
            try stage.wait("all pods again", within: .minutes(10)) { ready() == Int64(deployments * 20) }
            stage.world.run(for: .seconds(5))
            try calls.end(" under churn")
            // What destination knows, against what the API server holds.
            var wrong: [String] = []
            for slice in cluster.stored(.endpointSlices, namespace: "demo") {
                guard let known = cluster.destination?.feed.index.slices(of: .init("demo", EndpointSlice(slice).serviceName)).first(where: { $0.name.name == slice.name }) else {
                    wrong.append("\(slice.name) is not known")
                    continue
                }
                let held = EndpointSlice(slice).endpoints.filter { $0.isReady ?? true }.flatMap(\.addresses)
                if known.endpoints.filter({ $0.isReady ?? true }).flatMap(\.addresses) != held { wrong.append("\(slice.name) is known otherwise") }
            }
            stage.say("\(cluster.stored(.endpointSlices, namespace: "demo").count) slices compared, \(wrong.count) known wrong")
            try stage.check(wrong.isEmpty, wrong.first ?? "")
        }
    }
}
