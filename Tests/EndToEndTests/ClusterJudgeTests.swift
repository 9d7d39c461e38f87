// The judges that nobody here has written: kubectl of Debian 12 and of today, and PyPI's Python client, each against the running command. What
// they are is installed by `scripts/setup test` into .build/judges.

import Base
import CLinux
import Documents
import Glibc
import Kube
import Linux
import Platform
import Testing

private let judges: String = {
    let file = #filePath
    return file.split(separator: "/").dropLast(3).reduce("") { $0 + "/" + $1 } + "/.build/judges"
}()

/// The command with two stand-in nodes, and one kubectl.
private final class Bench {
    let api: ServedAPI
    let program: String

    init(_ program: String) throws {
        api = try ServedAPI()
        self.program = program
        api.more = ["--stand-in-nodes", "2"]
        try #require(access("\(judges)/\(program)", X_OK) == 0, "\(judges)/\(program) is missing: run scripts/setup test")
        try api.start()
    }

    func write(_ name: String, _ text: String) throws { try api.host.files.write("\(api.folder)/\(name)", Array(text.utf8), mode: 0o644) }

    /// Both outputs of kubectl; fails the test when its status is another than expected.
    @discardableResult
    func kubectl(_ arguments: String, status expected: Int32 = 0, location: SourceLocation = #_sourceLocation) throws -> String {
        let command = "cd \(api.folder) && \(judges)/\(program) --kubeconfig kubeconfig --cache-dir cache \(arguments) 2>&1"
        let result = try ChildProcess.run(ChildProgram(path: "/bin/sh", arguments: ["-c", command], environment: [("HOME", api.folder), ("PATH", ChildProcess.systemPath)]))
        #expect(result.status == expected, "\(program) \(arguments): \(result.output)", sourceLocation: location)
        return result.output
    }

    /// Columns differ between versions of kubectl.
    func words(_ arguments: String, location: SourceLocation = #_sourceLocation) throws -> String {
        try kubectl(arguments, location: location).split(separator: "\n").map { $0.split(separator: " ").joined(separator: " ") }.joined(separator: "\n")
    }

    func expect(_ arguments: String, _ text: String, status: Int32 = 0, location: SourceLocation = #_sourceLocation) throws {
        let output = try kubectl(arguments, status: status, location: location)
        #expect(output.contains(text), "\(program) \(arguments): \(output)", sourceLocation: location)
    }

    func end() {
        #expect((try? api.end(SIGTERM)) == 0)
        api.remove()
    }
}

@Suite(.serialized) struct ClusterJudgeTests {
    @Test(arguments: ["kubectl-old", "kubectl-new"]) func `kubectl lives a day with it`(_ program: String) throws {
        let bench = try Bench(program)
        defer { bench.end() }
        let isOld = program == "kubectl-old"
        try bench.write("web.yaml", web)
        // Discovery and explanation.
        try bench.expect("version", "v1.31.0")
        try bench.expect("api-resources", "poddisruptionbudgets")
        try bench.expect("api-versions", "events.k8s.io/v1")
        try bench.expect("explain pods.spec.containers.image", "The image that the container runs.")
        try bench.expect("explain deployment.spec.strategy.rollingUpdate", "maxSurge")
        try bench.expect("explain nothing", "the server doesn't have a resource type \"nothing\"", status: 1)
        try bench.expect("get nodes", "stand-in-2")
        try bench.expect("describe node stand-in-1", "Ready")

        // Apply, follow, change.
        #expect(try bench.kubectl("apply -f web.yaml") == "deployment.apps/web created\nservice/web created\n")
        try bench.expect("rollout status deploy/web --timeout=30s", "successfully rolled out")
        #expect(try bench.kubectl("apply -f web.yaml") == "deployment.apps/web unchanged\nservice/web unchanged\n")
        #expect(try bench.words("get deploy web --no-headers").hasPrefix("web 3/3 3 3"))
        try bench.expect("describe deploy web", "ScalingReplicaSet")
        try bench.expect("describe svc web", "10.244.0.")
        try bench.expect("get endpoints web -o jsonpath='{.subsets[0].addresses[*].ip}'", "10.244.0.")
        try bench.kubectl("label deploy web tier=front")
        try bench.kubectl("annotate deploy web note='hello there'")
        #expect(try bench.kubectl("get deploy -l tier=front -o name") == "deployment.apps/web\n")
        #expect(try bench.kubectl("get deploy web -o jsonpath='{.metadata.annotations.note}'") == "hello there")
        try bench.kubectl("set image deploy/web web=web:2")
        try bench.expect("rollout status deploy/web --timeout=30s", "successfully rolled out")
        try bench.expect("rollout history deploy/web", "2")
        try bench.kubectl("rollout undo deploy/web")
        try bench.expect("rollout status deploy/web --timeout=30s", "successfully rolled out")
        #expect(try bench.kubectl("get deploy web -o jsonpath='{.spec.template.spec.containers[0].image}'") == "web:1")
        try bench.kubectl("rollout restart deploy/web")
        try bench.expect("rollout status deploy/web --timeout=30s", "successfully rolled out")
        try bench.kubectl("patch deploy web -p '{\"spec\":{\"template\":{\"spec\":{\"containers\":[{\"name\":\"web\",\"env\":[{\"name\":\"A\",\"value\":\"b\"}]}]}}}}'")
        #expect(try bench.kubectl("get deploy web -o jsonpath='{.spec.template.spec.containers[*].image}{.spec.template.spec.containers[0].env[0].value}'") == "web:1b")
        try bench.kubectl("scale deploy web --replicas=5")
        try bench.kubectl("wait --for=condition=available deploy/web --timeout=30s")
        try bench.expect("diff -f web.yaml", "replicas", status: 1)
        try bench.kubectl("expose deploy web --name=again --port=81")
        try bench.expect("get svc again -o jsonpath='{.spec.clusterIP}'", "10.96.0.")

        // Server-side apply and its conflicts.
        try bench.expect("apply --server-side --force-conflicts -f web.yaml", "serverside-applied")
        try bench.write("two.yaml", web.replacing("replicas: 3", with: "replicas: 2"))
        try bench.expect("apply --server-side --field-manager=other -f two.yaml", "conflict", status: 1)
        try bench.expect("apply --server-side --field-manager=other --force-conflicts -f two.yaml", "serverside-applied")

        // What is made without a manifest: today's kubectl sends it as protobuf.
        try bench.kubectl("create ns shop")
        try bench.kubectl("-n shop create deploy api --image=api:1")
        try bench.kubectl("-n shop scale deploy api --replicas=0")
        try bench.kubectl("-n shop create cm c --from-literal=a=b")
        try bench.kubectl("-n shop create secret generic s --from-literal=password=hunter2")
        #expect(try bench.kubectl("-n shop get secret s -o jsonpath='{.data.password}'") == "aHVudGVyMg==")
        #expect(try bench.kubectl("-n shop get cm c -o jsonpath='{.data.a}'") == "b")
        try bench.kubectl("-n shop create job once --image=x")
        try bench.kubectl("-n shop wait --for=condition=complete job/once --timeout=30s")
        try bench.kubectl("-n shop create sa bot")
        try bench.kubectl("-n shop create role reader --verb=get,list --resource=pods")
        try bench.kubectl("-n shop create rolebinding reader --role=reader --serviceaccount=shop:bot")
        try bench.kubectl("-n shop create quota q --hard=pods=5")
        if !isOld {
            try bench.kubectl("-n shop create cronjob often --image=x --schedule='*/5 * * * *'")
            try bench.kubectl("-n shop create pdb guard --selector=app=api --min-available=1")
            try bench.kubectl("-n shop create ingress i --rule='a.example/*=api:80'")
            try bench.expect("-n shop create token bot", "eyJ")
            try bench.expect("auth whoami", "kubernetes-admin")
            try bench.expect("-n shop events", "Scheduled")
            try bench.kubectl("get deploy web -o yaml --show-managed-fields | grep -q 'manager: other'")
            try bench.kubectl("wait --for=jsonpath='{.status.readyReplicas}'=2 deploy/web --timeout=30s")
        }

        // Access.
        #expect(try bench.kubectl("auth can-i delete pods") == "yes\n")
        #expect(try bench.kubectl("-n shop auth can-i list pods --as system:serviceaccount:shop:bot") == "yes\n")
        try bench.expect("-n shop auth can-i list secrets --as system:serviceaccount:shop:bot", "no", status: 1)
        try bench.expect("-n shop get secrets --as system:serviceaccount:shop:bot", "cannot list resource \"secrets\"", status: 1)
        try bench.expect("-n shop auth can-i --list --as system:serviceaccount:shop:bot", "[get list]")
        try bench.kubectl("create clusterrolebinding viewers --clusterrole=view --group=viewers")
        #expect(try bench.kubectl("auth can-i list deploy --as me --as-group viewers") == "yes\n")
        try bench.expect("auth can-i create deploy --as me --as-group viewers", "no", status: 1)

        // Machines.
        try bench.kubectl("cordon stand-in-1")
        try bench.expect("get node stand-in-1", "SchedulingDisabled")
        try bench.kubectl("drain stand-in-1 --force --ignore-daemonsets --timeout=30s")
        #expect(try bench.kubectl("get pods -A -o jsonpath='{.items[*].spec.nodeName}'").contains("stand-in-1") == false)
        try bench.kubectl("uncordon stand-in-1")
        try bench.kubectl("taint node stand-in-1 a=b:NoSchedule")
        let pod = try bench.kubectl("get pods -l app=web -o jsonpath='{.items[0].metadata.name}'")
        try bench.expect("logs \(pod)", "has no agent that this server can reach", status: 1)
        try bench.expect("exec \(pod) -- ls", "has no agent that this server can reach", status: 1)
        try bench.expect("top pods", "Metrics API not available", status: 1)

        // Faults are told with their place.
        try bench.write("odd.yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: odd}\ndat: {}\n")
        try bench.expect("apply -f odd.yaml", isOld ? "ValidationError(ConfigMap): unknown field \"dat\"" : "unknown field \"dat\"", status: 1)
        try bench.write("bad.yaml", web.replacing("replicas: 3", with: "replicas: three"))
        try bench.kubectl("apply --validate=false -f bad.yaml", status: 1)
        try bench.expect("create deploy 'Not_A_Name' --image=x", "a lowercase RFC 1123", status: 1)

        // A custom kind.
        try bench.write("crd.yaml", widgets)
        try bench.kubectl("apply -f crd.yaml")
        try bench.kubectl("wait --for=condition=established crd/widgets.example.io --timeout=30s")
        try bench.write("widget.yaml", "apiVersion: example.io/v1\nkind: Widget\nmetadata: {name: a}\nspec: {}\n")
        try bench.kubectl("apply -f widget.yaml")
        #expect(try bench.words("get wd") == "NAME SIZE\na 3")
        try bench.expect("explain widget.spec.size", "how large")
        try bench.expect("patch wd a --type=merge -p '{\"spec\":{\"size\":0}}'", "should be greater than or equal to 1", status: 1)
        try bench.kubectl("delete crd widgets.example.io")

        // The end of things.
        try bench.kubectl("delete deploy web --cascade=\(isOld ? "true" : "foreground") --wait")
        #expect(try bench.kubectl("get pods") == "No resources found in default namespace.\n")
        try bench.kubectl("delete ns shop --timeout=30s")
        try bench.expect("get ns shop", "NotFound", status: 1)
    }

    @Test(arguments: ["kubectl-old", "kubectl-new"]) func `a watch shows pods come and go, and a killed server has the same cluster again`(_ program: String) throws {
        let bench = try Bench(program)
        defer { bench.end() }
        try bench.write("web.yaml", web)
        let folder = bench.api.folder
        let command = "cd \(folder) && exec \(judges)/\(program) --kubeconfig kubeconfig --cache-dir cache get pods -w --no-headers --output-watch-events > watch 2>&1"
        func lines() -> [String] { String(decoding: (try? bench.api.host.files.read("\(folder)/watch")) ?? [], as: UTF8.self).split(separator: "\n").map(String.init) }
        let watcher = try ChildProcess(ChildProgram(path: "/bin/sh", arguments: ["-c", command], environment: [("HOME", folder), ("PATH", ChildProcess.systemPath)]))
        try bench.kubectl("run first --image=x")
        try bench.api.wait("the first pod in the watch") { lines().contains { $0.hasPrefix("ADDED") && $0.contains("first") } }
        try bench.kubectl("apply -f web.yaml")
        try bench.kubectl("rollout status deploy/web --timeout=30s")
        try bench.kubectl("delete deploy web")
        try bench.api.wait("the deletions in the watch") { lines().filter { $0.hasPrefix("DELETED") && $0.contains("web-") }.count == 3 }
        watcher.signal(SIGKILL)
        _ = watcher.wait()
        // The same cluster from the same directory.
        #expect(try bench.api.end(SIGKILL) != 0)
        try bench.api.start()
        #expect(try bench.kubectl("get pods -o name") == "pod/first\n")
    }

    @Test func `a program written against the Python client finds what it expects`() throws {
        let bench = try Bench("python/bin/python")
        defer { bench.end() }
        let folder = #filePath.split(separator: "/").dropLast().reduce("") { $0 + "/" + $1 }
        let result = try ChildProcess.run(
            ChildProgram(path: "\(judges)/python/bin/python", arguments: ["\(folder)/python_judge.py", "\(bench.api.folder)/kubeconfig"], environment: [("PATH", ChildProcess.systemPath)]))
        #expect(result.status == 0 && result.output == "judged\n", "\(result.error)")
    }
}

private let web = """
    apiVersion: apps/v1
    kind: Deployment
    metadata: {name: web, labels: {app: web}}
    spec:
      replicas: 3
      selector: {matchLabels: {app: web}}
      template:
        metadata: {labels: {app: web}}
        spec:
          containers:
          - {name: web, image: "web:1", ports: [{containerPort: 8080, name: http}], resources: {limits: {cpu: 1, memory: 64Mi}}}
    ---
    apiVersion: v1
    kind: Service
    metadata: {name: web}
    spec:
      selector: {app: web}
      ports: [{name: http, port: 80, targetPort: http}]
    """

private let widgets = """
    apiVersion: apiextensions.k8s.io/v1
    kind: CustomResourceDefinition
    metadata: {name: widgets.example.io}
    spec:
      group: example.io
      names: {kind: Widget, plural: widgets, singular: widget, shortNames: [wd]}
      scope: Namespaced
      versions:
      - name: v1
        served: true
        storage: true
        schema:
          openAPIV3Schema:
            type: object
            properties:
              spec:
                type: object
                properties:
                  size: {type: integer, minimum: 1, default: 3, description: how large}
        additionalPrinterColumns: [{name: Size, type: integer, jsonPath: .spec.size}]
    """
