// Whether a policy resource can be obeyed: the verdicts of Linkerd's policy admission, with every fault named by its field. Routes
// of the Gateway API are judged leniently, since other controllers read them too; what we do not carry out is told as a warning.
// Source: linkerd2 policy-controller/runtime/src/admission.rs and the schemas of its CRDs.

import Base
import Documents
import Kube
import OrderedCollections

public enum PolicyCheck {
    /// Judges the object of a request; kinds that are not policy are refused.
    public static func verdict(_ request: AdmissionRequest) -> AdmissionVerdict {
        var check = ObjectCheck()
        let spec = request.object.member("spec") ?? .null
        let name = request.object.text("metadata", "name") ?? request.name
        let subject = "\(request.kind) \"\(name.prefix(253))\" is invalid"
        switch (request.group, request.kind) {
        case ("policy.linkerd.io", "Server"): judge(server: spec, &check)
        case ("policy.linkerd.io", "ServerAuthorization"): judge(serverAuthorization: spec, &check)
        case ("policy.linkerd.io", "AuthorizationPolicy"): judge(authorizationPolicy: spec, namespace: request.namespace, &check)
        case ("policy.linkerd.io", "MeshTLSAuthentication"): judge(meshTLS: spec, &check)
        case ("policy.linkerd.io", "NetworkAuthentication"): judge(networks: spec.member("networks"), "spec.networks", isRequired: true, &check)
        case ("policy.linkerd.io", "EgressNetwork"): judge(egress: spec, &check)
        case ("policy.linkerd.io", "HTTPLocalRateLimitPolicy"): judge(rateLimit: spec, &check)
        case ("policy.linkerd.io", "HTTPRoute"): RouteCheck.judge(policyHTTP: request.object, &check)
        case ("gateway.networking.k8s.io", "HTTPRoute"): RouteCheck.judge(gatewayHTTP: request.object, &check)
        case ("gateway.networking.k8s.io", "GRPCRoute"): RouteCheck.judge(grpc: request.object, &check)
        case ("gateway.networking.k8s.io", "TLSRoute"), ("gateway.networking.k8s.io", "TCPRoute"): RouteCheck.judge(single: request.object, &check)
        default: return .refused("\(request.kind) of group \"\(request.group)\" is not judged here; the webhook's rules should name policy resources only", code: 400)
        }
        return check.verdict(subject, code: 422)
    }

    // MARK: Servers

    private static func judge(server spec: Value, _ check: inout ObjectCheck) {
        let selectors = ["podSelector", "externalWorkloadSelector"].filter { spec.member($0) != nil && spec.member($0) != .null }
        if selectors.count != 1 { check.fault("spec", "a Server needs exactly one of podSelector and externalWorkloadSelector, it has \(selectors.isEmpty ? "none" : "both")") }
        for selector in selectors {
            guard let value = spec.member(selector) else { continue }
            if LabelSelector(reading: value) == nil { check.fault("spec.\(selector)", "is no label selector") }
        }
        switch spec.member("port") {
        case .int(let number)?: if !(1...65535).contains(number) { check.fault("spec.port", "must be 1 to 65535, not \(number)") }
        case .string(let text)?: if text.isEmpty { check.fault("spec.port", "must be a number or the name of a container's port") }
        default: check.fault("spec.port", "must be a number or the name of a container's port")
        }
        let protocols = ["unknown", "HTTP/1", "HTTP/2", "gRPC", "opaque", "TLS"]
        if let named = check.text(spec.member("proxyProtocol"), "spec.proxyProtocol"), !protocols.contains(named) {
            check.fault("spec.proxyProtocol", "\(ObjectCheck.told(named)) is none of \(protocols.joined(separator: ", "))")
        }
        if let policy = check.text(spec.member("accessPolicy"), "spec.accessPolicy"), DefaultPolicy(rawValue: policy) == nil {
            check.fault("spec.accessPolicy", "\(ObjectCheck.told(policy)) is none of \(DefaultPolicy.allCases.map(\.rawValue).joined(separator: ", "))")
        }
    }

    private static func judge(serverAuthorization spec: Value, _ check: inout ObjectCheck) {
        let client = spec.member("client") ?? .null
        if client.member("networks") != nil { judge(networks: client.member("networks"), "spec.client.networks", isRequired: false, &check) }
        let meshTLS = client.member("meshTLS")
        if client.flag("unauthenticated") == true, meshTLS != nil, meshTLS != .null {
            check.fault("spec.client", "unauthenticated and meshTLS exclude each other")
        }
        if client.flag("meshTLS", "unauthenticatedTLS") == true, !client.items("meshTLS", "identities").isEmpty || !client.items("meshTLS", "serviceAccounts").isEmpty {
            check.fault("spec.client.meshTLS", "unauthenticatedTLS lets in everybody with TLS, so identities and serviceAccounts must be empty")
        }
        for (i, identity) in check.list(client.member("meshTLS", "identities"), "spec.client.meshTLS.identities").enumerated() {
            if let text = check.text(identity, "spec.client.meshTLS.identities[\(i)]") { judge(identity: text, "spec.client.meshTLS.identities[\(i)]", &check) }
        }
    }

    // MARK: Authorization

    private static func judge(authorizationPolicy spec: Value, namespace: String, _ check: inout ObjectCheck) {
        let target = Reference(spec.member("targetRef") ?? .null)
        if target.isNamespace {
            if !namespace.isEmpty, target.name != namespace { check.fault("spec.targetRef", "a policy cannot target another namespace: it is in \(namespace), not in \(target.name)") }
        } else if !target.isServer && !target.isRoute {
            check.fault("spec.targetRef", "\(target.told) is neither a Server, an HTTPRoute, a GRPCRoute nor the policy's own Namespace")
        }
        if target.name.isEmpty { check.fault("spec.targetRef.name", "is missing") }
        guard spec.member("requiredAuthenticationRefs") != nil else { return check.fault("spec.requiredAuthenticationRefs", "is missing; an empty list lets everybody in") }
        let references = check.list(spec.member("requiredAuthenticationRefs"), "spec.requiredAuthenticationRefs").map { Reference($0) }
        var identities = 0
        var accounts = 0
        var networks = 0
        for (i, reference) in references.enumerated() {
            let path = "spec.requiredAuthenticationRefs[\(i)]"
            if reference.name.isEmpty { check.fault("\(path).name", "is missing") }
            if reference.isPolicy("MeshTLSAuthentication") {
                identities += 1
            } else if reference.isCore("ServiceAccount") {
                accounts += 1
            } else if reference.isPolicy("NetworkAuthentication") {
                networks += 1
            } else {
                check.fault(path, "\(reference.told) is neither a MeshTLSAuthentication, a NetworkAuthentication nor a ServiceAccount")
            }
        }
        // All must hold at once, so two of a kind would be one that is hard to read, or a mistake for "either".
        if identities > 1 { check.fault("spec.requiredAuthenticationRefs", "only a single MeshTLSAuthentication may be set") }
        if accounts > 1 { check.fault("spec.requiredAuthenticationRefs", "only a single ServiceAccount may be set") }
        if identities > 0, accounts > 0 { check.fault("spec.requiredAuthenticationRefs", "a MeshTLSAuthentication and a ServiceAccount may not be set together") }
        if networks > 1 { check.fault("spec.requiredAuthenticationRefs", "only a single NetworkAuthentication may be set") }
    }

    private static func judge(meshTLS spec: Value, _ check: inout ObjectCheck) {
        let identities = check.list(spec.member("identities"), "spec.identities")
        let references = check.list(spec.member("identityRefs"), "spec.identityRefs")
        if identities.isEmpty == references.isEmpty {
            check.fault("spec", identities.isEmpty ? "identities or identityRefs must name at least one" : "identities and identityRefs exclude each other")
        }
        for (i, identity) in identities.enumerated() { if let text = check.text(identity, "spec.identities[\(i)]") { judge(identity: text, "spec.identities[\(i)]", &check) } }
        for (i, value) in references.enumerated() {
            let reference = Reference(value)
            let path = "spec.identityRefs[\(i)]"
            if reference.isNamespace {
                if reference.namespace != nil { check.fault("\(path).namespace", "a reference to a Namespace has none") }
            } else if !reference.isCore("ServiceAccount") {
                check.fault(path, "\(reference.told) is neither a ServiceAccount nor a Namespace")
            }
        }
    }

    /// `*`, `*.suffix`, a DNS name, or a SPIFFE ID.
    private static func judge(identity text: String, _ path: String, _ check: inout ObjectCheck) {
        if text.contains("://") {
            let rest = text.dropFirst("spiffe://".count)
            let host = rest.prefix { $0 != "/" }
            let isPlain = rest.utf8.allSatisfy { $0 > 0x20 && $0 < 0x7f && $0 != 0x3f && $0 != 0x23 && $0 != 0x40 }
            if !text.hasPrefix("spiffe://") || !isDNSSubdomain(host) || !isPlain { check.fault(path, "\(ObjectCheck.told(text)) is no SPIFFE ID, such as spiffe://example.org/workload") }
        } else if text != "*" {
            let name = text.hasPrefix("*.") ? text.dropFirst(2) : text[...]
            if !isDNSSubdomain(name.lowercased()) { check.fault(path, "\(ObjectCheck.told(text)) is neither *, *.suffix, a DNS name nor a SPIFFE ID") }
        }
    }

    // MARK: Networks

    static func judge(networks value: Value?, _ path: String, isRequired: Bool, _ check: inout ObjectCheck) {
        if value == nil || value == .null {
            if isRequired { check.fault(path, "at least one network must be named") }
            return
        }
        let networks = check.list(value, path)
        if networks.isEmpty { check.fault(path, "at least one network must be named") }
        for (i, item) in networks.enumerated() {
            let path = "\(path)[\(i)]"
            guard let text = check.text(item.member("cidr"), "\(path).cidr"), let network = IPNetwork(text) else {
                check.fault("\(path).cidr", "\(ObjectCheck.told(item.text("cidr") ?? "")) is no network, such as 10.0.0.0/8")
                continue
            }
            for (j, value) in check.list(item.member("except"), "\(path).except").enumerated() {
                guard let text = check.text(value, "\(path).except[\(j)]"), let except = IPNetwork(text) else {
                    check.fault("\(path).except[\(j)]", "\(ObjectCheck.told(value.text() ?? "")) is no network, such as 10.1.0.0/16")
                    continue
                }
                if except.contains(network) {
                    check.fault("\(path).except[\(j)]", "\(except) leaves nothing of \(network)")
                } else if !network.contains(except) {
                    check.fault("\(path).except[\(j)]", "\(except) is not within \(network)")
                }
            }
        }
    }

    private static func judge(egress spec: Value, _ check: inout ObjectCheck) {
        judge(networks: spec.member("networks"), "spec.networks", isRequired: false, &check)
        switch check.text(spec.member("trafficPolicy"), "spec.trafficPolicy") {
        case "Allow", "Deny": break
        case let other: check.fault("spec.trafficPolicy", "\(ObjectCheck.told(other ?? "")) is neither Allow nor Deny")
        }
    }

    private static func judge(rateLimit spec: Value, _ check: inout ObjectCheck) {
        let target = Reference(spec.member("targetRef") ?? .null)
        if !target.isServer { check.fault("spec.targetRef", "\(target.told) is no Server, and only Servers have rate limits") }
        let rates: ClosedRange<Int64> = 1...Int64(UInt32.max)
        func rate(_ value: Value?, _ path: String, _ check: inout ObjectCheck) -> Int64? {
            guard let value, value != .null else { return nil }
            if value.member("requestsPerSecond") == nil { check.fault("\(path).requestsPerSecond", "is missing") }
            return check.number(value.member("requestsPerSecond"), "\(path).requestsPerSecond", in: rates)
        }
        let total = rate(spec.member("total"), "spec.total", &check)
        func within(_ rate: Int64?, _ path: String, _ check: inout ObjectCheck) {
            if let total, let rate, rate > total { check.fault("\(path).requestsPerSecond", "\(rate) is more than the total of \(total)") }
        }
        within(rate(spec.member("identity"), "spec.identity", &check), "spec.identity", &check)
        for (i, item) in check.list(spec.member("overrides"), "spec.overrides").enumerated() {
            let path = "spec.overrides[\(i)]"
            within(rate(item, path, &check), path, &check)
            for (j, value) in check.list(item.member("clientRefs"), "\(path).clientRefs").enumerated() {
                let reference = Reference(value)
                if !reference.isCore("ServiceAccount") { check.fault("\(path).clientRefs[\(j)]", "\(reference.told) is no ServiceAccount") }
            }
        }
    }
}

extension IPNetwork {
    /// Every address of the other is one of ours.
    func contains(_ other: IPNetwork) -> Bool { base.isV4 == other.base.isV4 && prefixBits <= other.prefixBits && contains(other.base) }
}

/// A reference from one object to another, as all policy kinds write them. Kinds and groups are compared without regard to case,
/// and an absent group is the core group, as upstream does.
struct Reference: Equatable {
    /// Lower case; empty for the core group.
    var group: String
    var kind: String
    var name: String
    var namespace: String?

    init(_ value: Value, kind: String = "", group: String = "") {
        let written = (value.text("group") ?? group).lowercased()
        self.group = written == "core" ? "" : written
        self.kind = value.text("kind") ?? kind
        name = value.text("name") ?? ""
        namespace = value.text("namespace")
    }

    func isCore(_ kind: String) -> Bool { group.isEmpty && self.kind.lowercased() == kind.lowercased() }
    func isPolicy(_ kind: String) -> Bool { group == "policy.linkerd.io" && self.kind.lowercased() == kind.lowercased() }
    func isGateway(_ kind: String) -> Bool { group == "gateway.networking.k8s.io" && self.kind.lowercased() == kind.lowercased() }

    var isNamespace: Bool { isCore("Namespace") }
    var isServer: Bool { isPolicy("Server") }
    var isRoute: Bool { isPolicy("HTTPRoute") || isGateway("HTTPRoute") || isGateway("GRPCRoute") }
    var isService: Bool { isCore("Service") }
    var isEgressNetwork: Bool { isPolicy("EgressNetwork") }
    var told: String { kind.isEmpty ? "what has no kind" : "\(kind.prefix(80))\(group.isEmpty ? "" : " of group \(group.prefix(80))")" }
}
