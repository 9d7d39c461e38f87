// What only the machine of a pod could answer: its logs, and commands, connections and files in it. The server has no way to a node; a node
// agent beside it may give logs. Everybody else gets a sentence that says what is missing.

import Base
import Documents
import Kube
import OrderedCollections

/// Gives the log of a pod's container: object, container, last lines wanted (nil: all), and who takes the text.
public typealias PodLogSource = (_ pod: KubeObject, _ container: String, _ tailLines: Int?, _ answer: @escaping (Result<[UInt8], KubeStatus>) -> Void) -> Void

enum PodAccess {
    static let subresources = ["log", "exec", "attach", "portforward", "proxy"]

    /// The container that a request means. 400 when it names none of several, or one that is not there.
    static func container(_ request: APIRequest, _ pod: KubeObject) throws(KubeStatus) -> String {
        let names = (pod.value.items("spec", "containers")).compactMap { $0.text("name") }
        let all = names + pod.value.items("spec", "initContainers").compactMap { $0.text("name") }
        guard let wanted = request.query["container"] else {
            if names.count == 1 { return names[0] }
            throw .badRequest("a container name must be specified for pod \(pod.name), choose one of: [\(names.joined(separator: " "))]")
        }
        guard all.contains(wanted) else { throw .badRequest("container \(wanted) is not valid for pod \(pod.name)") }
        return wanted
    }

    /// Why the request cannot be served.
    static func refusal(_ request: APIRequest, _ pod: KubeObject) -> KubeStatus {
        do throws(KubeStatus) {
            if request.subresource != "portforward", request.subresource != "proxy" { _ = try container(request, pod) }
        } catch { return error }
        guard let node = pod.value.text("spec", "nodeName") else { return .badRequest("pod \(pod.name) does not have a host assigned") }
        return KubeStatus(
            code: 501, reason: .unknown, message: "pods/\(request.subresource) is not served here: node \(node) of pod \(pod.name) has no agent that this server can reach",
            details: KubeStatus.Details(name: pod.name, kind: "pods"))
    }
}
