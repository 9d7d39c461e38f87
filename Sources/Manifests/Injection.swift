// Pod injection as a function from document to document: the whole object goes in, the object with a proxy in its pod comes
// out, and a report of what was done and why not. The same function serves `weft inject` and the admission webhook, which
// differ only in who must have asked for the proxy. Source: linkerd2 pkg/inject/inject.go, controller/proxy-injector/webhook.go.

import Documents
import Kube
import OrderedCollections

public struct Injector: Sendable {
    public enum Mode: Hashable, Sendable {
        /// The proxy is added unless the pod says no: `weft inject`.
        case manual
        /// Only the annotations are added by which the webhook will add the proxy.
        case annotate
        /// The proxy is added if the namespace or the pod asks for it: the webhook.
        case admission
    }

    /// What the pod's surroundings say.
    public struct Surroundings: Sendable {
        /// Empty: the object's own.
        public var namespace = ""
        public var namespaceAnnotations: KubeLabels = [:]
        /// What controls the pod, for its label; only for bare pods, whose workload is not in the document.
        public var owner: (kind: String, name: String)?

        public init() {}
    }

    public var values: InjectionValues
    public var mode: Mode
    /// Annotations added to every pod before anything is read: the command's flags.
    public var overrides: KubeLabels = [:]

    public init(values: InjectionValues, mode: Mode) {
        self.values = values
        self.mode = mode
    }

    /// The object with its proxy; a List with that of each of its items. What is skipped comes back as it was.
    public func inject(_ object: Value, in surroundings: Surroundings = Surroundings()) throws(InjectionError) -> (object: Value, reports: [InjectionReport]) {
        guard case .object = object else { throw InjectionError(.malformed, "\(object.kindName) is not a Kubernetes object") }
        if object.text("kind") == "List" {
            var list = object
            var items: [Value] = []
            var reports: [InjectionReport] = []
            for item in object.items("items") {
                let (injected, more) = try inject(item, in: surroundings)
                items.append(injected)
                reports += more
            }
            if !items.isEmpty { list.put(.array(items), at: "items") }
            return (list, reports)
        }
        guard let workload = try Workload(object) else { return injectOther(object) }
        var report = InjectionReport(kind: workload.kind, name: workload.name)
        var pod = workload.pod(object)
        let own = MeshAnnotation.read(pod.member("metadata"))
        report.reasons = reasons(pod, own, surroundings)
        report.usesUDP = pod.usesUDP
        if let fatal = report.reasons.first(where: \.isFatalToCommand), mode != .admission {
            throw InjectionError(.refused, "failed to inject \(workload.kind)/\(workload.name): \(fatal.sentence)")
        }
        if !report.reasons.isEmpty { return (object, [report]) }
        if mode == .annotate {
            if object.text("metadata", "labels", "linkerd.io/control-plane-component") != nil {
                throw InjectionError(.refused, "the proxy itself must be injected into components of the control plane: leave out --annotate-only")
            }
            pod.setMetadata("annotations", overrides)
            if own[MeshAnnotation.inject] == nil, overrides[MeshAnnotation.inject] == nil { pod.setMetadata("annotations", [MeshAnnotation.inject: "enabled"]) }
            report.outcome = .injected
        } else {
            addProxy(to: &pod, workload, object, own, surroundings, &report)
        }
        var injected = object
        injected.put(pod, at: workload.template[...])
        return (injected, [report])
    }

    /// Namespaces and services have no pod, but annotations that concern the pods.
    private func injectOther(_ object: Value) -> (object: Value, reports: [InjectionReport]) {
        var report = InjectionReport(kind: (object.text("kind") ?? "").lowercased(), name: object.text("metadata", "name") ?? "")
        var object = object
        switch object.text("kind") {
        case "Namespace" where mode == .annotate:
            var annotations = overrides
            if annotations[MeshAnnotation.inject] == nil { annotations[MeshAnnotation.inject] = "enabled" }
            object.setMetadata("annotations", annotations)
            report.outcome = .annotated
        case "Service" where overrides[MeshAnnotation.opaquePorts] != nil:
            object.setMetadata("annotations", [MeshAnnotation.opaquePorts: overrides[MeshAnnotation.opaquePorts] ?? ""])
            report.outcome = .annotated
        default: report.reasons = [.unsupportedKind]
        }
        return (object, [report])
    }

    private func reasons(_ pod: Value, _ own: KubeLabels, _ surroundings: Surroundings) -> [InjectionReport.Reason] {
        var reasons: [InjectionReport.Reason] = []
        if pod.flag("spec", "hostNetwork") == true { reasons.append(.hostNetwork) }
        if pod.hasSidecar { reasons.append(.sidecarExists) }
        let known = ["enabled", "disabled", "ingress"]
        let ofPod = own[MeshAnnotation.inject]
        if mode == .admission {
            let ofNamespace = surroundings.namespaceAnnotations[MeshAnnotation.inject]
            if let ofNamespace, !known.contains(ofNamespace) {
                reasons.append(.invalidNamespaceAnnotation)
            } else if let ofPod, !known.contains(ofPod) {
                reasons.append(.invalidAnnotation)
            } else if ofPod == "disabled" {
                reasons.append(.disabled)
            } else if ofPod == nil, ofNamespace == nil || ofNamespace == "disabled" {
                reasons.append(.notEnabled)
            }
        } else if ofPod == "disabled" {
            reasons.append(.disabled)
        }
        if !values.isTokenProjected, pod.flag("spec", "automountServiceAccountToken") == false { reasons.append(.noServiceAccountToken) }
        return reasons
    }

    private func addProxy(to pod: inout Value, _ workload: Workload, _ object: Value, _ own: KubeLabels, _ surroundings: Surroundings, _ report: inout InjectionReport) {
        // The pod's own annotations win over the namespace's, and the command's flags over both.
        var added: KubeLabels = [:]
        for name in MeshAnnotation.inherited {
            let full = MeshAnnotation.prefix + name
            if own[full] == nil, let value = surroundings.namespaceAnnotations[full] { added[full] = value }
        }
        let wait = MeshAnnotation.alphaPrefix + "proxy-wait-before-exit-seconds"
        if own[wait] == nil, let value = surroundings.namespaceAnnotations[wait] { added[wait] = value }
        if own[MeshAnnotation.inject] == nil, surroundings.namespaceAnnotations[MeshAnnotation.inject] == "ingress" { added[MeshAnnotation.inject] = "ingress" }
        for (name, value) in overrides { added[name] = value }
        var effective = own
        for (name, value) in added { effective[name] = value }

        var values = values
        // Lists of variables add up: the namespace's first, then the pod's.
        let environment = MeshAnnotation.prefix + "proxy-additional-env"
        if own[environment] != nil, let ofNamespace = surroundings.namespaceAnnotations[environment] {
            values.apply([environment: ofNamespace], ports: [:], warnings: &report.warnings)
        }
        values.apply(effective, ports: pod.namedPorts, warnings: &report.warnings)
        if values.initializer.closeWaitTimeout > 0, !values.initializer.isRoot {
            report.warnings.append("config.linkerd.io/close-wait-timeout needs an initialiser that runs as root and is ignored")
            values.initializer.closeWaitTimeout = 0
        }
        if mode == .admission, effective[MeshAnnotation.opaquePorts] == nil, let opaque = Self.exposedPorts(of: pod, in: values.proxy.opaquePorts) { added[MeshAnnotation.opaquePorts] = opaque }

        if !values.createdBy.isEmpty { added[MeshAnnotation.createdBy] = values.createdBy }
        added[MeshAnnotation.proxyVersion] = values.proxy.image.version
        if !values.trustAnchorsPEM.isEmpty { added[MeshAnnotation.trustRoot] = SHA256.hex(values.trustAnchorsPEM) }
        pod.setMetadata("annotations", added)

        var labels: KubeLabels = ["linkerd.io/control-plane-ns": values.controlPlaneNamespace]
        let namespace = surroundings.namespace.isEmpty ? object.text("metadata", "namespace") ?? "" : surroundings.namespace
        labels["linkerd.io/workload-ns"] = namespace
        if workload.kind != "pod" {
            labels["linkerd.io/proxy-\(workload.kind)"] = workload.name
        } else if let owner = surroundings.owner, Self.ownerKinds.contains(owner.kind.lowercased()) {
            labels["linkerd.io/proxy-\(owner.kind.lowercased())"] = owner.name
        }
        pod.setMetadata("labels", labels)

        let servedPorts = pod.servedPorts
        var containers = pod.items("spec", "containers")
        var initContainers = pod.items("spec", "initContainers")
        let proxy = values.proxyContainer(inboundPorts: servedPorts)
        if values.proxy.isNativeSidecar {
            initContainers = [values.firstContainer(), proxy] + initContainers
        } else {
            initContainers.append(values.firstContainer())
            containers.insert(proxy, at: values.proxy.isAwaited ? 0 : containers.count)
        }
        if values.hasDebugSidecar { containers.append(values.debugContainer()) }
        pod.put(.array(containers), at: "spec", "containers")
        pod.put(.array(initContainers), at: "spec", "initContainers")
        pod.put(.array(pod.items("spec", "volumes") + values.volumes()), at: "spec", "volumes")
        report.outcome = .injected
    }

    /// What a pod may be labelled as belonging to. Source: linkerd2 pkg/k8s/labels.go.
    private static let ownerKinds = ["deployment", "replicaset", "daemonset", "statefulset", "job", "cronjob", "replicationcontroller"]

    /// Those of the opaque ports that a pod's containers expose; nil for none.
    static func exposedPorts(of pod: Value, in opaque: String) -> String? {
        let list = PortList(opaque)
        var exposed: [String] = []
        for container in pod.podContainers {
            for port in container.items("ports") {
                guard let number = port.number("containerPort").flatMap({ UInt16(exactly: $0) }), list.contains(number), !exposed.contains(String(number)) else { continue }
                exposed.append(String(number))
            }
        }
        return exposed.isEmpty ? nil : exposed.joined(separator: ",")
    }

    /// The opaque-ports annotation that a service or an uninjected pod gets from the webhook; nil for none.
    public func opaquePorts(for object: Value, in surroundings: Surroundings) -> String? {
        if MeshAnnotation.read(object.member("metadata"))[MeshAnnotation.opaquePorts] != nil { return nil }
        if let ofNamespace = surroundings.namespaceAnnotations[MeshAnnotation.opaquePorts] { return ofNamespace }
        if object.text("kind") == "Pod" { return Self.exposedPorts(of: object, in: values.proxy.opaquePorts) }
        guard object.text("kind") == "Service" else { return nil }
        let list = PortList(values.proxy.opaquePorts)
        var ports: [String] = []
        for port in object.items("spec", "ports") {
            // A named target is only known when pods are, so the service's own port decides nothing then.
            if case .string? = port.member("targetPort") { continue }
            guard let number = port.number("port"), let target = UInt16(exactly: port.number("targetPort") ?? number), list.contains(target) else { continue }
            if !ports.contains(String(number)) { ports.append(String(number)) }
        }
        return ports.isEmpty ? nil : ports.joined(separator: ",")
    }
}

extension Value {
    /// Adds annotations or labels to an object's metadata; what is there stays where it is.
    mutating func setMetadata(_ part: String, _ entries: KubeLabels) {
        guard !entries.isEmpty else { return }
        var members: Object = if case .object(let members)? = member("metadata", part) { members } else { Object() }
        for (name, value) in entries { members[name] = .string(value) }
        put(.object(members), at: "metadata", part)
    }
}
