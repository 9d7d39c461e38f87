// Who asks. Source: k8s.io/apiserver pkg/authentication/user.

import Documents
import Kube
import OrderedCollections

struct Caller: Equatable {
    var name: String
    var uid = ""
    var groups: [String] = []
    var extra: [(name: String, values: [String])] = []

    static let anonymous = Caller(name: "system:anonymous", groups: ["system:unauthenticated"])
    static let admin = Caller(name: "kubernetes-admin", groups: ["system:masters", "system:authenticated"])
    /// The server's own controllers.
    static let controller = Caller(name: "system:kube-controller-manager", groups: ["system:masters", "system:authenticated"])

    var isAuthenticated: Bool { groups.contains("system:authenticated") }

    static func == (a: Caller, b: Caller) -> Bool { a.name == b.name && a.uid == b.uid && a.groups == b.groups }

    /// UserInfo of authentication.k8s.io/v1.
    var value: Value {
        var extra = Object()
        for (name, values) in self.extra { extra[name] = .array(values.map { .string($0) }) }
        return .members([
            "username": .string(name), "uid": uid.isEmpty ? nil : .string(uid), "groups": groups.isEmpty ? nil : .array(groups.map { .string($0) }),
            "extra": extra.isEmpty ? nil : .object(extra),
        ])
    }
}
