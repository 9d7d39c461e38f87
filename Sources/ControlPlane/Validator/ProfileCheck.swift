// Whether a ServiceProfile can be understood: the verdicts of Linkerd's validator, with every fault named by its field. What
// Linkerd lets pass passes here too, but with a warning where the proxy will have to ignore it.
// Source: linkerd2 pkg/profiles/profiles.go, controller/sp-validator.

import Base
import Documents
import Kube
import OrderedCollections

public enum ProfileCheck {
    /// Judges the whole object.
    public static func verdict(_ object: Value) -> AdmissionVerdict {
        var check = ObjectCheck()
        let name = object.text("metadata", "name") ?? ""
        judge(object, &check)
        return check.verdict("ServiceProfile \"\(name.prefix(253))\" is invalid", code: 400)
    }

    private static func judge(_ object: Value, _ check: inout ObjectCheck) {
        guard let members = check.object(object, "", only: ["apiVersion", "kind", "metadata", "spec"]) else { return }
        let name = object.text("metadata", "name") ?? ""
        if !isDNSSubdomain(name) { check.fault("metadata.name", "\(ObjectCheck.told(name)) is not the DNS name of a service, such as web.shop.svc.cluster.local") }
        switch members["spec"] {
        case nil, .null?: return
        case let spec?:
            guard let spec = check.object(spec, "spec", only: ["routes", "retryBudget", "dstOverrides", "opaquePorts"]) else { return }
            for (i, route) in check.list(spec["routes"], "spec.routes").enumerated() { judge(route: route, "spec.routes[\(i)]", &check) }
            if let budget = spec["retryBudget"], budget != .null { judge(budget: budget, "spec.retryBudget", &check) }
            for (i, target) in check.list(spec["dstOverrides"], "spec.dstOverrides").enumerated() { judge(override: target, "spec.dstOverrides[\(i)]", &check) }
            for (i, port) in check.list(spec["opaquePorts"], "spec.opaquePorts").enumerated() { _ = check.text(port, "spec.opaquePorts[\(i)]") }
        }
    }

    private static func judge(route: Value, _ path: String, _ check: inout ObjectCheck) {
        if route == .null { return check.fault(path, "must not be null") }
        guard let members = check.object(route, path, only: ["name", "condition", "responseClasses", "isRetryable", "timeout"]) else { return }
        if (check.text(members["name"], "\(path).name") ?? "").isEmpty { check.fault("\(path).name", "a route needs a name, which labels its metrics") }
        switch members["condition"] {
        case nil, .null?: check.fault("\(path).condition", "a route needs a condition, which says what requests it is for")
        case let condition?: judge(request: condition, "\(path).condition", &check)
        }
        _ = check.flag(members["isRetryable"], "\(path).isRetryable")
        if let timeout = check.text(members["timeout"], "\(path).timeout"), !timeout.isEmpty, goDuration(timeout) == nil {
            check.fault("\(path).timeout", "\(ObjectCheck.told(timeout)) is no duration; write 300ms, 25s or 1m30s")
        }
        for (i, item) in check.list(members["responseClasses"], "\(path).responseClasses").enumerated() {
            let path = "\(path).responseClasses[\(i)]"
            if item == .null {
                check.fault(path, "must not be null")
                continue
            }
            guard let members = check.object(item, path, only: ["condition", "isFailure"]) else { continue }
            _ = check.flag(members["isFailure"], "\(path).isFailure")
            switch members["condition"] {
            case nil, .null?: check.fault("\(path).condition", "a response class needs a condition, which says what responses it is for")
            case let condition?: judge(response: condition, "\(path).condition", &check)
            }
        }
    }

    /// Null within a list is an empty condition.
    private static func judge(request: Value, _ path: String, _ check: inout ObjectCheck) {
        guard let members = check.object(request == .null ? .object([:]) : request, path, only: ["pathRegex", "method", "all", "any", "not"]) else { return }
        var isSet = false
        for list in ["all", "any"] {
            guard let value = members[list], value != .null else { continue }
            isSet = true
            for (i, item) in check.list(value, "\(path).\(list)").enumerated() { judge(request: item, "\(path).\(list)[\(i)]", &check) }
        }
        if let not = members["not"], not != .null {
            isSet = true
            judge(request: not, "\(path).not", &check)
        }
        for field in ["method", "pathRegex"] { if let text = check.text(members[field], "\(path).\(field)"), !text.isEmpty { isSet = true } }
        if !isSet { check.fault(path, "a request match must have a field set: pathRegex, method, all, any or not") }
    }

    private static func judge(response: Value, _ path: String, _ check: inout ObjectCheck) {
        guard let members = check.object(response == .null ? .object([:]) : response, path, only: ["status", "all", "any", "not"]) else { return }
        var isSet = false
        for list in ["all", "any"] {
            guard let value = members[list], value != .null else { continue }
            isSet = true
            for (i, item) in check.list(value, "\(path).\(list)").enumerated() { judge(response: item, "\(path).\(list)[\(i)]", &check) }
        }
        if let not = members["not"], not != .null {
            isSet = true
            judge(response: not, "\(path).not", &check)
        }
        if let status = members["status"], status != .null {
            isSet = true
            if let range = check.object(status, "\(path).status", only: ["min", "max"]) {
                let least = code(range["min"], "\(path).status.min", &check)
                let most = code(range["max"], "\(path).status.max", &check)
                if let least, let most, most < least { check.fault("\(path).status", "max \(most) is less than min \(least)") }
            }
        }
        if !isSet { check.fault(path, "a response match must have a field set: status, all, any or not") }
    }

    /// Zero is as if it were not there.
    private static func code(_ value: Value?, _ path: String, _ check: inout ObjectCheck) -> Int64? {
        if value == .int(0) { return nil }
        return check.number(value, path, in: 100...599)
    }

    private static func judge(budget: Value, _ path: String, _ check: inout ObjectCheck) {
        guard let members = check.object(budget, path, only: ["retryRatio", "minRetriesPerSecond", "ttl"]) else { return }
        switch members["retryRatio"] {
        case nil, .null?: break
        case .int(let ratio)? where ratio >= 0: break
        case .double(let ratio)? where ratio >= 0: break
        case .int?, .double?: check.fault("\(path).retryRatio", "must not be negative")
        case let other?: check.fault("\(path).retryRatio", "must be a number, not \(other.kindName)")
        }
        _ = check.number(members["minRetriesPerSecond"], "\(path).minRetriesPerSecond", in: 0...Int64(UInt32.max))
        guard let ttl = check.text(members["ttl"], "\(path).ttl"), !ttl.isEmpty else {
            if members["ttl"] == nil || members["ttl"] == .null || members["ttl"] == .string("") { check.fault("\(path).ttl", "a retry budget needs a ttl, over which retries are counted") }
            return
        }
        if goDuration(ttl) == nil { check.fault("\(path).ttl", "\(ObjectCheck.told(ttl)) is no duration; write 10s or 1m30s") }
    }

    /// Linkerd does not judge these; what cannot be used is left out by the destination service.
    private static func judge(override: Value, _ path: String, _ check: inout ObjectCheck) {
        if override == .null { return }
        guard let members = check.object(override, path, only: ["authority", "weight"]) else { return }
        if (check.text(members["authority"], "\(path).authority") ?? "").isEmpty { check.warn("\(path).authority", "is missing, so the override is ignored") }
        let isWeight: Bool =
            switch members["weight"] {
            case nil, .null?: true
            case .int(let weight)?: weight >= 0
            case .string(let text)?: quantityMilli(text) != nil
            case .double(let weight)?: weight >= 0
            default: false
            }
        if !isWeight { check.warn("\(path).weight", "is no quantity such as 500m or 1, so the override is ignored") }
    }
}
