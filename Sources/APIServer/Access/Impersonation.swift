// Who a caller asks to be for one request (`kubectl --as`), and what it must be allowed to for that.
// Source: kubernetes.io/docs/reference/access-authn-authz/authentication, "User impersonation"; k8s.io/apiserver pkg/endpoints/filters/impersonation.go.

import Base
import Documents
import HTTP
import Kube

struct Impersonation {
    let caller: Caller
    /// Each of these must be allowed, with the verb `impersonate`.
    let accesses: [AccessRequest]

    /// nil: nobody is impersonated. Refused: groups or extras without a user.
    init?(_ headers: Headers) throws(Refusal) {
        var user = ""
        var uid = ""
        var groups: [String] = []
        var extra: [(name: String, values: [String])] = []
        for i in 0..<headers.count {
            let name = headers.name(at: i).lowercased()
            guard name.hasPrefix("impersonate-") else { continue }
            let value = headers.value(at: i)
            switch name {
            case "impersonate-user": user = value
            case "impersonate-uid": uid = value
            case "impersonate-group": groups.append(value)
            case _ where name.hasPrefix("impersonate-extra-"):
                let key = percentDecoded(name.dropFirst("impersonate-extra-".count))
                if let place = extra.firstIndex(where: { $0.name == key }) { extra[place].values.append(value) } else { extra.append((key, [value])) }
            default: break
            }
        }
        if user.isEmpty {
            if groups.isEmpty, uid.isEmpty, extra.isEmpty { return nil }
            throw Refusal("requested impersonation of groups, a UID or extra fields without impersonating a user")
        }
        var asked: [AccessRequest] = []
        func ask(_ plural: String, _ name: String, group: String = "", namespace: String = "", subresource: String = "") {
            asked.append(AccessRequest(verb: "impersonate", resource: AccessRequest.Resource(group: group, plural: plural, subresource: subresource, namespace: namespace, name: name)))
        }
        var wanted = Caller(name: user, uid: uid, extra: extra)
        let account = user.split(separator: ":", omittingEmptySubsequences: false).map(String.init)
        if account.count == 4, account[0] == "system", account[1] == "serviceaccount" {
            ask("serviceaccounts", account[3], namespace: account[2])
            if groups.isEmpty { wanted.groups = ["system:serviceaccounts", "system:serviceaccounts:\(account[2])"] }
        } else {
            ask("users", user)
        }
        for group in groups { ask("groups", group) }
        wanted.groups += groups
        if !uid.isEmpty { ask("uids", uid, group: "authentication.k8s.io") }
        for (name, values) in extra { for value in values { ask("userextras", value, group: "authentication.k8s.io", subresource: name) } }
        let last = user == "system:anonymous" ? "system:unauthenticated" : "system:authenticated"
        if !wanted.groups.contains("system:unauthenticated"), !wanted.groups.contains(last) { wanted.groups.append(last) }
        caller = wanted
        accesses = asked
    }
}
