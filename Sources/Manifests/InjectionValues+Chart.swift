// The values of Linkerd's control-plane chart, as its ConfigMap `linkerd-config` keeps them, made ours. Keys that do not concern
// injection are passed over, as are unknown ones; a key of the wrong type is an error that names it, since a mesh that was
// configured otherwise than it looks is worse than a pod that does not start.
// Source: linkerd2 charts/linkerd-control-plane/values.yaml, shared facts on the control plane 9.1.

import Documents
import Kube
import OrderedCollections

extension InjectionValues {
    public init(chart: Value) throws(InjectionError) {
        self.init()
        var chart = ChartReader(chart)
        chart.text("clusterDomain") { clusterDomain = $0 }
        chart.text("identityTrustDomain") { identityTrustDomain = $0 }
        chart.text("identityTrustAnchorsPEM") { trustAnchorsPEM = $0 }
        chart.flag("identity.serviceAccountTokenProjection") { isTokenProjected = $0 }
        chart.text("clusterNetworks") { clusterNetworks = $0 }
        chart.flag("cniEnabled") { isCNIEnabled = $0 }
        chart.flag("disableIPv6") { isIPv6Disabled = $0 }
        chart.text("imagePullPolicy") { pullPolicy = $0 }
        chart.image("debugContainer.image", into: &debugImage)
        readProxy(&chart)
        readInitializer(&chart)
        if let fault = chart.fault { throw InjectionError(.malformed, fault) }
    }

    private mutating func readProxy(_ chart: inout ChartReader) {
        chart.text("linkerdVersion") {
            proxy.image.version = $0
            debugImage.version = $0
        }
        chart.image("proxy.image", into: &proxy.image)
        chart.image("debugContainer.image", into: &debugImage)
        chart.port("proxy.ports.inbound") { proxy.inboundPort = $0 }
        chart.port("proxy.ports.outbound") { proxy.outboundPort = $0 }
        chart.port("proxy.ports.admin") { proxy.adminPort = $0 }
        chart.port("proxy.ports.control") { proxy.controlPort = $0 }
        chart.number("proxy.uid") { proxy.uid = $0 }
        chart.number("proxy.gid") { proxy.gid = $0 }
        chart.text("proxy.logLevel") { proxy.logLevel = $0 }
        chart.text("proxy.logFormat") { proxy.logFormat = $0 }
        chart.text("proxy.logHTTPHeaders") { proxy.logHTTPHeaders = $0 }
        chart.text("proxy.opaquePorts") { proxy.opaquePorts = $0 }
        chart.text("proxy.requireIdentityOnInboundPorts") { proxy.requireIdentityInboundPorts = $0 }
        chart.text("proxy.requireTLSOnInboundPorts") { proxy.requireTLSInboundPorts = $0 }
        chart.text("proxy.defaultInboundPolicy") { proxy.defaultInboundPolicy = $0 }
        chart.text("proxy.inboundConnectTimeout") { proxy.inboundConnectTimeout = $0 }
        chart.text("proxy.outboundConnectTimeout") { proxy.outboundConnectTimeout = $0 }
        chart.text("proxy.inboundDiscoveryCacheUnusedTimeout") { proxy.inboundDiscoveryIdleTimeout = $0 }
        chart.text("proxy.outboundDiscoveryCacheUnusedTimeout") { proxy.outboundDiscoveryIdleTimeout = $0 }
        chart.text("proxy.control.streams.initialTimeout") { proxy.controlStreamInitialTimeout = $0 }
        chart.text("proxy.control.streams.idleTimeout") { proxy.controlStreamIdleTimeout = $0 }
        chart.text("proxy.control.streams.lifetime") { proxy.controlStreamLifetime = $0 }
        chart.flag("proxy.disableInboundProtocolDetectTimeout") { proxy.isInboundDetectTimeoutDisabled = $0 }
        chart.flag("proxy.disableOutboundProtocolDetectTimeout") { proxy.isOutboundDetectTimeoutDisabled = $0 }
        chart.flag("proxy.enableExternalProfiles") { proxy.hasExternalProfiles = $0 }
        chart.flag("proxy.metrics.hostnameLabels") { proxy.hasHostnameLabels = $0 }
        chart.flag("proxy.isGateway") { proxy.isGateway = $0 }
        chart.flag("proxy.isIngress") { proxy.isIngress = $0 }
        chart.flag("proxy.enableShutdownEndpoint") { proxy.isShutdownEndpointEnabled = $0 }
        chart.flag("proxy.nativeSidecar") { proxy.isNativeSidecar = $0 }
        chart.flag("proxy.await") { proxy.isAwaited = $0 }
        chart.number("proxy.waitBeforeExitSeconds") { proxy.waitBeforeExit = Int(clamping: $0) }
        chart.text("proxy.accessLog") { proxy.accessLog = $0 }
        chart.text("proxy.shutdownGracePeriod") { proxy.shutdownGracePeriod = $0 }
        // `cores` is older than `runtime.workers` and wins where it is set.
        chart.number("proxy.runtime.workers.minimum") { proxy.workersMin = Int(clamping: $0) }
        chart.number("proxy.runtime.workers.maximum") { proxy.workersMax = Int(clamping: $0) }
        chart.text("proxy.runtime.workers.maximumCPURatio") { proxy.workersRatioMax = $0 }
        chart.number("proxy.cores") { if $0 > 0 { proxy.workersMin = Int(clamping: $0) } }
        readResources(&chart)
        chart.parameters("proxy.inbound") { proxy.inbound = $0 }
        chart.parameters("proxy.outbound") { proxy.outbound = $0 }
        chart.list("proxy.additionalEnv") { proxy.additionalEnvironment += $0 }
        chart.list("proxy.experimentalEnv") { proxy.additionalEnvironment += $0 }
    }

    private mutating func readResources(_ chart: inout ChartReader) {
        let fields: [(String, WritableKeyPath<Resources, String>)] = [
            ("cpu.request", \.cpuRequest), ("cpu.limit", \.cpuLimit), ("memory.request", \.memoryRequest), ("memory.limit", \.memoryLimit),
            ("ephemeral-storage.request", \.ephemeralStorageRequest), ("ephemeral-storage.limit", \.ephemeralStorageLimit),
        ]
        for (name, field) in fields { chart.quantity("proxy.resources." + name) { proxy.resources[keyPath: field] = $0.canonical } }
        chart.quantity("proxy.resources.cpu.request") { if proxy.workersMax == nil, proxy.resources.cpuLimit.isEmpty { proxy.workersMax = $0.wholeUnits } }
        chart.quantity("proxy.resources.cpu.limit") { proxy.workersMax = $0.wholeUnits }
    }

    private mutating func readInitializer(_ chart: inout ChartReader) {
        // Linkerd's initialiser and validator are in the proxy's image since 2.20; a chart that names an image of its own means that.
        initializer.imageName = nil
        initializer.command = ["/usr/lib/linkerd/linkerd2-proxy-init"]
        chart.text("proxyInit.image.name") {
            initializer.imageName = $0
            initializer.command = []
        }
        chart.text("proxyInit.image.version") { initializer.imageVersion = $0 }
        chart.text("proxyInit.iptablesMode") { initializer.iptablesMode = $0 }
        chart.text("proxyInit.ignoreInboundPorts") { initializer.ignoreInboundPorts = $0 }
        chart.text("proxyInit.ignoreOutboundPorts") { initializer.ignoreOutboundPorts = $0 }
        chart.text("proxyInit.skipSubnets") { initializer.skipSubnets = $0 }
        chart.text("proxyInit.logLevel") { initializer.logLevel = $0 }
        chart.text("proxyInit.logFormat") { initializer.logFormat = $0 }
        chart.flag("proxyInit.runAsRoot") { initializer.isRoot = $0 }
        chart.flag("proxyInit.privileged") { initializer.isPrivileged = $0 }
        chart.number("proxyInit.closeWaitTimeoutSecs") { initializer.closeWaitTimeout = Int(clamping: $0) }
        chart.text("networkValidator.logFormat") { validator.logFormat = $0 }
        chart.text("networkValidator.logLevel") { validator.logLevel = $0 }
        chart.text("networkValidator.connectAddr") { validator.connectAddress = $0 }
        chart.text("networkValidator.listenAddr") { validator.listenAddress = $0 }
        chart.text("networkValidator.timeout") { validator.timeout = $0 }
        chart.flag("networkValidator.enableSecurityContext") { validator.hasSecurityContext = $0 }
    }
}

/// Reads values by their dotted names and keeps the first fault.
private struct ChartReader {
    private let chart: Value
    private(set) var fault: String?

    init(_ chart: Value) {
        self.chart = chart
        switch chart {
        case .object, .null: break
        default: fault = "the chart's values are \(chart.kindName), not an object"
        }
    }

    /// nil: absent or null, which leaves the default.
    private func value(_ name: String) -> Value? {
        let value = chart.member(name.split(separator: ".").map(String.init)[...])
        return value == .null ? nil : value
    }

    private mutating func wrong(_ name: String, _ expected: String, _ value: Value) { fault = fault ?? "the chart's value \(name) must be \(expected), not \(value.kindName)" }

    /// Numbers are text where text is wanted, as the chart's templates print them.
    mutating func text(_ name: String, _ use: (String) -> Void) {
        switch value(name) {
        case nil: break
        case .string(let text)?: use(text)
        case .int(let number)?: use(String(number))
        case .double(let number)?: use(number.description)
        case let other?: wrong(name, "text", other)
        }
    }

    mutating func flag(_ name: String, _ use: (Bool) -> Void) {
        switch value(name) {
        case nil: break
        case .bool(let flag)?: use(flag)
        case let other?: wrong(name, "true or false", other)
        }
    }

    /// `--set-string` makes numbers text.
    mutating func number(_ name: String, _ use: (Int64) -> Void) {
        switch value(name) {
        case nil: break
        case .int(let number)?: use(number)
        case .double(let number)?: if let whole = Int64(exactly: number) { use(whole) } else { wrong(name, "a whole number", .double(number)) }
        case .string(let text)?: if let number = Int64(text) { use(number) } else if !text.isEmpty { wrong(name, "a number", .string(text)) }
        case let other?: wrong(name, "a number", other)
        }
    }

    mutating func port(_ name: String, _ use: (UInt16) -> Void) {
        var isPort = true
        number(name) { if let port = UInt16(exactly: $0), port > 0 { use(port) } else { isPort = false } }
        if !isPort { fault = fault ?? "the chart's value \(name) must be a port, 1 to 65535" }
    }

    mutating func quantity(_ name: String, _ use: (Quantity) -> Void) {
        var wrong: String?
        text(name) { if let quantity = Quantity($0) { use(quantity) } else if !$0.isEmpty { wrong = $0 } }
        if let wrong { fault = fault ?? "the chart's value \(name) must be a quantity, not \"\(wrong)\"" }
    }

    mutating func image(_ name: String, into image: inout InjectionValues.Image) {
        text("\(name).name") { image.name = $0 }
        text("\(name).version") { if !$0.isEmpty { image.version = $0 } }
        text("\(name).pullPolicy") { if !$0.isEmpty { image.pullPolicy = $0 } }
    }

    mutating func list(_ name: String, _ use: ([Value]) -> Void) {
        switch value(name) {
        case nil: break
        case .array(let items)?: use(items)
        case let other?: wrong(name, "a list", other)
        }
    }

    /// `scope.protocol.parameter`, in the order of their names, as Go's templates walk maps.
    mutating func parameters(_ name: String, _ use: ([InjectionValues.Parameter]) -> Void) {
        guard let value = value(name) else { return }
        guard case .object(let scopes) = value else { return wrong(name, "an object", value) }
        var parameters: [InjectionValues.Parameter] = []
        for scope in scopes.keys.sorted() {
            guard case .object(let protocols)? = scopes[scope] else { continue }
            for proto in protocols.keys.sorted() {
                guard case .object(let settings)? = protocols[proto] else { continue }
                for setting in settings.keys.sorted() { text("\(name).\(scope).\(proto).\(setting)") { parameters.append(.init(scope, proto, setting, $0)) } }
            }
        }
        use(parameters)
    }
}
