// The annotations by which a namespace or a pod changes how its proxy is rendered. A value that cannot be used is passed over
// and named in a warning, as upstream logs and ignores it. Source: linkerd2 pkg/k8s/labels.go, pkg/inject/inject.go.

import Documents
import Kube
import OrderedCollections

public enum MeshAnnotation {
    public static let inject = "linkerd.io/inject"
    public static let createdBy = "linkerd.io/created-by"
    public static let proxyVersion = "linkerd.io/proxy-version"
    public static let trustRoot = "linkerd.io/trust-root-sha256"
    public static let prefix = "config.linkerd.io/"
    public static let alphaPrefix = "config.alpha.linkerd.io/"
    public static let betaPrefix = "config.beta.linkerd.io/"
    public static let opaquePorts = prefix + "opaque-ports"

    /// What a pod inherits from its namespace when it does not say it itself. Names after the prefix.
    static let inherited: [String] = [
        "proxy-image", "proxy-version", "image-pull-policy", "init-image", "init-image-version", "control-port", "admin-port", "inbound-port", "outbound-port", "pod-inbound-ports", "skip-inbound-ports",
        "skip-outbound-ports", "skip-subnets", "opaque-ports", "proxy-cpu-request", "proxy-cpu-limit", "proxy-memory-request", "proxy-memory-limit", "proxy-ephemeral-storage-request",
        "proxy-ephemeral-storage-limit", "proxy-uid", "proxy-gid", "proxy-log-level", "proxy-log-format", "proxy-log-http-headers", "enable-external-profiles", "proxy-require-identity-inbound-ports",
        "proxy-metrics-hostname-labels", "proxy-outbound-connect-timeout", "proxy-inbound-connect-timeout", "proxy-outbound-discovery-cache-unused-timeout",
        "proxy-inbound-discovery-cache-unused-timeout", "proxy-disable-outbound-protocol-detect-timeout", "proxy-disable-inbound-protocol-detect-timeout", "default-inbound-policy", "access-log",
        "shutdown-grace-period", "proxy-await", "proxy-enable-native-sidecar", "proxy-admin-shutdown", "proxy-additional-env", "enable-debug-sidecar",
    ]

    /// The annotations of an object. YAML writers leave quotes off; a boolean or a number is read as its text.
    static func read(_ metadata: Value?) -> KubeLabels {
        guard case .object(let members)? = metadata?.member("annotations") else { return [:] }
        var annotations: KubeLabels = [:]
        for (name, value) in members {
            switch value {
            case .string(let text): annotations[name] = text
            case .bool(let flag): annotations[name] = flag ? "true" : "false"
            case .int(let number): annotations[name] = String(number)
            case .double(let number): annotations[name] = number.description
            case .null, .array, .object: break
            }
        }
        return annotations
    }

    /// A duration as Go writes it: `1h2m3.5s`, `100ms`.
    static func isDuration(_ text: String) -> Bool { durationSeconds(text) != nil }

    /// Unit: seconds, rounded down.
    static func durationSeconds(_ text: String) -> Int? {
        let units = [("ns", 1e-9), ("us", 1e-6), ("µs", 1e-6), ("ms", 1e-3), ("s", 1.0), ("m", 60.0), ("h", 3600.0)]
        var rest = text[...]
        var total = 0.0
        if rest.isEmpty { return nil }
        if rest == "0" { return 0 }
        while !rest.isEmpty {
            let number = rest.prefix { $0.isASCII && ($0.isNumber || $0 == ".") }
            rest = rest.dropFirst(number.count)
            let unit = rest.prefix { !($0.isASCII && ($0.isNumber || $0 == ".")) }
            guard let amount = Double(number), let factor = units.first(where: { $0.0 == unit })?.1 else { return nil }
            rest = rest.dropFirst(unit.count)
            total += amount * factor
        }
        return total < 1e15 ? Int(total) : nil
    }
}

extension InjectionValues {
    /// Changes the values as annotations say. `ports` are the pod's named container ports.
    mutating func apply(_ annotations: KubeLabels, ports: [String: UInt16], warnings: inout [String]) {
        var reader = AnnotationReader(annotations: annotations)
        reader.text("proxy-image") { proxy.image.name = $0 }
        reader.text("proxy-version") { proxy.image.version = $0 }
        reader.text("init-image") { initializer.imageName = $0 }
        reader.text("init-image-version") { initializer.imageVersion = $0 }
        reader.oneOf("image-pull-policy", ["Always", "IfNotPresent", "Never"]) { pullPolicy = $0 }
        reader.text("debug-image") { debugImage.name = $0 }
        reader.text("debug-image-version") { debugImage.version = $0 }
        reader.oneOf("debug-image-pull-policy", ["Always", "IfNotPresent", "Never"]) { debugImage.pullPolicy = $0 }
        reader.flag("enable-debug-sidecar") { hasDebugSidecar = $0 }
        reader.port("control-port") { proxy.controlPort = $0 }
        reader.port("admin-port") { proxy.adminPort = $0 }
        reader.port("inbound-port") { proxy.inboundPort = $0 }
        reader.port("outbound-port") { proxy.outboundPort = $0 }
        reader.ports("skip-inbound-ports") { initializer.ignoreInboundPorts = $0 }
        reader.ports("skip-outbound-ports") { initializer.ignoreOutboundPorts = $0 }
        reader.text("skip-subnets") { initializer.skipSubnets = $0 }
        reader.ports("opaque-ports", named: ports) { proxy.opaquePorts = $0 }
        reader.ports("proxy-require-identity-inbound-ports") { proxy.requireIdentityInboundPorts = $0 }
        reader.quantity("proxy-cpu-request") {
            proxy.resources.cpuRequest = $0.canonical
            proxy.workersMin = $0.wholeUnits
        }
        reader.quantity("proxy-cpu-limit") {
            proxy.resources.cpuLimit = $0.canonical
            proxy.workersMax = $0.wholeUnits
        }
        reader.quantity("proxy-memory-request") { proxy.resources.memoryRequest = $0.canonical }
        reader.quantity("proxy-memory-limit") { proxy.resources.memoryLimit = $0.canonical }
        reader.quantity("proxy-ephemeral-storage-request") { proxy.resources.ephemeralStorageRequest = $0.canonical }
        reader.quantity("proxy-ephemeral-storage-limit") { proxy.resources.ephemeralStorageLimit = $0.canonical }
        reader.checked("proxy-cpu-ratio-limit", "a ratio between 0 and 1", { Double($0).map { $0 > 0 && $0 < 1 } ?? false }) { proxy.workersRatioMax = $0 }
        reader.number("proxy-uid") { proxy.uid = $0 }
        reader.number("proxy-gid") { proxy.gid = $0 }
        reader.text("proxy-log-level") { proxy.logLevel = $0 }
        reader.oneOf("proxy-log-format", ["plain", "json"]) { proxy.logFormat = $0 }
        reader.oneOf("proxy-log-http-headers", ["off", "insecure"]) { proxy.logHTTPHeaders = $0 }
        reader.flag("enable-external-profiles") { proxy.hasExternalProfiles = $0 }
        reader.flag("proxy-metrics-hostname-labels") { proxy.hasHostnameLabels = $0 }
        reader.duration("proxy-outbound-connect-timeout") { proxy.outboundConnectTimeout = $0 }
        reader.duration("proxy-inbound-connect-timeout") { proxy.inboundConnectTimeout = $0 }
        reader.duration("proxy-outbound-discovery-cache-unused-timeout") { proxy.outboundDiscoveryIdleTimeout = $0 }
        reader.duration("proxy-inbound-discovery-cache-unused-timeout") { proxy.inboundDiscoveryIdleTimeout = $0 }
        reader.flag("proxy-disable-outbound-protocol-detect-timeout") { proxy.isOutboundDetectTimeoutDisabled = $0 }
        reader.flag("proxy-disable-inbound-protocol-detect-timeout") { proxy.isInboundDetectTimeoutDisabled = $0 }
        reader.flag("enable-gateway") { proxy.isGateway = $0 }
        reader.checked("close-wait-timeout", "a duration", MeshAnnotation.isDuration) { initializer.closeWaitTimeout = MeshAnnotation.durationSeconds($0) ?? 0 }
        reader.oneOf("default-inbound-policy", ["all-unauthenticated", "all-authenticated", "cluster-unauthenticated", "cluster-authenticated", "deny", "audit"]) { proxy.defaultInboundPolicy = $0 }
        reader.oneOf("access-log", ["apache", "json"]) { proxy.accessLog = $0 }
        reader.duration("shutdown-grace-period") { proxy.shutdownGracePeriod = $0 }
        reader.oneOf("proxy-await", ["enabled", "disabled"]) { proxy.isAwaited = $0 == "enabled" }
        for prefix in [MeshAnnotation.alphaPrefix, MeshAnnotation.betaPrefix, MeshAnnotation.prefix] {
            reader.flag("proxy-enable-native-sidecar", prefix: prefix) { proxy.isNativeSidecar = $0 }
        }
        reader.oneOf("proxy-admin-shutdown", ["enabled", "disabled"]) { proxy.isShutdownEndpointEnabled = $0 == "enabled" }
        reader.number("proxy-wait-before-exit-seconds", prefix: MeshAnnotation.alphaPrefix) { proxy.waitBeforeExit = Int(clamping: $0) }
        reader.environment("proxy-additional-env") { proxy.additionalEnvironment += $0 }
        if annotations[MeshAnnotation.inject] == "ingress" { proxy.isIngress = true }
        warnings += reader.warnings
    }
}

/// Reads annotations one by one and collects what is wrong with them.
private struct AnnotationReader {
    let annotations: KubeLabels
    var warnings: [String] = []

    init(annotations: KubeLabels) { self.annotations = annotations }

    mutating func text(_ name: String, prefix: String = MeshAnnotation.prefix, _ use: (String) -> Void) {
        if let text = annotations[prefix + name] { use(text) }
    }

    mutating func checked(_ name: String, _ expected: String, prefix: String = MeshAnnotation.prefix, _ isGood: (String) -> Bool, _ use: (String) -> Void) {
        guard let text = annotations[prefix + name] else { return }
        if isGood(text) { use(text) } else { warnings.append("\(prefix)\(name): \"\(text)\" is not \(expected) and is ignored") }
    }

    mutating func oneOf(_ name: String, _ words: [String], _ use: (String) -> Void) { checked(name, "one of " + words.joined(separator: ", "), { words.contains($0) }, use) }

    mutating func flag(_ name: String, prefix: String = MeshAnnotation.prefix, _ use: (Bool) -> Void) {
        let yes = ["1", "t", "T", "true", "TRUE", "True"]
        let no = ["0", "f", "F", "false", "FALSE", "False"]
        checked(name, "true or false", prefix: prefix, { yes.contains($0) || no.contains($0) }) { use(yes.contains($0)) }
    }

    mutating func number(_ name: String, prefix: String = MeshAnnotation.prefix, _ use: (Int64) -> Void) {
        checked(name, "a number", prefix: prefix, { Int64($0) != nil }) { if let number = Int64($0) { use(number) } }
    }

    mutating func port(_ name: String, _ use: (UInt16) -> Void) { checked(name, "a port", { UInt16($0).map { $0 > 0 } ?? false }) { if let port = UInt16($0) { use(port) } } }

    mutating func duration(_ name: String, _ use: (String) -> Void) { checked(name, "a duration", MeshAnnotation.isDuration, use) }

    mutating func quantity(_ name: String, _ use: (Quantity) -> Void) { checked(name, "a quantity", { Quantity($0) != nil }) { if let quantity = Quantity($0) { use(quantity) } } }

    /// Entries that are no ports are passed over one by one: the proxy would refuse to start with them.
    mutating func ports(_ name: String, named: [String: UInt16] = [:], _ use: (String) -> Void) {
        guard let text = annotations[MeshAnnotation.prefix + name] else { return }
        let list = PortList(text) { named[$0] }
        for word in list.unknown { warnings.append("\(MeshAnnotation.prefix)\(name): \"\(word)\" is not a port, a range or the name of a port, and is ignored") }
        use(list.text)
    }

    mutating func environment(_ name: String, _ use: ([Value]) -> Void) {
        guard let text = annotations[MeshAnnotation.prefix + name] else { return }
        if case .array(let elements)? = try? Value(json: Array(text.utf8)), elements.allSatisfy({ !($0.text("name") ?? "").isEmpty }) {
            use(elements)
        } else {
            warnings.append("\(MeshAnnotation.prefix)\(name) is not a JSON list of environment variables and is ignored")
        }
    }
}
