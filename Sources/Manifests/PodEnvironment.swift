// What a container's environment becomes when its pod runs: literal values, fields of the pod, and references to variables that
// came before. Whoever runs pods (a local cluster, a simulated node) uses it; a kubelet does the same.
// Source: Kubernetes API reference, EnvVar; k8s.io/kubernetes third_party/forked/golang/expansion.

import Base
import Documents
import Kube
import OrderedCollections

public enum PodEnvironment {
    /// The variables of one container in order. `pod` has its name, address and status already. A value that comes from a
    /// ConfigMap, Secret or resource limit is asked of `lookup`; what that does not know is left out.
    public static func variables(_ container: Value, of pod: KubeObject, lookup: (Value) -> String? = { _ in nil }) -> [(name: String, value: String)] {
        var variables: [(name: String, value: String)] = []
        for entry in container.items("env") {
            guard let name = entry.text("name") else { continue }
            if let text = entry.text("value") {
                variables.append((name, expand(text, variables)))
            } else if let source = entry.member("valueFrom") {
                if let value = source.text("fieldRef", "fieldPath").flatMap({ field($0, of: pod) }) ?? lookup(source) { variables.append((name, value)) }
            } else {
                variables.append((name, ""))
            }
        }
        return variables
    }

    /// `$(NAME)` is replaced by an earlier variable, `$$(NAME)` stands for `$(NAME)`, an unknown reference stays as it is.
    static func expand(_ text: String, _ variables: [(name: String, value: String)]) -> String {
        var out = ""
        var rest = Substring(text)
        while let dollar = rest.firstIndex(of: "$") {
            out += rest[..<dollar]
            rest = rest[dollar...]
            if rest.hasPrefix("$$") {
                out += "$"
                rest = rest.dropFirst(2)
            } else if rest.hasPrefix("$("), let end = rest.firstIndex(of: ")") {
                let name = rest[rest.index(rest.startIndex, offsetBy: 2)..<end]
                out += variables.last { $0.name == name }?.value ?? String(rest[...end])
                rest = rest[rest.index(after: end)...]
            } else {
                out += "$"
                rest = rest.dropFirst()
            }
        }
        return out + rest
    }

    /// nil: a path that is none of the downward API's.
    static func field(_ path: String, of pod: KubeObject) -> String? {
        switch path {
        case "metadata.name": return pod.name
        case "metadata.namespace": return pod.namespace
        case "metadata.uid": return pod.uid
        case "spec.nodeName": return pod.value.text("spec", "nodeName") ?? ""
        case "spec.serviceAccountName": return pod.value.text("spec", "serviceAccountName") ?? "default"
        case "status.podIP": return pod.value.text("status", "podIP") ?? ""
        case "status.podIPs": return pod.value.items("status", "podIPs").compactMap { $0.text("ip") }.joined(separator: ",")
        case "status.hostIP": return pod.value.text("status", "hostIP") ?? ""
        default:
            for (prefix, entries) in [("metadata.labels['", pod.labels), ("metadata.annotations['", pod.annotations)] where path.hasPrefix(prefix) && path.hasSuffix("']") {
                return entries[String(path.dropFirst(prefix.count).dropLast(2))] ?? ""
            }
            return nil
        }
    }
}
