// Credential plug-ins of kubeconfigs: a program that is told the protocol's version in a variable and prints a token, a client
// certificate or both, with the time until which they are good. Source: k8s.io/client-go
// plugin/pkg/client/auth/exec, API group client.authentication.k8s.io.

import Base
import Documents
import Platform

public struct CredentialPlugin: Sendable, Equatable {
    /// Those whose documents we read; the first is the one that must say whether a person is needed.
    public static let apiVersions = ["client.authentication.k8s.io/v1", "client.authentication.k8s.io/v1beta1"]

    public var apiVersion: String
    /// An absolute path, or a name to be found in `PATH`.
    public var command: String
    public var arguments: [String] = []
    /// On top of our own.
    public var environment: [Program.Variable] = []
    /// What a person can do when the command is not there.
    public var installHint = ""
    /// What the plug-in is told of the cluster; nil: nothing.
    public var cluster: Value?

    public init(apiVersion: String, command: String) {
        self.apiVersion = apiVersion
        self.command = command
    }

    /// What the plug-in gave.
    struct Credential {
        var token: String?
        var certificatePEM: [UInt8]?
        var keyPEM: [UInt8]?
        /// nil: good until the API server objects.
        var expires: WallTime?
    }

    func program(_ settings: Settings, timeout: Interval) -> Program {
        let info = Value.members([
            "kind": .string("ExecCredential"), "apiVersion": .string(apiVersion), "spec": .members(["cluster": cluster, "interactive": .bool(false)]),
        ])
        let inherited = settings.environment.map { Program.Variable($0.name, $0.value) }
        return Program(
            command: command, arguments: arguments, environment: inherited + environment + [Program.Variable("KUBERNETES_EXEC_INFO", info.json())], timeout: timeout)
    }

    func credential(_ result: Result<ProgramEnd, HostFailure>) throws(Refusal) -> Credential {
        let end: ProgramEnd
        switch result {
        case .success(let ended): end = ended
        case .failure(let failure):
            let hint = failure.reason == .notFound && !installHint.isEmpty ? "\n\(installHint.prefix(2000))" : ""
            throw Refusal("the credential plug-in did not run: \(failure)\(hint)")
        }
        guard end.status == 0 else {
            let said = String(decoding: end.error.prefix(500), as: UTF8.self).split(separator: "\n").joined(separator: " ")
            throw Refusal("the credential plug-in \(command) failed with status \(end.status)\(said.isEmpty ? "" : ": \(said)")")
        }
        let document: Value
        do throws(DocumentError) { document = try Value(json: end.output) } catch { throw Refusal("what the credential plug-in \(command) printed is no JSON: \(error)") }
        guard document.text("kind") == "ExecCredential" else { throw Refusal("what the credential plug-in \(command) printed is no ExecCredential but \((document.text("kind") ?? "something else").prefix(100))") }
        guard document.text("apiVersion") == apiVersion else {
            throw Refusal("the credential plug-in \(command) speaks \((document.text("apiVersion") ?? "no version").prefix(100)), not \(apiVersion)")
        }
        guard let status = document.member("status"), status != .null else { throw Refusal("the credential plug-in \(command) gave no status") }
        var credential = Credential()
        if let token = status.text("token"), !token.isEmpty {
            guard token.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7f }) else { throw Refusal("status.token of the credential plug-in \(command) holds characters that no token has") }
            credential.token = token
        }
        credential.certificatePEM = status.text("clientCertificateData").flatMap { $0.isEmpty ? nil : Array($0.utf8) }
        credential.keyPEM = status.text("clientKeyData").flatMap { $0.isEmpty ? nil : Array($0.utf8) }
        guard (credential.certificatePEM == nil) == (credential.keyPEM == nil) else {
            throw Refusal("the credential plug-in \(command) gave only one of status.clientCertificateData and status.clientKeyData")
        }
        guard credential.token != nil || credential.certificatePEM != nil else { throw Refusal("the credential plug-in \(command) gave neither token nor certificate") }
        if let text = status.text("expirationTimestamp") {
            guard let time = WallTime(rfc3339: text) else { throw Refusal("status.expirationTimestamp of the credential plug-in \(command) is no time: \(text.prefix(100))") }
            credential.expires = time
        }
        return credential
    }
}
