// The way back: the object without the proxy, its helpers, volumes, labels and annotations. `linkerd.io/inject: disabled` stays,
// since it says what shall not be; settings (`config.linkerd.io/...`) stay, since people wrote them. The container that checks a
// CNI plugin's work goes too, which upstream forgets. Source: linkerd2 pkg/inject/uninject.go.

import Documents
import Kube
import OrderedCollections

public enum Uninjector {
    /// The object as it was before injection, as far as can be told.
    public static func uninject(_ object: Value) throws(InjectionError) -> (object: Value, reports: [InjectionReport]) {
        guard case .object = object else { throw InjectionError(.malformed, "\(object.kindName) is not a Kubernetes object") }
        if object.text("kind") == "List" {
            var list = object
            var items: [Value] = []
            var reports: [InjectionReport] = []
            for item in object.items("items") {
                let (restored, more) = try uninject(item)
                items.append(restored)
                reports += more
            }
            if !items.isEmpty { list.put(.array(items), at: "items") }
            return (list, reports)
        }
        guard let workload = try Workload(object) else {
            var report = InjectionReport(kind: (object.text("kind") ?? "").lowercased(), name: object.text("metadata", "name") ?? "")
            var restored = object
            if object.text("kind") == "Namespace" { restored.removeEntries("annotations", isMeshAnnotation) }
            if restored != object { report.outcome = .uninjected }
            return (restored, [report])
        }
        var report = InjectionReport(kind: workload.kind, name: workload.name)
        var pod = workload.pod(object)
        let names = [InjectionValues.proxyName, InjectionValues.initializerName, InjectionValues.validatorName, InjectionValues.debugName]
        pod.removeItems("containers") { names.contains($0) }
        pod.removeItems("initContainers") { names.contains($0) }
        pod.removeItems("volumes") { InjectionValues.volumeNames.contains($0) }
        pod.removeEntries("annotations", isMeshAnnotation)
        pod.removeEntries("labels") { name, _ in name == "linkerd.io/control-plane-ns" || name == "linkerd.io/workload-ns" || name.hasPrefix("linkerd.io/proxy-") }
        guard pod != workload.pod(object) else { return (object, [report]) }
        report.outcome = .uninjected
        var restored = object
        restored.put(pod, at: workload.template[...])
        return (restored, [report])
    }

    private static func isMeshAnnotation(_ name: String, _ value: Value) -> Bool {
        name.hasPrefix("linkerd.io/") && !(name == MeshAnnotation.inject && value == .string("disabled"))
    }
}

extension Value {
    /// Removes the objects of these names from a list of the pod's spec; an emptied list goes too.
    fileprivate mutating func removeItems(_ part: String, _ isUnwanted: (String) -> Bool) {
        let items = items("spec", part)
        let kept = items.filter { !isUnwanted($0.text("name") ?? "") }
        if kept.count < items.count { put(kept.isEmpty && part != "containers" ? nil : .array(kept), at: "spec", part) }
    }

    /// Removes annotations or labels; an emptied map goes too.
    fileprivate mutating func removeEntries(_ part: String, _ isUnwanted: (String, Value) -> Bool) {
        guard case .object(let members)? = member("metadata", part) else { return }
        let kept = members.filter { !isUnwanted($0.key, $0.value) }
        guard kept.count < members.count else { return }
        put(kept.isEmpty ? nil : .object(kept), at: "metadata", part)
        if member("metadata") == .object([:]) { put(nil, at: "metadata") }
    }
}
