// The statuses that policy resources should have, as documents: what this controller says of each parent, beside what others say,
// which stays. Times of transition are kept while a condition stays what it is. Source: linkerd2 policy-controller/k8s/status/src.

import Base
import Documents
import Kube
import OrderedCollections

struct RouteStatus {
    /// By which our entries are known. Source: linkerd2 policy-controller/k8s/status/src/lib.rs.
    static let controllerName = "linkerd.io/policy-controller"

    let acceptance: RouteAcceptance
    let now: WallTime

    /// The status to be written; nil: the object has it already.
    func wanted(_ route: Cluster.Route, _ object: KubeObject) -> Value? {
        let present = object.status.items("parents")
        let isOurs = { (entry: Value) in entry.text("controllerName") == Self.controllerName }
        let wanted = route.parents.map { parent in
            var conditions = [condition("Accepted", acceptance.accepted(route, by: parent))]
            if let resolved = acceptance.resolved(route, for: parent) { conditions.append(condition("ResolvedRefs", resolved)) }
            let reference = Self.reference(parent, route.id.kind)
            let old = present.first { isOurs($0) && $0.member("parentRef")?.canonical == reference.canonical }?.items("conditions") ?? []
            return Value.members([
                "parentRef": reference, "controllerName": .string(Self.controllerName), "conditions": .array(conditions.map { finished($0, old, object.generation) }),
            ])
        }
        // A route that never had a parent of ours has no word of ours.
        if wanted.isEmpty, !present.contains(where: isOurs) { return nil }
        let all = present.filter { !isOurs($0) } + wanted
        if all.map(\.canonical) == present.map(\.canonical) { return nil }
        return .members(["parents": .array(all)])
    }

    func wanted(_ network: Cluster.EgressNetwork, _ object: KubeObject) -> Value? { single(acceptance.accepted(network), object, [:]) }

    func wanted(_ limit: Cluster.RateLimitPolicy, _ object: KubeObject) -> Value? {
        let target = Value.members(["group": .string("policy.linkerd.io"), "kind": .string("Server"), "name": .string(limit.server)])
        return single(acceptance.accepted(limit), object, ["targetRef": target])
    }

    private func single(_ judgement: RouteAcceptance.Judgement, _ object: KubeObject, _ more: Object) -> Value? {
        let present = object.status.items("conditions")
        let condition = finished(condition("Accepted", judgement), present, object.generation)
        var members: Object = ["conditions": .array(present.filter { $0.text("type") != "Accepted" } + [condition])]
        for (name, value) in more { members[name] = value }
        for (name, value) in members where object.status.member(name)?.canonical != value.canonical { return .object(members) }
        return nil
    }

    // MARK: Parts

    private func condition(_ type: String, _ judgement: RouteAcceptance.Judgement) -> Value {
        .members([
            "type": .string(type), "status": .string(judgement.isGood ? "True" : "False"), "reason": .string(judgement.reason), "message": .string(judgement.message),
        ])
    }

    private func finished(_ condition: Value, _ old: [Value], _ generation: Int64) -> Value {
        let before = old.first { $0.text("type") == condition.text("type") }
        let isSame = before?.text("status") == condition.text("status")
        let since = isSame ? before?.text("lastTransitionTime") : nil
        var finished = condition
        finished.put(.string(since ?? "\(WallTime(seconds: now.seconds))"), at: "lastTransitionTime")
        finished.put(.int(generation), at: "observedGeneration")
        return finished
    }

    /// As it is written, with the group and kind that it leaves to be understood.
    private static func reference(_ parent: Cluster.Route.Parent, _ kind: Cluster.Route.Kind) -> Value {
        let written = parent.written
        return .members([
            "group": .string(written.text("group") ?? (kind == .policyHTTP ? "policy.linkerd.io" : "gateway.networking.k8s.io")), "kind": .string(written.text("kind") ?? "Server"),
            "namespace": written.member("namespace"), "name": .string(parent.name.name), "sectionName": written.member("sectionName"), "port": written.member("port"),
        ])
    }
}
