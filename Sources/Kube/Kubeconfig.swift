// Kubeconfig files: clusters, users and contexts by name, one of them chosen. Several files are merged as kubectl does: whatever
// is named first wins. A complaint names file, line and field. Deliberately absent: writing them, and the auth-provider plug-ins
// that Kubernetes itself took out. Source: k8s.io/client-go tools/clientcmd.

import Base
import Documents
import OrderedCollections
import Platform

public struct Kubeconfig {
    private struct File {
        var path: String
        var text: [UInt8]
        var value: Value
        /// Files named in it are relative to this.
        var directory: String { path.lastIndex(of: "/").map { String(path[..<$0]) } ?? "" }
    }

    /// A part of a file, and how to get there.
    private struct Place {
        var file: File
        var steps: [DocumentStep]
        var value: Value

        subscript(_ name: String) -> Place? { value.member(name).map { Place(file: file, steps: steps + [.member(name)], value: $0) } }

        /// `path:12: users[1].user.exec: …`.
        func refusal(_ reason: String, at name: String? = nil) -> Refusal {
            let steps = steps + (name.map { [.member($0)] } ?? [])
            let line = YAML.line(of: steps, in: file.text).map { ":\($0)" } ?? ""
            var field = ""
            for step in steps {
                switch step {
                case .member(let name): field += (field.isEmpty ? "" : ".") + name
                case .element(let index): field += "[\(index)]"
                }
            }
            return Refusal("\(file.path)\(line): \(field.isEmpty ? "" : field + ": ")\(reason)")
        }

        /// nil when absent, null or empty.
        func text(_ name: String) throws(Refusal) -> String? {
            switch value.member(name) {
            case nil, .null: return nil
            case .string(let text): return text.isEmpty ? nil : text
            case .some(let other): throw refusal("is \(other.kindName), not a string", at: name)
            }
        }

        func flag(_ name: String) throws(Refusal) -> Bool {
            switch value.member(name) {
            case nil, .null: return false
            case .bool(let flag): return flag
            case .some(let other): throw refusal("is \(other.kindName), not true or false", at: name)
            }
        }

        func items(_ name: String) throws(Refusal) -> [Place] {
            switch value.member(name) {
            case nil, .null: return []
            case .array(let items): return items.indices.map { Place(file: file, steps: steps + [.member(name), .element($0)], value: items[$0]) }
            case .some(let other): throw refusal("is \(other.kindName), not a list", at: name)
            }
        }

        func strings(_ name: String) throws(Refusal) -> [String] {
            var texts: [String] = []
            for item in try items(name) {
                guard case .string(let text) = item.value else { throw item.refusal("is \(item.value.kindName), not a string") }
                texts.append(text)
            }
            return texts
        }

        func object(_ name: String) throws(Refusal) -> Place? {
            guard let part = self[name], part.value != .null else { return nil }
            guard case .object = part.value else { throw part.refusal("is \(part.value.kindName), not an object") }
            return part
        }

        /// The file's own directory is where relative paths begin.
        func path(_ name: String) throws(Refusal) -> String? {
            try text(name).map { $0.hasPrefix("/") || file.directory.isEmpty ? $0 : file.directory + "/" + $0 }
        }
    }

    private var files: [File] = []

    /// Reads files, first come first served. `mayBeAbsent`: files of a list that are not there are passed over.
    public init(_ host: any Host, paths: [String], mayBeAbsent: Bool = false) throws(Refusal) {
        for path in paths {
            let text: [UInt8]
            do throws(HostFailure) { text = try host.files.read(path) } catch {
                if mayBeAbsent, error.reason == .notFound { continue }
                throw Refusal("the kubeconfig cannot be read: \(error)")
            }
            try add(path: path, text: text)
        }
        if files.isEmpty { throw Refusal("none of the kubeconfigs \(paths.joined(separator: ", ")) is there") }
    }

    /// One text; `path` is where it came from.
    public init(path: String, text: [UInt8]) throws(Refusal) { try add(path: path, text: text) }

    private mutating func add(path: String, text: [UInt8]) throws(Refusal) {
        let value: Value
        do throws(DocumentError) { value = try YAML.parse(text).first?.value ?? .null } catch { throw Refusal("\(path):\(error.line): not a kubeconfig: \(error.reason)") }
        let file = File(path: path, text: text, value: value)
        switch value {
        case .object: break
        case .null: break
        default: throw Refusal("\(path):1: not a kubeconfig: it is \(value.kindName), not an object")
        }
        if let kind = value.member("kind"), kind != .string("Config") { throw Place(file: file, steps: [], value: value).refusal("is not Config", at: "kind") }
        files.append(file)
    }

    private var roots: [Place] { files.map { Place(file: $0, steps: [], value: $0.value) } }

    /// The names of all contexts, in the order of the files.
    public func contexts() throws(Refusal) -> [String] {
        var names: [String] = []
        for root in roots { for item in try root.items("contexts") { if let name = try item.text("name"), !names.contains(name) { names.append(name) } } }
        return names
    }

    /// What the context (nil: the current one) says.
    public func configuration(context wanted: String? = nil, _ host: any Host) throws(Refusal) -> KubeConfiguration {
        let name = if let wanted { wanted } else { try currentContext() }
        let context = try entry("contexts", name, "context", asked: nil)
        guard let clusterName = try context.text("cluster") else { throw context.refusal("names no cluster", at: "cluster") }
        let cluster = try entry("clusters", clusterName, "cluster", asked: context)
        var configuration = try read(cluster: cluster, host)
        if let namespace = try context.text("namespace") { configuration.namespace = namespace }
        if let userName = try context.text("user") { try read(user: try entry("users", userName, "user", asked: context), cluster: cluster, into: &configuration, host) }
        return configuration
    }

    private func currentContext() throws(Refusal) -> String {
        for root in roots { if let name = try root.text("current-context") { return name } }
        let names = try contexts()
        throw roots[0].refusal("names no context: choose one\(names.isEmpty ? "" : " of " + names.prefix(20).joined(separator: ", "))", at: "current-context")
    }

    /// The part `what` of the first entry with this name. `asked`: who refers to it, to be named when it is absent.
    private func entry(_ list: String, _ name: String, _ what: String, asked: Place?) throws(Refusal) -> Place {
        for root in roots {
            for item in try root.items(list) where try item.text("name") == name {
                guard let part = try item.object(what) else { throw item.refusal("\(name.prefix(200)) has no \(what)", at: what) }
                return part
            }
        }
        if let asked { throw asked.refusal("there is no \(what) named \(name.prefix(200)) among \(list)", at: what) }
        throw roots[0].refusal("there is no \(what) named \(name.prefix(200))", at: list)
    }

    // MARK: Cluster

    private func read(cluster: Place, _ host: any Host) throws(Refusal) -> KubeConfiguration {
        guard let server = try cluster.text("server") else { throw cluster.refusal("the cluster has no server", at: "server") }
        var configuration: KubeConfiguration
        do throws(Refusal) { configuration = try KubeConfiguration(server: server) } catch { throw cluster.refusal(error.reason, at: "server") }
        if let proxy = try cluster.text("proxy-url") {
            throw cluster.refusal("proxies are not supported, so \(proxy.prefix(200)) cannot be used: take the field out, or reach the API server by a tunnel", at: "proxy-url")
        }
        configuration.anchors = try material(cluster, "certificate-authority", host)
        configuration.serverName = try cluster.text("tls-server-name")
        if try cluster.flag("insecure-skip-tls-verify") {
            if configuration.anchors != nil {
                throw cluster.refusal("contradicts certificate-authority: a server is either verified or not", at: "insecure-skip-tls-verify")
            }
            configuration.skipsVerification = true
        }
        return configuration
    }

    /// `key-data` in base64, else the file named by `key`, which must be readable now.
    private func material(_ place: Place, _ key: String, _ host: any Host) throws(Refusal) -> KubeConfiguration.Material? {
        if let data = try place.text(key + "-data") {
            guard let decoded = base64Decoded(data) else { throw place.refusal("is not base64", at: key + "-data") }
            return .bytes(decoded)
        }
        guard let path = try place.path(key) else { return nil }
        do throws(HostFailure) { _ = try host.files.read(path) } catch { throw place.refusal("\(error)", at: key) }
        return .file(path)
    }

    // MARK: User

    private func read(user: Place, cluster: Place, into configuration: inout KubeConfiguration, _ host: any Host) throws(Refusal) {
        if let provider = user["auth-provider"], provider.value != .null {
            throw provider.refusal("auth-provider plug-ins are gone from Kubernetes and not supported: use exec, a token or a client certificate")
        }
        configuration.certificate = try material(user, "client-certificate", host)
        configuration.key = try material(user, "client-key", host)
        if configuration.certificate != nil, configuration.key == nil { throw user.refusal("a client certificate needs its key", at: "client-key") }
        if configuration.key != nil, configuration.certificate == nil { throw user.refusal("a client key needs its certificate", at: "client-certificate") }
        if let file = try user.path("tokenFile") {
            do throws(HostFailure) { _ = try host.files.read(file) } catch { throw user.refusal("\(error)", at: "tokenFile") }
            configuration.token = .file(file)
        } else if let token = try user.text("token") {
            guard token.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7f }) else { throw user.refusal("holds characters that no token has", at: "token") }
            configuration.token = .fixed(token)
        }
        if let name = try user.text("username") {
            if name.contains(":") { throw user.refusal("may not contain a colon (RFC 7617)", at: "username") }
            configuration.basic = (name, try user.text("password") ?? "")
        }
        if let exec = try user.object("exec") { configuration.plugin = try plugin(exec, cluster: cluster, configuration, host) }
        configuration.impersonation = try impersonation(user)
    }

    private func impersonation(_ user: Place) throws(Refusal) -> KubeConfiguration.Impersonation? {
        var found = KubeConfiguration.Impersonation()
        found.user = try user.text("as") ?? ""
        found.uid = try user.text("as-uid") ?? ""
        found.groups = try user.strings("as-groups")
        if let extra = try user.object("as-user-extra"), case .object(let members) = extra.value {
            for name in members.keys { found.extra.append((name, try extra.strings(name))) }
        }
        if found == KubeConfiguration.Impersonation() { return nil }
        if found.user.isEmpty { throw user.refusal("groups, uid and extra of somebody need somebody: set as", at: "as") }
        return found
    }

    private func plugin(_ exec: Place, cluster: Place, _ configuration: KubeConfiguration, _ host: any Host) throws(Refusal) -> CredentialPlugin {
        guard let version = try exec.text("apiVersion") else { throw exec.refusal("the plug-in has no apiVersion", at: "apiVersion") }
        guard CredentialPlugin.apiVersions.contains(version) else {
            throw exec.refusal("\(version.prefix(100)) is none of \(CredentialPlugin.apiVersions.joined(separator: ", "))", at: "apiVersion")
        }
        guard var command = try exec.text("command") else { throw exec.refusal("the plug-in has no command", at: "command") }
        // A bare name is looked for in PATH, any other path is relative to the file.
        if command.contains("/"), let path = try exec.path("command") { command = path }
        let mode = try exec.text("interactiveMode") ?? (version == CredentialPlugin.apiVersions[0] ? "" : "IfAvailable")
        switch mode {
        case "Never", "IfAvailable": break
        case "Always": throw exec.refusal("the plug-in asks a person, and there is none here", at: "interactiveMode")
        case "": throw exec.refusal("must be Never or IfAvailable with \(version)", at: "interactiveMode")
        default: throw exec.refusal("\(mode.prefix(100)) is none of Never, IfAvailable, Always", at: "interactiveMode")
        }
        var plugin = CredentialPlugin(apiVersion: version, command: command)
        plugin.arguments = try exec.strings("args")
        for variable in try exec.items("env") {
            guard let name = try variable.text("name") else { throw variable.refusal("the variable has no name", at: "name") }
            plugin.environment.append(Program.Variable(name, try variable.text("value") ?? ""))
        }
        plugin.installHint = try exec.text("installHint") ?? ""
        if try exec.flag("provideClusterInfo") {
            var info = Object()
            info["server"] = cluster.value.member("server")
            if configuration.serverName != nil { info["tls-server-name"] = cluster.value.member("tls-server-name") }
            if configuration.skipsVerification { info["insecure-skip-tls-verify"] = .bool(true) }
            if let anchors = configuration.anchors {
                switch anchors {
                case .bytes(let bytes): info["certificate-authority-data"] = .string(base64Encoded(bytes))
                case .file(let path):
                    do throws(HostFailure) { info["certificate-authority-data"] = .string(base64Encoded(try host.files.read(path))) } catch { throw cluster.refusal("\(error)", at: "certificate-authority") }
                }
            }
            // What the cluster's operator has to say to the plug-in (client-go, execInfo's config).
            if let extension_ = cluster.value.items("extensions").first(where: { $0.text("name") == "client.authentication.k8s.io/exec" }) { info["config"] = extension_.member("extension") }
            plugin.cluster = .object(info)
        }
        return plugin
    }
}
