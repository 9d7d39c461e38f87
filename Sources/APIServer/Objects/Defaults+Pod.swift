// Defaults of pods and pod templates, and what admission adds to a pod: its service account and that account's token.
// Source: k8s.io/kubernetes pkg/apis/core/v1/defaults.go, plugin/pkg/admission/serviceaccount, plugin/pkg/admission/defaulttolerationseconds.

import Base
import Documents
import Kube
import OrderedCollections

extension Defaults {
    static func podSpec(_ object: inout Value, at path: [String]) {
        guard var spec = object.member(at: path), case .object = spec else { return }
        for list in ["containers", "initContainers"] {
            spec.mapItems(list) { container in
                container.fill(.string("/dev/termination-log"), "terminationMessagePath")
                container.fill(.string("File"), "terminationMessagePolicy")
                let image = container.text("image") ?? ""
                let name = image.split(separator: "/").last ?? ""
                let isLatest = name.hasSuffix(":latest") || !name.contains(":") && !image.contains("@")
                container.fill(.string(isLatest ? "Always" : "IfNotPresent"), "imagePullPolicy")
                container.fill(.object(Object()), "resources")
                container.mapItems("ports") { $0.fill(.string("TCP"), "protocol") }
                for probe in ["livenessProbe", "readinessProbe", "startupProbe"] where container.member(probe) != nil {
                    container.fill(.int(1), probe, "timeoutSeconds")
                    container.fill(.int(10), probe, "periodSeconds")
                    container.fill(.int(1), probe, "successThreshold")
                    container.fill(.int(3), probe, "failureThreshold")
                    if container.member(probe, "httpGet") != nil {
                        container.fill(.string("/"), probe, "httpGet", "path")
                        container.fill(.string("HTTP"), probe, "httpGet", "scheme")
                    }
                }
                container.mapItems("env") { variable in
                    if variable.member("valueFrom", "fieldRef") != nil { variable.fill(.string("v1"), "valueFrom", "fieldRef", "apiVersion") }
                }
            }
        }
        spec.mapItems("volumes") { volume in
            for source in ["secret", "configMap", "projected", "downwardAPI"] where volume.member(source) != nil { volume.fill(.int(420), source, "defaultMode") }
            if volume.member("projected") != nil {
                volume.mapItems("projected", "sources") { if $0.member("serviceAccountToken") != nil { $0.fill(.int(3600), "serviceAccountToken", "expirationSeconds") } }
            }
            volume.mapItems("downwardAPI", "items") { if $0.member("fieldRef") != nil { $0.fill(.string("v1"), "fieldRef", "apiVersion") } }
            if case .object(let members) = volume, members.count == 1 { volume.put(.object(Object()), at: "emptyDir") }
        }
        spec.fill(.string("Always"), "restartPolicy")
        spec.fill(.int(30), "terminationGracePeriodSeconds")
        spec.fill(.string("ClusterFirst"), "dnsPolicy")
        if let account = spec.text("serviceAccountName") ?? spec.text("serviceAccount") {
            spec.put(.string(account), at: "serviceAccountName")
            spec.put(.string(account), at: "serviceAccount")
        }
        spec.fill(.object(Object()), "securityContext")
        spec.fill(.string("default-scheduler"), "schedulerName")
        if spec.flag("hostNetwork") == true {
            for list in ["containers", "initContainers"] {
                spec.mapItems(list) { $0.mapItems("ports") { port in port.fill(port.member("containerPort") ?? .int(0), "hostPort") } }
            }
        }
        object.put(spec, at: path)
    }
}

extension Registry {
    /// Admission of a new pod by the built-in plug-ins.
    func completePod(_ pod: inout Value) {
        pod.fill(.bool(true), "spec", "enableServiceLinks")
        pod.fill(.string("PreemptLowerPriority"), "spec", "preemptionPolicy")
        pod.fill(.int(0), "spec", "priority")
        var tolerations = pod.items("spec", "tolerations")
        for key in ["node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable"] where !tolerations.contains(where: { ($0.text("key") ?? key) == key && ["NoExecute", nil].contains($0.text("effect")) }) {
            tolerations.append(.members(["key": .string(key), "operator": .string("Exists"), "effect": .string("NoExecute"), "tolerationSeconds": .int(300)]))
        }
        pod.put(.array(tolerations), at: "spec", "tolerations")
        addServiceAccount(&pod)
    }

    private func addServiceAccount(_ pod: inout Value) {
        // A mirror pod of a node has no account.
        if pod.member("metadata", "annotations", "kubernetes.io/config.mirror") != nil { return }
        pod.fill(.string("default"), "spec", "serviceAccountName")
        pod.fill(pod.member("spec", "serviceAccountName") ?? .string("default"), "spec", "serviceAccount")
        let namespace = pod.text("metadata", "namespace") ?? ""
        let account = find(.serviceAccounts, namespace: namespace, name: pod.text("spec", "serviceAccountName") ?? "")
        if pod.items("spec", "imagePullSecrets").isEmpty, let secrets = account?.value.member("imagePullSecrets") { pod.put(secrets, at: "spec", "imagePullSecrets") }
        guard pod.flag("spec", "automountServiceAccountToken") ?? account?.value.flag("automountServiceAccountToken") ?? true else { return }
        let path = "/var/run/secrets/kubernetes.io/serviceaccount"
        let lists = ["initContainers", "containers"]
        let wants = lists.contains { list in
            pod.items("spec", list).contains { container in !container.items("volumeMounts").contains { $0.text("mountPath") == path } }
        }
        guard wants else { return }
        let volume = "kube-api-access-" + makeSuffix()
        for list in lists {
            pod.mapItems("spec", list) { container in
                var mounts = container.items("volumeMounts")
                if mounts.contains(where: { $0.text("mountPath") == path }) { return }
                mounts.append(.members(["name": .string(volume), "readOnly": .bool(true), "mountPath": .string(path)]))
                container.put(.array(mounts), at: "volumeMounts")
            }
        }
        let sources: [Value] = [
            .members(["serviceAccountToken": .members(["expirationSeconds": .int(3607), "path": .string("token")])]),
            .members(["configMap": .members(["name": .string("kube-root-ca.crt"), "items": .array([.members(["key": .string("ca.crt"), "path": .string("ca.crt")])])])]),
            .members([
                "downwardAPI": .members([
                    "items": .array([
                        .members(["path": .string("namespace"), "fieldRef": .members(["apiVersion": .string("v1"), "fieldPath": .string("metadata.namespace")])])
                    ])
                ])
            ]),
        ]
        var volumes = pod.items("spec", "volumes")
        volumes.append(.members(["name": .string(volume), "projected": .members(["sources": .array(sources), "defaultMode": .int(420)])]))
        pod.put(.array(volumes), at: "spec", "volumes")
    }
}
