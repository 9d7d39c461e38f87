// The policy webhook: every policy resource and route is judged before it is written. Source: linkerd2 policy-controller/runtime/src/admission.rs.

import Base
import Platform

final class PolicyAdmission: AdmissionJudge {
    private let host: any Host

    init(host: any Host) { self.host = host }

    func judge(_ request: AdmissionRequest, _ answer: @escaping (AdmissionVerdict) -> Void) {
        if request.operation == .delete { return answer(.allowed) }
        let verdict = PolicyCheck.verdict(request)
        if !verdict.isAllowed { host.log(.info, "policy", "\(request.subject) refused: \(verdict.message)") }
        answer(verdict)
    }
}
