// What injection did to one object, and the lines in which `inject` and `uninject` tell it. Source: linkerd2
// pkg/inject/report.go (reasons and their names in metrics), cli/cmd/inject.go (lines).

public struct InjectionReport: Hashable, Sendable {
    public enum Outcome: String, Hashable, Sendable { case skipped, injected, annotated, uninjected }

    /// Why a proxy was not added. Raw values are the names used in metrics.
    public enum Reason: String, Hashable, Sendable, CaseIterable {
        case hostNetwork = "host_network_enabled"
        case sidecarExists = "sidecar_already_exists"
        case unsupportedKind = "unsupported_resource"
        case notEnabled = "injection_enable_annotation_absent"
        case disabled = "injection_disable_annotation_present"
        case invalidAnnotation = "invalid_inject_annotation_at_workload"
        case invalidNamespaceAnnotation = "invalid_inject_annotation_at_ns"
        case noServiceAccountToken = "disabled_automount_service_account_token_account"

        public var sentence: String {
            switch self {
            case .hostNetwork: "hostNetwork is enabled"
            case .sidecarExists: "pod has a sidecar injected already"
            case .unsupportedKind: "this resource kind is unsupported"
            case .notEnabled: "neither the namespace nor the pod have the annotation \"linkerd.io/inject:enabled\""
            case .disabled: "pod has the annotation \"linkerd.io/inject:disabled\""
            case .invalidAnnotation: "invalid value for annotation \"linkerd.io/inject\" at workload"
            case .invalidNamespaceAnnotation: "invalid value for annotation \"linkerd.io/inject\" at namespace"
            case .noServiceAccountToken: "automountServiceAccountToken set to \"false\", with Values.identity.serviceAccountTokenProjection set to \"false\""
            }
        }

        /// The command fails instead of passing the object through: whoever asked for a proxy here must learn that there is none.
        var isFatalToCommand: Bool { self == .hostNetwork || self == .sidecarExists || self == .noServiceAccountToken }
    }

    /// Lower case: `deployment`.
    public var kind: String
    public var name: String
    public var outcome = Outcome.skipped
    public var reasons: [Reason] = []
    /// The mesh carries TCP only.
    public var usesUDP = false
    /// Annotations that could not be used.
    public var warnings: [String] = []

    public init(kind: String, name: String) {
        self.kind = kind
        self.name = name
    }

    /// `deployment "web" injected`
    public var line: String { "\(kind) \"\(name)\" \(outcome.rawValue)" }

    /// The text for people: warnings, with `isVerbose` also what was found in order, then a line for every object.
    public static func text(_ reports: [InjectionReport], isVerbose: Bool) -> String {
        func subjects(_ isConcerned: (InjectionReport) -> Bool) -> [String] { reports.filter(isConcerned).map { "\($0.kind)/\($0.name)" } }
        var lines: [String] = []
        func check(_ good: String, _ bad: String?) {
            if let bad { lines.append("\u{203c} \(bad)") } else if isVerbose { lines.append("\u{221a} \(good)") }
        }
        func plural(_ subjects: [String], _ one: String, _ many: String) -> String { subjects.joined(separator: ", ") + " " + (subjects.count == 1 ? one : many) }
        let disabled = subjects { $0.reasons.contains(.disabled) }
        let udp = subjects(\.usesUDP)
        check("pods do not use host networking", nil)
        check("pods do not have a 3rd party proxy or initContainer already injected", nil)
        check("pods are not annotated to disable injection", disabled.isEmpty ? nil : "\"linkerd.io/inject: disabled\" annotation set on " + disabled.joined(separator: ", "))
        check("at least one resource can be injected or annotated", reports.contains { !$0.reasons.contains(.unsupportedKind) } ? nil : "no supported objects found")
        check("pod specs do not include UDP ports", udp.isEmpty ? nil : plural(udp, "uses", "use") + " \"protocol: UDP\"")
        check("pods do not have automountServiceAccountToken set to \"false\" or service account token projection is enabled", nil)
        for report in reports { for warning in report.warnings { lines.append("\u{203c} \(report.kind)/\(report.name): \(warning)") } }
        if !lines.isEmpty { lines.append("") }
        return "\n" + (lines + reports.map(\.line)).map { $0 + "\n" }.joined() + "\n"
    }
}
