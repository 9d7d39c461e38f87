// Judging an object field by field: every fault is noted with the path of its field, so that one answer names all that is wrong.
// Both validators use it. Bounded: an object with thousands of faults gets the first few told and the rest counted.

import Base
import Documents
import Kube
import OrderedCollections

struct ObjectCheck {
    private(set) var faults: [String] = []
    private(set) var faultCount = 0
    private(set) var warnings: [String] = []
    /// Unit: faults told. Source: ours; a person reads no more at once.
    static let faultsToldMax = 10

    var isGood: Bool { faultCount == 0 }

    /// `spec.routes[2].timeout: "soon" is no duration`
    mutating func fault(_ path: String, _ reason: String) {
        faultCount += 1
        if faults.count < Self.faultsToldMax { faults.append("\(path): \(reason)") }
    }

    mutating func warn(_ path: String, _ reason: String) { if warnings.count < Self.faultsToldMax { warnings.append("\(path): \(reason)") } }

    /// All that is wrong, in a sentence.
    var message: String {
        faults.joined(separator: "; ") + (faultCount > faults.count ? "; and \(faultCount - faults.count) more" : "")
    }

    /// The verdict on an object: `code` is that of a refusal.
    func verdict(_ subject: String, code: Int64) -> AdmissionVerdict {
        var verdict = isGood ? AdmissionVerdict.allowed : .refused("\(subject): \(message)", code: code)
        verdict.warnings = warnings
        return verdict
    }

    // MARK: Shapes

    /// The members of an object that has no others than these; nil, with a fault, when it is none.
    mutating func object(_ value: Value, _ path: String, only known: [String]? = nil) -> Object? {
        guard case .object(let members) = value else {
            fault(path, "must be an object, not \(value.kindName)")
            return nil
        }
        if let known {
            for name in members.keys where !known.contains(name) { fault(Self.join(path, name), "is unknown here; known are \(known.joined(separator: ", "))") }
        }
        return members
    }

    /// Absent and null are empty.
    mutating func list(_ value: Value?, _ path: String) -> [Value] {
        switch value {
        case nil, .null?: return []
        case .array(let items)?: return items
        case let other?:
            fault(path, "must be a list, not \(other.kindName)")
            return []
        }
    }

    /// nil when absent, null, or of another type, which is a fault.
    mutating func text(_ value: Value?, _ path: String) -> String? {
        switch value {
        case nil, .null?: return nil
        case .string(let text)?: return text
        case let other?:
            fault(path, "must be a string, not \(other.kindName)")
            return nil
        }
    }

    mutating func flag(_ value: Value?, _ path: String) -> Bool? {
        switch value {
        case nil, .null?: return nil
        case .bool(let flag)?: return flag
        case let other?:
            fault(path, "must be true or false, not \(other.kindName)")
            return nil
        }
    }

    /// A whole number in a range.
    mutating func number(_ value: Value?, _ path: String, in range: ClosedRange<Int64>) -> Int64? {
        switch value {
        case nil, .null?: return nil
        case .int(let number)? where range.contains(number): return number
        case .int(let number)?: fault(path, "must be \(range.lowerBound) to \(range.upperBound), not \(number)")
        case let other?: fault(path, "must be a whole number, not \(other.kindName)")
        }
        return nil
    }

    static func join(_ path: String, _ name: String) -> String { path.isEmpty ? name : "\(path).\(name)" }

    /// As messages quote what somebody wrote.
    static func told(_ text: String) -> String { "\"\(text.prefix(80))\"" }
}

/// RFC 1123 as Kubernetes reads it: labels of lower case letters, digits and dashes, joined by dots, at most 253 bytes.
/// Source: k8s.io/apimachinery pkg/util/validation, IsDNS1123Subdomain.
func isDNSSubdomain(_ text: some StringProtocol) -> Bool {
    guard !text.isEmpty, text.utf8.count <= 253 else { return false }
    return text.utf8.split(separator: 0x2e, omittingEmptySubsequences: false).allSatisfy { label in
        guard let first = label.first, let last = label.last, first != 0x2d, last != 0x2d else { return false }
        return label.allSatisfy { $0 >= 0x61 && $0 <= 0x7a || $0 >= 0x30 && $0 <= 0x39 || $0 == 0x2d }
    }
}
