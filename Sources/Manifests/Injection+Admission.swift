// What the admission webhook asks of the injector: pods get a proxy, or the annotation that names their opaque ports; services get
// that annotation; every other kind passes. Source: linkerd2 controller/proxy-injector/webhook.go.

import Documents
import Kube
import OrderedCollections

extension Injector {
    /// The object as it is to be written, and what was done. Pods and services only; others come back as they are.
    public func admit(_ object: Value, in surroundings: Surroundings) throws(InjectionError) -> (object: Value, report: InjectionReport) {
        var (admitted, reports): (Value, [InjectionReport])
        switch object.text("kind") {
        case "Pod": (admitted, reports) = try inject(object, in: surroundings)
        case "Service": (admitted, reports) = (object, [InjectionReport(kind: "service", name: object.text("metadata", "name") ?? "")])
        default: (admitted, reports) = (object, [InjectionReport(kind: (object.text("kind") ?? "").lowercased(), name: object.text("metadata", "name") ?? "")])
        }
        var report = reports[0]
        if report.outcome != .injected, let opaque = opaquePorts(for: object, in: surroundings) {
            admitted.setMetadata("annotations", [MeshAnnotation.opaquePorts: opaque])
            report.outcome = .annotated
        }
        if report.outcome == .skipped, report.reasons.isEmpty, report.kind != "pod", report.kind != "service" { report.reasons = [.unsupportedKind] }
        return (admitted, report)
    }

    /// Who asked for the proxy, as metrics name it; empty when nobody did.
    public static func annotationPlace(_ object: Value, in surroundings: Surroundings) -> String {
        if MeshAnnotation.read(object.member("metadata"))[MeshAnnotation.inject] != nil { return "workload" }
        return surroundings.namespaceAnnotations[MeshAnnotation.inject] != nil ? "namespace" : ""
    }
}
