// The ServiceProfile validator as a process: a validating webhook that needs nothing but the question.
// Source: linkerd2 controller/sp-validator, controller/cmd/sp-validator/main.go.

import Base
import Platform

public final class ProfileValidator: AdmissionJudge {
    public let controller: Controller

    /// Source: linkerd2's default addresses, `:8443` and `:9997`.
    public static let defaults = ControllerOptions(address: SocketAddress(.any, 8443), adminAddress: SocketAddress(.any, 9997))

    /// Starts; the caller keeps it while it is to run. It ends itself when the host shuts down.
    public static func run(host: any Host, options: ControllerOptions = defaults, webhook: WebhookOptions? = nil) throws(Refusal) -> ProfileValidator {
        let validator = ProfileValidator(controller: try Controller(name: "sp-validator", host: host, options: options))
        validator.controller.serve(webhook: validator, webhook ?? WebhookOptions(address: options.address))
        return validator
    }

    private init(controller: Controller) { self.controller = controller }

    func judge(_ request: AdmissionRequest, _ answer: @escaping (AdmissionVerdict) -> Void) {
        guard request.group == "linkerd.io", request.kind == "ServiceProfile" else {
            return answer(.refused("\(request.kind) of group \"\(request.group)\" is not judged here; the webhook's rules should name serviceprofiles.linkerd.io only", code: 400))
        }
        if request.operation == .delete { return answer(.allowed) }
        let verdict = ProfileCheck.verdict(request.object)
        if !verdict.isAllowed { controller.host.log(.info, "sp-validator", "\(request.subject) refused: \(verdict.message)") }
        answer(verdict)
    }
}
