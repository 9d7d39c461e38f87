// What names and labels may look like. Each check gives the sentence that the API says, or nil.
// Source: k8s.io/apimachinery pkg/util/validation/validation.go.

enum Names {
    private static func isLowerAlphanumeric(_ byte: UInt8) -> Bool { byte >= 97 && byte <= 122 || byte >= 48 && byte <= 57 }
    private static func isAlphanumeric(_ byte: UInt8) -> Bool { isLowerAlphanumeric(byte) || byte >= 65 && byte <= 90 }

    static func isDNSLabel(_ text: some StringProtocol) -> Bool {
        let bytes = Array(text.utf8)
        guard let first = bytes.first, let last = bytes.last, bytes.count <= 63, isLowerAlphanumeric(first), isLowerAlphanumeric(last) else { return false }
        return bytes.allSatisfy { isLowerAlphanumeric($0) || $0 == 0x2d }
    }

    static func isDNSSubdomain(_ text: String) -> Bool {
        guard !text.isEmpty, text.utf8.count <= 253 else { return false }
        return text.split(separator: ".", omittingEmptySubsequences: false).allSatisfy { part in
            let bytes = Array(part.utf8)
            guard let first = bytes.first, let last = bytes.last, isLowerAlphanumeric(first), isLowerAlphanumeric(last) else { return false }
            return bytes.allSatisfy { isLowerAlphanumeric($0) || $0 == 0x2d }
        }
    }

    static let subdomainRule =
        "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character"
    static let labelRule =
        "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character"

    /// What is wrong with an object's name.
    static func fault(ofName name: String, kind: ServedKind) -> String? {
        switch kind.name {
        case "namespaces":
            return isDNSLabel(name) ? nil : labelRule
        case "services":
            // RFC 1035: begins with a letter.
            return isDNSLabel(name) && !(name.utf8.first.map { $0 >= 48 && $0 <= 57 } ?? true)
                ? nil
                : "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic character, and end with an alphanumeric character"
        case "roles.rbac.authorization.k8s.io", "rolebindings.rbac.authorization.k8s.io", "clusterroles.rbac.authorization.k8s.io", "clusterrolebindings.rbac.authorization.k8s.io":
            // Path segments: anything but what a path cannot hold.
            if name == "." || name == ".." { return "may not be '\(name)'" }
            return name.contains("/") ? "may not contain '/'" : name.contains("%") ? "may not contain '%'" : nil
        default:
            return isDNSSubdomain(name) ? nil : subdomainRule
        }
    }

    /// A label or annotation key: optional DNS prefix and slash, then up to 63 of letters, digits, `-`, `_`, `.`.
    static func fault(ofKey key: String) -> String? {
        let parts = key.split(separator: "/", omittingEmptySubsequences: false)
        guard parts.count <= 2 else { return "a qualified name must have at most one '/'" }
        if parts.count == 2, !isDNSSubdomain(String(parts[0])) { return "prefix part " + subdomainRule }
        return isQualified(parts[parts.count - 1])
            ? nil
            : "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character"
    }

    static func fault(ofLabelValue value: String) -> String? {
        value.isEmpty || isQualified(value[...])
            ? nil
            : "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character"
    }

    private static func isQualified(_ text: Substring) -> Bool {
        let bytes = Array(text.utf8)
        guard let first = bytes.first, let last = bytes.last, bytes.count <= 63, isAlphanumeric(first), isAlphanumeric(last) else { return false }
        return bytes.allSatisfy { isAlphanumeric($0) || $0 == 0x2d || $0 == 0x5f || $0 == 0x2e }
    }

    /// Base of a generated name: 63 bytes less the five that are appended. Source: k8s.io/apiserver pkg/storage/names/generate.go.
    static func generated(from base: String, suffix: String) -> String { String(base.prefix(58)) + suffix }
    static let suffixAlphabet = Array("bcdfghjklmnpqrstvwxz2456789".utf8)
}
