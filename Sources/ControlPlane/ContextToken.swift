// The token that the injector gives a proxy and the proxy brings back: where the client runs. JSON, or the older `ns:<name>`.
// What cannot be read is an empty context, as upstream.

import Base
import Documents
import Kube

public struct ContextToken: Equatable, Sendable {
    public var namespace = ""
    public var nodeName = ""
    public var pod = ""
    public var externalWorkload = ""

    public init() {}

    /// `{"ns":…,"nodeName":…,"pod":…}` or `ns:<namespace>`.
    public init(destination text: String) {
        if !readJSON(text), text.hasPrefix("ns:") { namespace = Self.trimmed(text.dropFirst(3)) }
    }

    /// `{"ns":…,"pod":…}` or `<namespace>:<pod>`. nil: neither.
    public init?(workload text: String) {
        if readJSON(text) {
            if namespace.isEmpty || pod.isEmpty && externalWorkload.isEmpty { return nil }
            return
        }
        let parts = text.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false)
        guard parts.count == 2, !parts[0].isEmpty, !text.hasPrefix("{") else { return nil }
        namespace = String(parts[0])
        pod = Self.trimmed(parts[1])
        if pod.isEmpty { return nil }
    }

    private mutating func readJSON(_ text: String) -> Bool {
        guard let value = try? Value(json: Array(text.utf8)) else { return false }
        guard case .object = value else { return false }
        namespace = value.text("ns") ?? ""
        nodeName = value.text("nodeName") ?? ""
        pod = value.text("pod") ?? ""
        externalWorkload = value.text("external_workload") ?? ""
        return true
    }

    private static func trimmed(_ text: Substring) -> String { String(text.prefix { $0 != "\n" && $0 != " " }) }
}
