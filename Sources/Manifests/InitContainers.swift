// What stands beside the proxy in an injected pod: the container that sets up iptables, or the one that checks what a CNI
// plugin set up, the debug sidecar, and the volumes. Source: linkerd2 charts/partials/templates/_proxy-init.tpl,
// _network-validator.tpl, _debug.tpl, _volumes.tpl.

import Documents
import Kube

extension InjectionValues {
    static let initializerName = "linkerd-init"
    static let validatorName = "linkerd-network-validator"
    static let debugName = "linkerd-debug"
    static let volumeNames = ["linkerd-proxy-init-xtables-lock", "linkerd-identity-end-entity", "linkerd-identity-token"]

    /// The container that runs before the proxy.
    func firstContainer() -> Value { isCNIEnabled ? validatorContainer() : initializerContainer() }

    private func initializerContainer() -> Value {
        // A close-wait timeout is a kernel setting, which only a privileged root may change.
        let isRoot = initializer.isRoot
        let isPrivileged = initializer.isPrivileged || initializer.closeWaitTimeout > 0 && isRoot
        return .members([
            "args": .array(initializerArguments.map { .string($0) }),
            "command": command(initializer.command),
            "image": .string("\(initializerImage.name):\(initializerImage.version)"),
            "imagePullPolicy": .string(initializerImage.pullPolicy ?? pullPolicy),
            "name": .string(Self.initializerName),
            "resources": resources,
            "securityContext": .members([
                "allowPrivilegeEscalation": .bool(isPrivileged), "capabilities": .members(["add": .array([.string("NET_ADMIN"), .string("NET_RAW")])]), "privileged": .bool(isPrivileged),
                "readOnlyRootFilesystem": .bool(true), "runAsGroup": .int(isRoot ? 0 : 65534), "runAsNonRoot": .bool(!isRoot), "runAsUser": .int(isRoot ? 0 : 65534),
                "seccompProfile": .members(["type": .string("RuntimeDefault")]),
            ]),
            "terminationMessagePolicy": .string("FallbackToLogsOnError"),
            "volumeMounts": .array([.members(["mountPath": .string("/run"), "name": .string("linkerd-proxy-init-xtables-lock")])]),
        ])
    }

    private var initializerArguments: [String] {
        var arguments: [String] = []
        if initializer.iptablesMode == "nft" {
            arguments += ["--firewall-bin-path", "iptables-nft", "--firewall-save-bin-path", "iptables-nft-save"]
        } else {
            arguments += ["--firewall-bin-path", "iptables-legacy", "--firewall-save-bin-path", "iptables-legacy-save"]
        }
        arguments.append("--ipv6=\(isIPv6Disabled ? "false" : "true")")
        arguments += ["--incoming-proxy-port", String(proxy.inboundPort), "--outgoing-proxy-port", String(proxy.outboundPort), "--proxy-uid", String(proxy.uid)]
        if proxy.gid >= 0 { arguments += ["--proxy-gid", String(proxy.gid)] }
        let own = "\(proxy.controlPort),\(proxy.adminPort)"
        arguments += ["--inbound-ports-to-ignore", initializer.ignoreInboundPorts.isEmpty ? own : "\(own),\(initializer.ignoreInboundPorts)"]
        if !initializer.ignoreOutboundPorts.isEmpty { arguments += ["--outbound-ports-to-ignore", initializer.ignoreOutboundPorts] }
        if initializer.closeWaitTimeout > 0 { arguments += ["--timeout-close-wait-secs", String(initializer.closeWaitTimeout)] }
        if !initializer.logFormat.isEmpty { arguments += ["--log-format", initializer.logFormat] }
        if !initializer.logLevel.isEmpty { arguments += ["--log-level", initializer.logLevel] }
        if !initializer.skipSubnets.isEmpty { arguments += ["--subnets-to-ignore", initializer.skipSubnets] }
        return arguments
    }

    private func validatorContainer() -> Value {
        let connect = validator.connectAddress.isEmpty ? (isIPv6Disabled ? "1.1.1.1:20001" : "[fd00::1]:20001") : validator.connectAddress
        let listen = validator.listenAddress.isEmpty ? "\(isIPv6Disabled ? "0.0.0.0" : "[::]"):\(proxy.outboundPort)" : validator.listenAddress
        let arguments = [
            "--log-format", validator.logFormat, "--log-level", validator.logLevel, "--connect-addr", connect, "--listen-addr", listen, "--timeout", validator.timeout,
        ]
        return .members([
            "args": .array(arguments.map { .string($0) }),
            "command": command(validator.command),
            "image": .string("\(initializerImage.name):\(initializerImage.version)"),
            "imagePullPolicy": .string(initializerImage.pullPolicy ?? pullPolicy),
            "name": .string(Self.validatorName),
            "resources": resources,
            "securityContext": validator.hasSecurityContext
                ? .members([
                    "allowPrivilegeEscalation": .bool(false), "capabilities": .members(["drop": .array([.string("ALL")])]), "readOnlyRootFilesystem": .bool(true), "runAsGroup": .int(65534),
                    "runAsNonRoot": .bool(true), "runAsUser": .int(65534), "seccompProfile": .members(["type": .string("RuntimeDefault")]),
                ]) : nil,
        ])
    }

    func debugContainer() -> Value {
        let probe = Value.members(["exec": .members(["command": .array([.string("true")])])])
        return .members([
            "image": .string("\(debugImage.name):\(debugImage.version)"), "imagePullPolicy": .string(debugImage.pullPolicy ?? pullPolicy), "name": .string(Self.debugName),
            "terminationMessagePolicy": .string("FallbackToLogsOnError"), "livenessProbe": probe, "readinessProbe": probe,
        ])
    }

    func volumes() -> [Value] {
        var volumes: [Value] = []
        if !isCNIEnabled { volumes.append(.members(["emptyDir": .members([:]), "name": .string("linkerd-proxy-init-xtables-lock")])) }
        volumes.append(.members(["emptyDir": .members(["medium": .string("Memory")]), "name": .string("linkerd-identity-end-entity")]))
        if isTokenProjected {
            let token = Value.members(["audience": .string("identity.l5d.io"), "expirationSeconds": .int(86400), "path": .string("linkerd-identity-token")])
            volumes.append(.members(["name": .string("linkerd-identity-token"), "projected": .members(["sources": .array([.members(["serviceAccountToken": token])])])]))
        }
        return volumes
    }

    private func command(_ words: [String]) -> Value? { words.isEmpty ? nil : .array(words.map { .string($0) }) }
}
