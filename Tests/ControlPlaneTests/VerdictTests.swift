// The verdicts of the two validators: Linkerd's own cases and profiles, and bad objects whose fault must be named by its field.

import Base
import ControlPlane
import Documents
import Foundation
import Testing

private func yaml(_ text: String) throws -> Value { try #require(try YAML.parse(Array(text.utf8)).first?.value) }

private func request(_ object: Value, namespace: String = "shop") -> AdmissionRequest {
    let version = (object.text("apiVersion") ?? "").split(separator: "/").map(String.init)
    return AdmissionRequest(
        uid: "1", group: version.count == 2 ? version[0] : "", version: version.last ?? "", kind: object.text("kind") ?? "", name: object.text("metadata", "name") ?? "", namespace: namespace,
        operation: .create, object: object)
}

@Suite struct `Policy admission` {
    @Test func `gives Linkerd's verdicts`() throws {
        let text = try #require(FileManager.default.contents(atPath: fixtures("policy/linkerd-admission/cases.json")))
        guard case .array(let cases) = try Value(json: [UInt8](text)) else { throw Refusal("no cases") }
        var passed = 0
        for item in cases {
            let object = try Value(json: Array(try #require(item.member("resource")).json().utf8.map { $0 }))
            let named = object.text("spec", "targetRef", "name") == "$NAMESPACE"
            let verdict = PolicyCheck.verdict(request(object, namespace: named ? "$NAMESPACE" : "shop"))
            let isSame = verdict.isAllowed == item.flag("admit")
            #expect(isSame, "\(item.text("upstream_test") ?? ""): \(verdict.message)")
            #expect(verdict.isAllowed == verdict.message.isEmpty)
            passed += isSame ? 1 : 0
        }
        print("corpus policy/linkerd-admission passed \(passed) of \(cases.count)")
        #expect(cases.count == 41)
    }

    @Test func `admits what Gateway API conformance and Linkerd's own manifests hold`() throws {
        var count = 0
        for folder in ["policy/gateway-api/manifests", "policy/linkerd-manifests"] {
            for file in try FileManager.default.contentsOfDirectory(atPath: fixtures(folder)).sorted() {
                let text = try #require(FileManager.default.contents(atPath: fixtures(folder) + "/" + file))
                for document in try YAML.parse([UInt8](text)).map(\.value) where document != .null {
                    let asked = request(document, namespace: document.text("metadata", "namespace") ?? "default")
                    guard ["policy.linkerd.io", "gateway.networking.k8s.io"].contains(asked.group), asked.kind != "Gateway" else { continue }
                    let verdict = PolicyCheck.verdict(asked)
                    #expect(verdict.isAllowed, "\(file): \(verdict.message)")
                    count += 1
                }
            }
        }
        print("corpus policy/manifests passed \(count) of \(count)")
        #expect(count > 40)
    }

    @Test(arguments: [
        ("{kind: Server, apiVersion: policy.linkerd.io/v1beta3, spec: {podSelector: {}, port: 70000}}", "spec.port: must be 1 to 65535, not 70000"),
        ("{kind: Server, apiVersion: policy.linkerd.io/v1beta3, spec: {podSelector: {}, externalWorkloadSelector: {}, port: http}}", "exactly one of podSelector and externalWorkloadSelector, it has both"),
        ("{kind: Server, apiVersion: policy.linkerd.io/v1beta3, spec: {podSelector: {}, port: http, proxyProtocol: HTTP/3}}", "spec.proxyProtocol: \"HTTP/3\" is none of"),
        ("{kind: MeshTLSAuthentication, apiVersion: policy.linkerd.io/v1alpha1, spec: {identities: [\"*x.y\"]}}", "spec.identities[0]: \"*x.y\" is neither"),
        ("{kind: MeshTLSAuthentication, apiVersion: policy.linkerd.io/v1alpha1, spec: {identities: [\"https://x/y\"]}}", "spec.identities[0]: \"https://x/y\" is no SPIFFE ID"),
        ("{kind: ServerAuthorization, apiVersion: policy.linkerd.io/v1beta1, spec: {server: {name: x}, client: {unauthenticated: true, meshTLS: {}}}}", "unauthenticated and meshTLS exclude each other"),
        ("{kind: AuthorizationPolicy, apiVersion: policy.linkerd.io/v1alpha1, spec: {targetRef: {kind: Server, group: policy.linkerd.io, name: s}, requiredAuthenticationRefs: [{kind: Deployment, group: apps, name: d}]}}", "spec.requiredAuthenticationRefs[0]: Deployment of group apps is neither"),
        ("{kind: HTTPRoute, apiVersion: policy.linkerd.io/v1beta3, metadata: {annotations: {retry.linkerd.io/http: 6xx}}, spec: {parentRefs: [{kind: Service, group: core, name: s, port: 80}], rules: []}}", "metadata.annotations[retry.linkerd.io/http]: \"6xx\" is not a list of"),
        ("{kind: HTTPRoute, apiVersion: policy.linkerd.io/v1beta3, spec: {parentRefs: [{kind: Server, group: policy.linkerd.io, name: s}], rules: [{timeouts: {request: 1s, backendRequest: 2s}}]}}", "spec.rules[0].timeouts.backendRequest: must not be longer than request"),
        ("{kind: HTTPLocalRateLimitPolicy, apiVersion: policy.linkerd.io/v1alpha1, spec: {targetRef: {kind: Server, group: policy.linkerd.io, name: s}, total: {requestsPerSecond: 0}}}", "spec.total.requestsPerSecond: must be 1 to"),
        ("{kind: EgressNetwork, apiVersion: policy.linkerd.io/v1alpha1, spec: {trafficPolicy: Perhaps}}", "spec.trafficPolicy: \"Perhaps\" is neither Allow nor Deny"),
        ("{kind: Pod, apiVersion: v1}", "is not judged here"),
    ])
    func `names the field that is wrong`(_ object: String, _ words: String) throws {
        let verdict = PolicyCheck.verdict(request(try yaml(object)))
        #expect(!verdict.isAllowed && verdict.message.contains(words), "\(verdict.message)")
    }

    @Test func `a filter that we do not carry out is admitted with a warning`() throws {
        let route = try yaml("{kind: HTTPRoute, apiVersion: gateway.networking.k8s.io/v1, spec: {parentRefs: [{kind: Service, group: '', name: s}], rules: [{filters: [{type: URLRewrite}]}]}}")
        let verdict = PolicyCheck.verdict(request(route))
        #expect(verdict.isAllowed && verdict.warnings == ["spec.rules[0].filters[0].type: the filter \"URLRewrite\" is not carried out here, so the mesh ignores the whole route"])
        // A gateway's route is none of our business.
        let foreign = try yaml("{kind: HTTPRoute, apiVersion: gateway.networking.k8s.io/v1, spec: {parentRefs: [{name: g}], rules: [{filters: [{type: URLRewrite}], matches: [{path: {value: x}}]}]}}")
        #expect(PolicyCheck.verdict(request(foreign)).isAllowed && PolicyCheck.verdict(request(foreign)).warnings.isEmpty)
    }
}

@Suite struct `ServiceProfile admission` {
    @Test func `admits real and generated profiles`() throws {
        var count = 0
        for file in try FileManager.default.contentsOfDirectory(atPath: fixtures("profiles/real-profiles")).sorted() {
            let text = try #require(FileManager.default.contents(atPath: fixtures("profiles/real-profiles/" + file)))
            let verdict = ProfileCheck.verdict(try YAML.parse([UInt8](text))[0].value)
            #expect(verdict.isAllowed, "\(file): \(verdict.message)")
            count += 1
        }
        for file in ["openapi_test.json", "proto_test.json"] {
            let text = try #require(FileManager.default.contents(atPath: fixtures("profiles/linkerd-expected/" + file)))
            for object in Self.profiles(try Value(json: [UInt8](text))) {
                let verdict = ProfileCheck.verdict(object)
                #expect(verdict.isAllowed, "\(file): \(verdict.message)")
                count += 1
            }
        }
        print("corpus profiles passed \(count) of \(count)")
        #expect(count >= 5)
    }

    /// Every ServiceProfile within a document.
    private static func profiles(_ value: Value) -> [Value] {
        switch value {
        case .object(let members):
            if members["kind"] == .string("ServiceProfile") { return [value] }
            return members.values.flatMap { profiles($0) }
        case .array(let items): return items.flatMap { profiles($0) }
        case .null, .bool, .int, .double, .string: return []
        }
    }

    static let good = "{apiVersion: linkerd.io/v1alpha2, kind: ServiceProfile, metadata: {name: web.shop.svc.cluster.local}, spec: "

    /// Source: linkerd2 pkg/profiles/profiles_test.go, controller/sp-validator: what is refused there, and why.
    @Test(arguments: [
        ("{routes: [{name: a, condition: {method: GET}, bogus: 1}]}", "spec.routes[0].bogus: is unknown here"),
        ("{bogus: 1}", "spec.bogus: is unknown here"),
        ("{routes: [null]}", "spec.routes[0]: must not be null"),
        ("{routes: [{condition: {method: GET}}]}", "spec.routes[0].name: a route needs a name"),
        ("{routes: [{name: a}]}", "spec.routes[0].condition: a route needs a condition"),
        ("{routes: [{name: a, condition: {}}]}", "a request match must have a field set"),
        ("{routes: [{name: a, condition: {all: [{method: GET}, {}]}}]}", "spec.routes[0].condition.all[1]: a request match must have a field set"),
        ("{routes: [{name: a, condition: {not: {any: [{pathRegex: \"\"}]}}}]}", "spec.routes[0].condition.not.any[0]: a request match must have a field set"),
        ("{routes: [{name: a, condition: {method: 1}}]}", "spec.routes[0].condition.method: must be a string, not a number"),
        ("{routes: [{name: a, condition: {method: GET}, timeout: soon}]}", "spec.routes[0].timeout: \"soon\" is no duration"),
        ("{routes: [{name: a, condition: {method: GET}, timeout: \"10\"}]}", "spec.routes[0].timeout: \"10\" is no duration"),
        ("{routes: [{name: a, condition: {method: GET}, isRetryable: maybe}]}", "spec.routes[0].isRetryable: must be true or false"),
        ("{routes: [{name: a, condition: {method: GET}, responseClasses: [{isFailure: true}]}]}", "spec.routes[0].responseClasses[0].condition: a response class needs a condition"),
        ("{routes: [{name: a, condition: {method: GET}, responseClasses: [{condition: {}}]}]}", "a response match must have a field set"),
        ("{routes: [{name: a, condition: {method: GET}, responseClasses: [{condition: {status: {min: 99}}}]}]}", "status.min: must be 100 to 599, not 99"),
        ("{routes: [{name: a, condition: {method: GET}, responseClasses: [{condition: {status: {min: 500, max: 600}}}]}]}", "status.max: must be 100 to 599, not 600"),
        ("{routes: [{name: a, condition: {method: GET}, responseClasses: [{condition: {status: {min: 500, max: 400}}}]}]}", "max 400 is less than min 500"),
        ("{retryBudget: {retryRatio: -0.5, minRetriesPerSecond: 1, ttl: 10s}}", "spec.retryBudget.retryRatio: must not be negative"),
        ("{retryBudget: {retryRatio: 0.5, minRetriesPerSecond: 1}}", "spec.retryBudget.ttl: a retry budget needs a ttl"),
        ("{retryBudget: {retryRatio: 0.5, minRetriesPerSecond: -1, ttl: 10s}}", "spec.retryBudget.minRetriesPerSecond: must be 0 to"),
        ("{retryBudget: {retryRatio: 0.5, minRetriesPerSecond: 1, ttl: foo}}", "spec.retryBudget.ttl: \"foo\" is no duration"),
    ])
    func `refuses with the field`(_ spec: String, _ words: String) throws {
        let verdict = ProfileCheck.verdict(try yaml(Self.good + spec + "}"))
        #expect(!verdict.isAllowed && verdict.code == 400 && verdict.message.contains(words), "\(verdict.message)")
    }

    @Test(arguments: [
        "{}", "{routes: []}", "{routes: [{name: a, condition: {method: GET}, timeout: 1m30s, responseClasses: [{condition: {not: {status: {min: 200, max: 299}}}, isFailure: true}]}]}",
        "{routes: [{name: a, condition: {pathRegex: \"[\"}}]}", "{retryBudget: {retryRatio: 0.2, minRetriesPerSecond: 10, ttl: 300ms}}", "{dstOverrides: [{authority: a.b.svc.cluster.local, weight: 500m}]}",
        "{routes: [{name: a, condition: {all: []}}], opaquePorts: [\"3306\"]}",
    ])
    func `admits what Linkerd admits`(_ spec: String) throws {
        let verdict = ProfileCheck.verdict(try yaml(Self.good + spec + "}"))
        #expect(verdict.isAllowed, "\(verdict.message)")
    }

    @Test func `the name is a DNS name, the first ten faults are told and the rest counted`() throws {
        let named = ProfileCheck.verdict(try yaml("{apiVersion: linkerd.io/v1alpha2, kind: ServiceProfile, metadata: {name: \"^.^\"}, spec: {}}"))
        #expect(named.message == "ServiceProfile \"^.^\" is invalid: metadata.name: \"^.^\" is not the DNS name of a service, such as web.shop.svc.cluster.local")
        let many = ProfileCheck.verdict(try yaml(Self.good + "{routes: [\((0..<25).map { _ in "{name: a}" }.joined(separator: ", "))]}}"))
        #expect(many.message.hasSuffix("; and 15 more"))
        let weight = ProfileCheck.verdict(try yaml(Self.good + "{dstOverrides: [{authority: a, weight: heavy}]}}"))
        #expect(weight.isAllowed && weight.warnings == ["spec.dstOverrides[0].weight: is no quantity such as 500m or 1, so the override is ignored"])
    }
}
