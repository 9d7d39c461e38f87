// Whether a route can be obeyed. Linkerd's own HTTPRoute is judged strictly; those of the Gateway API only where a field would
// make us do something else than it says, since a gateway may understand what we do not; that much is told as a warning.
// Source: linkerd2 policy-controller/runtime/src/admission.rs.

import Base
import Documents
import Kube
import OrderedCollections

enum RouteCheck {
    static func judge(policyHTTP object: Value, _ check: inout ObjectCheck) {
        let spec = object.member("spec") ?? .null
        let parents = judge(parents: spec, kind: "Server", group: "policy.linkerd.io", &check)
        judge(annotations: object, parents, &check)
        for (i, rule) in check.list(spec.member("rules"), "spec.rules").enumerated() {
            let path = "spec.rules[\(i)]"
            judge(matches: rule, path, &check)
            judge(filters: rule, path, known: ["RequestHeaderModifier", "ResponseHeaderModifier", "RequestRedirect"], isStrict: true, &check)
            judge(timeouts: rule, path, &check)
            judge(backends: rule, path, isStrict: false, &check)
        }
    }

    static func judge(gatewayHTTP object: Value, _ check: inout ObjectCheck) {
        let spec = object.member("spec") ?? .null
        let parents = judge(parents: spec, kind: "Gateway", group: "gateway.networking.k8s.io", &check)
        // Whoever attaches a route to gateways only wants nothing of us.
        guard parents.contains(where: { $0.isService || $0.isEgressNetwork || $0.isServer }) else { return }
        judge(annotations: object, parents, &check)
        for (i, rule) in check.list(spec.member("rules"), "spec.rules").enumerated() {
            let path = "spec.rules[\(i)]"
            judge(matches: rule, path, &check)
            judge(filters: rule, path, known: ["RequestHeaderModifier", "ResponseHeaderModifier", "RequestRedirect"], isStrict: false, &check)
            judge(timeouts: rule, path, &check)
            judge(backends: rule, path, isStrict: true, &check)
        }
    }

    static func judge(grpc object: Value, _ check: inout ObjectCheck) {
        let spec = object.member("spec") ?? .null
        let parents = judge(parents: spec, kind: "Gateway", group: "gateway.networking.k8s.io", &check)
        guard parents.contains(where: { $0.isService || $0.isEgressNetwork || $0.isServer }) else { return }
        judge(annotations: object, parents, &check)
        for (i, rule) in check.list(spec.member("rules"), "spec.rules").enumerated() {
            let path = "spec.rules[\(i)]"
            judge(filters: rule, path, known: ["RequestHeaderModifier"], isStrict: false, &check)
            judge(backends: rule, path, isStrict: true, &check)
        }
    }

    /// TLSRoute and TCPRoute: what cannot be told apart within a connection has one rule.
    static func judge(single object: Value, _ check: inout ObjectCheck) {
        let spec = object.member("spec") ?? .null
        _ = judge(parents: spec, kind: "Gateway", group: "gateway.networking.k8s.io", &check)
        let rules = check.list(spec.member("rules"), "spec.rules")
        if rules.count != 1 { check.fault("spec.rules", "must be exactly one rule, there are \(rules.count)") }
        for (i, rule) in rules.enumerated() { judge(backends: rule, "spec.rules[\(i)]", isStrict: true, &check) }
    }

    private static func judge(parents spec: Value, kind: String, group: String, _ check: inout ObjectCheck) -> [Reference] {
        var parents: [Reference] = []
        for (i, value) in check.list(spec.member("parentRefs"), "spec.parentRefs").enumerated() {
            let parent = Reference(value, kind: kind, group: group)
            parents.append(parent)
            let path = "spec.parentRefs[\(i)]"
            let port = check.number(value.member("port"), "\(path).port", in: 1...65535)
            if parent.isEgressNetwork, port == nil { check.fault("\(path).port", "cannot target an EgressNetwork without specifying a port") }
        }
        return parents
    }

    private static func judge(annotations object: Value, _ parents: [Reference], _ check: inout ObjectCheck) {
        guard parents.contains(where: { $0.isService || $0.isEgressNetwork }) else { return }
        for (name, reason) in RouteAnnotations.faults(object.entries("metadata", "annotations")) { check.fault("metadata.annotations[\(name)]", reason) }
    }

    private static func judge(matches rule: Value, _ path: String, _ check: inout ObjectCheck) {
        for (i, match) in check.list(rule.member("matches"), "\(path).matches").enumerated() {
            guard let value = match.text("path", "value"), match.text("path", "type") != "RegularExpression" else { continue }
            if !value.hasPrefix("/") { check.fault("\(path).matches[\(i)].path.value", "\(ObjectCheck.told(value)) must be absolute, beginning with /") }
        }
    }

    private static func judge(filters rule: Value, _ path: String, known: [String], isStrict: Bool, _ check: inout ObjectCheck) {
        for (i, filter) in check.list(rule.member("filters"), "\(path).filters").enumerated() {
            let path = "\(path).filters[\(i)]"
            let type = filter.text("type") ?? ""
            if !known.contains(type) {
                let reason = "the filter \(ObjectCheck.told(type)) is not carried out here, so the mesh ignores the whole route"
                if isStrict { check.fault("\(path).type", reason) } else { check.warn("\(path).type", reason) }
            }
            for field in ["replaceFullPath", "replacePrefixMatch"] {
                guard let value = filter.text("requestRedirect", "path", field) else { continue }
                if !value.hasPrefix("/") { check.fault("\(path).requestRedirect.path.\(field)", "\(ObjectCheck.told(value)) must be absolute, beginning with /") }
            }
        }
    }

    private static func judge(timeouts rule: Value, _ path: String, _ check: inout ObjectCheck) {
        func time(_ name: String, _ check: inout ObjectCheck) -> Interval? {
            guard let text = check.text(rule.member("timeouts", name), "\(path).timeouts.\(name)") else { return nil }
            guard let time = goDuration(text), time >= .zero else {
                check.fault("\(path).timeouts.\(name)", "\(ObjectCheck.told(text)) is no duration; write 10s, 500ms or 1m30s")
                return nil
            }
            return time
        }
        let request = time("request", &check)
        let backend = time("backendRequest", &check)
        // Zero is no limit.
        if let request, let backend, request > .zero, backend > request { check.fault("\(path).timeouts.backendRequest", "must not be longer than request") }
    }

    private static func judge(backends rule: Value, _ path: String, isStrict: Bool, _ check: inout ObjectCheck) {
        for (i, value) in check.list(rule.member("backendRefs"), "\(path).backendRefs").enumerated() {
            let backend = Reference(value, kind: "Service")
            guard backend.isService, value.member("port") == nil else { continue }
            let reason = "a backend that is a Service needs a port"
            if isStrict { check.fault("\(path).backendRefs[\(i)].port", reason) } else { check.warn("\(path).backendRefs[\(i)].port", reason) }
        }
    }
}
