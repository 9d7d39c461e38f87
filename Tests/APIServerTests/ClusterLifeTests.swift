// What a cluster does by itself beyond the basics: cron jobs, budgets, garbage, tokens in secrets, roles that grow and may not be exceeded, the
// audit trail, and events under two names.

import APIServer
import Base
import Documents
import HTTP
import Kube
import Platform
import Testing

@Suite struct ClusterLifeTests {
    @Test func `a cron job makes a job each time, and keeps few`() throws {
        let cluster = try Cluster(hasNode: false, options: standIn())
        try cluster.apply(
            """
            apiVersion: batch/v1
            kind: CronJob
            metadata: {name: often, namespace: default}
            spec:
              schedule: "*/1 * * * *"
              successfulJobsHistoryLimit: 2
              jobTemplate: {spec: {template: {spec: {restartPolicy: Never, containers: [{name: c, image: x}]}}}}
            """)
        cluster.world.run(for: .minutes(6) + .seconds(10))
        let jobs = cluster.objects(.jobs)
        #expect(jobs.count == 2 && jobs.allSatisfy { $0.value.number("status", "succeeded") == 1 && $0.controller?.name == "often" })
        #expect(cluster.server.object(.cronJobs, namespace: "default", name: "often")?.value.text("status", "lastScheduleTime") == "2026-06-01T12:06:00Z")
        #expect(cluster.objects(.pods).count == 2, "pods go with their jobs")
        try cluster.onServer { _ = try $0.update(.cronJobs, namespace: "default", name: "often") { $0.value.put(.bool(true), at: "spec", "suspend") } }
        cluster.world.run(for: .minutes(3))
        #expect(cluster.objects(.jobs).count == 2)
    }

    @Test func `a budget lets so many go and no more`() throws {
        let cluster = try Cluster(hasNode: false, options: standIn())
        try cluster.apply(webYAML + "\n---\n{apiVersion: policy/v1, kind: PodDisruptionBudget, metadata: {name: guard, namespace: default}, spec: {maxUnavailable: 1, selector: {matchLabels: {app: web}}}}")
        let budgets = KubeResource(group: "policy", version: "v1", plural: "poddisruptionbudgets", kind: "PodDisruptionBudget")
        cluster.await("a disruption allowed") { cluster.objects(budgets).first?.value.number("status", "disruptionsAllowed") == 1 }
        #expect(cluster.objects(budgets).first?.value.number("status", "desiredHealthy") == 2)
        let pods = cluster.objects(.pods).map(\.name)
        func evict(_ name: String) throws -> UInt16 {
            let body: Value = .members(["apiVersion": .string("policy/v1"), "kind": .string("Eviction"), "metadata": .members(["name": .string(name)])])
            return cluster.status { $0.send(KubeRequest(.post, "/api/v1/namespaces/default/pods/\(name)/eviction", query: [], body: body), $1) }?.code ?? 201
        }
        #expect(try evict(pods[0]) == 201)
        cluster.await("the evicted pod's successor") { cluster.objects(.pods).filter { !$0.isTerminating }.count == 3 && !cluster.objects(.pods).contains { $0.name == pods[0] } }
        try cluster.onServer { _ = try $0.update(budgets, namespace: "default", name: "guard") { $0.value.put(.int(0), at: "spec", "maxUnavailable") } }
        cluster.await("no disruption allowed") { cluster.objects(budgets).first?.value.number("status", "disruptionsAllowed") == 0 }
        #expect(try evict(pods[1]) == 429)
        #expect(cluster.objects(.pods).contains { $0.name == pods[1] && !$0.isTerminating })
    }

    @Test func `pods of a node that is gone are cleared away, and their owner makes others`() throws {
        let cluster = try Cluster(hasNode: false, options: standIn(2))
        try cluster.apply(webYAML)
        cluster.await("three ready pods") { cluster.objects(.deployments).first?.value.number("status", "readyReplicas") == 3 }
        let lost = cluster.objects(.pods).filter { $0.value.text("spec", "nodeName") == "stand-in-1" }.map(\.uid)
        #expect(!lost.isEmpty)
        try cluster.onServer { try $0.delete(.nodes, name: "stand-in-1") }
        cluster.world.run(for: .seconds(39))
        #expect(cluster.objects(.pods).filter { lost.contains($0.uid) }.count == lost.count)
        cluster.world.run(for: .seconds(3))
        let pods = cluster.objects(.pods)
        #expect(pods.count == 3 && pods.allSatisfy { $0.value.text("spec", "nodeName") == "stand-in-2" && !lost.contains($0.uid) })
    }

    @Test func `a secret for an account is filled with a token that dies with it`() throws {
        let cluster = try Cluster()
        try cluster.apply(
            """
            apiVersion: v1
            kind: ServiceAccount
            metadata: {name: bot, namespace: default}
            ---
            apiVersion: v1
            kind: Secret
            metadata: {name: bot-token, namespace: default, annotations: {kubernetes.io/service-account.name: bot}}
            type: kubernetes.io/service-account-token
            """)
        cluster.await("the token") { cluster.objects(.secrets).first?.value.text("data", "token") != nil }
        let token = String(decoding: base64Decoded(cluster.objects(.secrets)[0].value.text("data", "token")!)!, as: UTF8.self)
        func review() throws -> Value { try cluster.document(.post, "/apis/authentication.k8s.io/v1/tokenreviews", ["apiVersion": "authentication.k8s.io/v1", "kind": "TokenReview", "spec": ["token": .string(token)]]) }
        #expect(try review().text("status", "user", "username") == "system:serviceaccount:default:bot")
        try cluster.onServer { try $0.delete(.serviceAccounts, namespace: "default", name: "bot") }
        cluster.await("the secret to go") { cluster.objects(.secrets).isEmpty }
        #expect(try review().flag("status", "authenticated") != true)
    }

    @Test func `aggregated roles grow with what they select, and nobody gives more than he has`() throws {
        var options = APIServerOptions()
        options.enforcesAccess = true
        options.tokens = [APIServerOptions.StaticToken(token: "eve", user: "eve")]
        let cluster = try Cluster(options: options)
        try cluster.apply(
            """
            {apiVersion: rbac.authorization.k8s.io/v1, kind: ClusterRole, metadata: {name: more, labels: {rbac.authorization.k8s.io/aggregate-to-view: "true"}}, rules: [{verbs: [get], apiGroups: [example.io], resources: [widgets]}]}
            ---
            {apiVersion: rbac.authorization.k8s.io/v1, kind: ClusterRole, metadata: {name: author}, rules: [{verbs: [create, get], apiGroups: [rbac.authorization.k8s.io], resources: [clusterroles, clusterrolebindings]}, {verbs: [get], apiGroups: [""], resources: [pods]}]}
            ---
            {apiVersion: rbac.authorization.k8s.io/v1, kind: ClusterRoleBinding, metadata: {name: author}, roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: author}, subjects: [{kind: User, name: eve, apiGroup: rbac.authorization.k8s.io}]}
            """)
        cluster.world.run(for: .seconds(1))
        for role in ["view", "edit", "admin"] {
            let rules = cluster.server.object(.clusterRoles, name: role)?.value.items("rules") ?? []
            #expect(rules.contains { $0.items("resources") == ["widgets"] } && rules.count > 3, "\(role)")
        }
        let eve = try cluster.makeClient(token: "eve")
        func create(_ name: String, _ verb: String, _ resource: String) throws -> KubeStatus? {
            var role = KubeObject(.clusterRoles, name: name)
            role.value.put([["verbs": [.string(verb)], "apiGroups": [""], "resources": [.string(resource)]]], at: "rules")
            return cluster.status { eve.create(.clusterRoles, role, $1) ; _ = $0 }
        }
        #expect(try create("mine", "get", "pods") == nil)
        let refused = try create("yours", "get", "secrets")
        #expect(refused?.code == 403 && refused?.message.contains("is attempting to grant RBAC permissions not currently held") == true)
        #expect(try create("all", "*", "pods")?.code == 403)
        var binding = KubeObject(.clusterRoleBindings, name: "grab")
        binding.value.put(["apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "cluster-admin"], at: "roleRef")
        #expect(cluster.status { eve.create(.clusterRoleBindings, binding, $1); _ = $0 }?.code == 403)
        cluster.clientProcess.run { eve.close() }
    }

    @Test func `the audit trail tells who did what and how it ended, and nothing of the content`() throws {
        let cluster = try Cluster()
        var events: [Value] = []
        try cluster.onServer { $0.onAudit = { events.append($0) } }
        _ = try cluster.call { $0.create(.configMaps, { var map = KubeObject(.configMaps, namespace: "default", name: "a"); map.value.put("hunter2", at: "data", "password"); return map }(), $1) } as KubeObject
        _ = cluster.status { $0.get(.configMaps, KubeKey("default", "nothing"), $1) }
        #expect(events.count == 2)
        #expect(events[0].text("verb") == "create" && events[0].text("user", "username") == "kubernetes-admin" && events[0].text("objectRef", "resource") == "configmaps")
        #expect(events[0].number("responseStatus", "code") == 201 && events[0].text("stage") == "ResponseComplete")
        #expect(events[1].number("responseStatus", "code") == 404 && events[1].text("responseStatus", "reason") == "NotFound")
        #expect(events.allSatisfy { !$0.json().contains("hunter2") })
    }

    @Test func `an event is one object under two names`() throws {
        let cluster = try Cluster()
        let event: Value = [
            "apiVersion": "events.k8s.io/v1", "kind": "Event", "metadata": ["name": "e", "namespace": "default"], "eventTime": "2026-06-01T12:00:00.000000Z", "reason": "Told", "note": "a note",
            "action": "Tell", "type": "Normal", "reportingController": "me", "reportingInstance": "me-1", "regarding": ["kind": "Pod", "name": "p", "namespace": "default"],
        ]
        #expect(try cluster.document(.post, "/apis/events.k8s.io/v1/namespaces/default/events", event).text("note") == "a note")
        let core = try cluster.document(.get, "/api/v1/namespaces/default/events?fieldSelector=involvedObject.name%3Dp")
        #expect(core.items("items").first?.text("message") == "a note" && core.items("items").first?.member("note") == nil)
        #expect(try cluster.document(.get, "/apis/events.k8s.io/v1/namespaces/default/events/e").text("regarding", "name") == "p")
    }

    @Test func `a definition goes after its objects`() throws {
        let cluster = try Cluster()
        try cluster.apply(serverDefinition + "\n---\napiVersion: example.io/v1\nkind: Widget\nmetadata: {name: a, finalizers: [example.io/wait]}\nspec: {port: http}\n")
        cluster.world.run(for: .seconds(1))
        let widgets = KubeResource(group: "example.io", version: "v1", plural: "widgets", kind: "Widget", isNamespaced: true)
        try cluster.onServer { try $0.delete(.customResourceDefinitions, name: "widgets.example.io") }
        cluster.world.run(for: .seconds(1))
        #expect(cluster.server.object(.customResourceDefinitions, name: "widgets.example.io")?.isTerminating == true)
        #expect(cluster.server.object(widgets, namespace: "default", name: "a")?.isTerminating == true)
        try cluster.onServer { _ = try $0.update(widgets, namespace: "default", name: "a") { $0.finalizers = [] } }
        cluster.await("the definition to go") { cluster.server.object(.customResourceDefinitions, name: "widgets.example.io") == nil }
    }

    private func standIn(_ count: Int = 1) -> APIServerOptions {
        var options = APIServerOptions()
        options.standInNodes = count
        return options
    }
}
