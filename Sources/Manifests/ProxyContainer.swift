// The proxy's container, member by member in the order of Linkerd's chart: ports, probes, security and above all the
// environment, which is all a proxy is told. Source: linkerd2 charts/partials/templates/_proxy.tpl.

import Documents
import Kube
import OrderedCollections

extension InjectionValues {
    static let proxyName = "linkerd-proxy"

    /// `inboundPorts` are those the pod serves on, as text.
    func proxyContainer(inboundPorts: String) -> Value {
        let isNative = proxy.isNativeSidecar
        var lifecycle: Value?
        if !isNative {
            func run(_ words: [String]) -> Value { .members(["exec": .members(["command": .array(words.map { Value.string($0) })])]) }
            lifecycle = .members([
                "postStart": proxy.isAwaited ? run(proxy.awaitCommand + ["--timeout=2m", "--port=\(proxy.adminPort)"]) : nil,
                "preStop": proxy.waitBeforeExit > 0 ? run(["/bin/sleep", String(proxy.waitBeforeExit)]) : nil,
            ])
            if lifecycle == .members([:]) { lifecycle = nil }
        }
        return .members([
            "env": .array(environment(inboundPorts: inboundPorts)),
            "image": .string("\(proxy.image.name):\(proxy.image.version)"),
            "imagePullPolicy": .string(proxy.image.pullPolicy ?? pullPolicy),
            "livenessProbe": .members(["httpGet": probe("/live"), "initialDelaySeconds": .int(10), "timeoutSeconds": .int(1)]),
            "name": .string(Self.proxyName),
            "ports": .array([
                .members(["containerPort": .int(Int64(proxy.inboundPort)), "name": .string("linkerd-proxy")]),
                .members(["containerPort": .int(Int64(proxy.adminPort)), "name": .string("linkerd-admin")]),
            ]),
            "readinessProbe": .members(["httpGet": probe("/ready"), "initialDelaySeconds": .int(2), "timeoutSeconds": .int(1)]),
            "startupProbe": isNative && proxy.isAwaited ? .members(["httpGet": probe("/ready"), "periodSeconds": .int(1), "failureThreshold": .int(120)]) : nil,
            "resources": resources,
            "restartPolicy": isNative ? .string("Always") : nil,
            "securityContext": .members([
                "allowPrivilegeEscalation": .bool(false), "readOnlyRootFilesystem": .bool(true), "runAsNonRoot": .bool(true), "runAsUser": .int(proxy.uid),
                "runAsGroup": proxy.gid >= 0 ? .int(proxy.gid) : nil, "seccompProfile": .members(["type": .string("RuntimeDefault")]),
            ]),
            "terminationMessagePolicy": .string("FallbackToLogsOnError"),
            "lifecycle": lifecycle,
            "volumeMounts": .array(
                [.members(["mountPath": .string("/var/run/linkerd/identity/end-entity"), "name": .string("linkerd-identity-end-entity")])]
                    + (isTokenProjected ? [.members(["mountPath": .string("/var/run/secrets/tokens"), "name": .string("linkerd-identity-token")])] : [])),
        ])
    }

    private func probe(_ path: String) -> Value { .members(["path": .string(path), "port": .int(Int64(proxy.adminPort))]) }

    /// nil when nothing is asked for.
    var resources: Value? {
        func amounts(_ cpu: String, _ memory: String, _ storage: String) -> Value? {
            func text(_ amount: String) -> Value? { amount.isEmpty ? nil : .string(amount) }
            let value = Value.members(["cpu": text(cpu), "memory": text(memory), "ephemeral-storage": text(storage)])
            return value == .members([:]) ? nil : value
        }
        let asked = proxy.resources
        let value = Value.members([
            "limits": amounts(asked.cpuLimit, asked.memoryLimit, asked.ephemeralStorageLimit), "requests": amounts(asked.cpuRequest, asked.memoryRequest, asked.ephemeralStorageRequest),
        ])
        return value == .members([:]) ? nil : value
    }

    private func environment(inboundPorts: String) -> [Value] {
        var list = EnvironmentList()
        list.field("_pod_name", "metadata.name")
        list.field("_pod_ns", "metadata.namespace")
        list.field("_pod_uid", "metadata.uid")
        list.field("_pod_ip", "status.podIP")
        list.field("_pod_nodeName", "spec.nodeName")
        list.text("_pod_containerName", Self.proxyName)
        list.proxy("CORES", String(proxy.workersMin))
        list.proxy("CORES_MIN", String(proxy.workersMin))
        if let most = proxy.workersMax { list.proxy("CORES_MAX", String(most)) }
        if let ratio = proxy.workersRatioMax { list.proxy("CORES_MAX_RATIO", ratio) }
        list.optional("INBOUND_PORTS_REQUIRE_IDENTITY", proxy.requireIdentityInboundPorts)
        list.optional("INBOUND_PORTS_REQUIRE_TLS", proxy.requireTLSInboundPorts)
        list.proxy("SHUTDOWN_ENDPOINT_ENABLED", proxy.isShutdownEndpointEnabled ? "true" : "false")
        list.proxy("LOG", proxy.logLevel + (proxy.logHTTPHeaders == "insecure" ? "" : ",[{headers}]=off,[{request}]=off"))
        list.proxy("LOG_FORMAT", proxy.logFormat)
        list.proxy("DESTINATION_SVC_ADDR", controlPlaneAddress("linkerd-dst-headless", 8086))
        list.proxy("DESTINATION_PROFILE_NETWORKS", clusterNetworks)
        list.proxy("POLICY_SVC_ADDR", controlPlaneAddress("linkerd-policy", 8090))
        list.proxy("POLICY_WORKLOAD", "{\"ns\":\"$(_pod_ns)\", \"pod\":\"$(_pod_name)\"}\n")
        list.proxy("INBOUND_DEFAULT_POLICY", proxy.defaultInboundPolicy)
        list.proxy("POLICY_CLUSTER_NETWORKS", clusterNetworks)
        list.proxy("CONTROL_STREAM_INITIAL_TIMEOUT", proxy.controlStreamInitialTimeout)
        list.proxy("CONTROL_STREAM_IDLE_TIMEOUT", proxy.controlStreamIdleTimeout)
        list.proxy("CONTROL_STREAM_LIFETIME", proxy.controlStreamLifetime)
        list.proxy("INBOUND_CONNECT_TIMEOUT", proxy.inboundConnectTimeout)
        list.proxy("OUTBOUND_CONNECT_TIMEOUT", proxy.outboundConnectTimeout)
        list.proxy("OUTBOUND_DISCOVERY_IDLE_TIMEOUT", proxy.outboundDiscoveryIdleTimeout)
        list.proxy("INBOUND_DISCOVERY_IDLE_TIMEOUT", proxy.inboundDiscoveryIdleTimeout)
        if proxy.isOutboundDetectTimeoutDisabled { list.proxy("OUTBOUND_DETECT_TIMEOUT", "365d") }
        if proxy.isInboundDetectTimeoutDisabled { list.proxy("INBOUND_DETECT_TIMEOUT", "365d") }
        let any = isIPv6Disabled ? "0.0.0.0" : "[::]"
        list.proxy("CONTROL_LISTEN_ADDR", "\(any):\(proxy.controlPort)")
        list.proxy("ADMIN_LISTEN_ADDR", "\(any):\(proxy.adminPort)")
        list.proxy("OUTBOUND_LISTEN_ADDR", "127.0.0.1:\(proxy.outboundPort)")
        list.proxy("OUTBOUND_LISTEN_ADDRS", "127.0.0.1:\(proxy.outboundPort)" + (isIPv6Disabled ? "" : ",[::1]:\(proxy.outboundPort)"))
        list.proxy("INBOUND_LISTEN_ADDR", "\(any):\(proxy.inboundPort)")
        list.field("LINKERD2_PROXY_INBOUND_IPS", "status.podIPs")
        list.proxy("INBOUND_PORTS", inboundPorts)
        if proxy.isGateway { list.proxy("INBOUND_GATEWAY_SUFFIXES", "svc.\(clusterDomain).") }
        if proxy.isIngress { list.proxy("INGRESS_MODE", "true") }
        list.proxy("DESTINATION_PROFILE_SUFFIXES", proxy.hasExternalProfiles ? "." : "svc.\(clusterDomain).")
        list.proxy("INBOUND_ACCEPT_KEEPALIVE", "10000ms")
        list.proxy("OUTBOUND_CONNECT_KEEPALIVE", "10000ms")
        list.proxy("INBOUND_ACCEPT_USER_TIMEOUT", "30s")
        list.proxy("OUTBOUND_CONNECT_USER_TIMEOUT", "30s")
        list.proxy("OUTBOUND_METRICS_HOSTNAME_LABELS", proxy.hasHostnameLabels ? "true" : "false")
        for (side, parameters) in [("INBOUND", proxy.inbound), ("OUTBOUND", proxy.outbound)] {
            for parameter in parameters { list.proxy("\(side)_\(Self.snake(parameter.scope))_\(Self.snake(parameter.proto))_\(Self.snake(parameter.name))", parameter.value) }
        }
        list.optional("INBOUND_PORTS_DISABLE_PROTOCOL_DETECTION", proxy.opaquePorts)
        list.proxy("DESTINATION_CONTEXT", "{\"ns\":\"$(_pod_ns)\", \"nodeName\":\"$(_pod_nodeName)\", \"pod\":\"$(_pod_name)\"}\n")
        identityEnvironment(&list)
        list.optional("ACCESS_LOG", proxy.accessLog)
        list.optional("SHUTDOWN_GRACE_PERIOD", proxy.shutdownGracePeriod)
        for variable in proxy.additionalEnvironment { list.replace(variable) }
        return list.variables
    }

    private func identityEnvironment(_ list: inout EnvironmentList) {
        list.field("_pod_sa", "spec.serviceAccountName")
        list.text("_l5d_ns", controlPlaneNamespace)
        list.text("_l5d_trustdomain", trustDomain)
        list.proxy("IDENTITY_DIR", "/var/run/linkerd/identity/end-entity")
        if trustAnchorsPEM.isEmpty {
            let key = Value.members(["name": .string("linkerd-identity-trust-roots"), "key": .string("ca-bundle.crt")])
            list.variables.append(.members(["name": .string("LINKERD2_PROXY_IDENTITY_TRUST_ANCHORS"), "valueFrom": .members(["configMapKeyRef": key])]))
        } else {
            var anchors = trustAnchorsPEM[...]
            while anchors.last?.isWhitespace == true { anchors.removeLast() }
            list.proxy("IDENTITY_TRUST_ANCHORS", anchors + "\n")
        }
        list.proxy("IDENTITY_TOKEN_FILE", isTokenProjected ? "/var/run/secrets/tokens/linkerd-identity-token" : "/var/run/secrets/kubernetes.io/serviceaccount/token")
        list.proxy("IDENTITY_SVC_ADDR", controlPlaneAddress("linkerd-identity-headless", 8080))
        list.proxy("IDENTITY_LOCAL_NAME", "$(_pod_sa).$(_pod_ns).serviceaccount.identity.\(controlPlaneNamespace).\(trustDomain)")
        list.proxy("IDENTITY_SVC_NAME", controlPlaneIdentity("linkerd-identity"))
        list.proxy("DESTINATION_SVC_NAME", controlPlaneIdentity("linkerd-destination"))
        list.proxy("POLICY_SVC_NAME", controlPlaneIdentity("linkerd-destination"))
    }

    /// `keepAliveInterval` becomes `KEEP_ALIVE_INTERVAL`.
    static func snake(_ name: String) -> String {
        var snake = ""
        for character in name {
            if character.isUppercase, !snake.isEmpty { snake += "_" }
            snake += character.uppercased()
        }
        return snake
    }
}

/// EnvVar objects in order.
private struct EnvironmentList {
    var variables: [Value] = []

    /// An empty value is left out, as Go leaves it out; it means the same.
    mutating func text(_ name: String, _ value: String) { variables.append(.members(["name": .string(name), "value": value.isEmpty ? nil : .string(value)])) }
    mutating func proxy(_ name: String, _ value: String) { text("LINKERD2_PROXY_" + name, value) }
    mutating func optional(_ name: String, _ value: String) { if !value.isEmpty { proxy(name, value) } }

    /// A field of the pod, by the downward API.
    mutating func field(_ name: String, _ path: String) {
        variables.append(.members(["name": .string(name), "valueFrom": .members(["fieldRef": .members(["fieldPath": .string(path)])])]))
    }

    /// Takes the place of the variable of the same name, or the last place.
    mutating func replace(_ variable: Value) {
        if let index = variables.firstIndex(where: { $0.text("name") == variable.text("name") }) { variables[index] = variable } else { variables.append(variable) }
    }
}
