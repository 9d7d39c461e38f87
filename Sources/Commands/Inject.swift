// `weft inject` and `weft uninject`: a manifest in, a manifest out, a report beside it. Pure functions: who reads the file, the
// flags and the cluster's settings is the executable. Nothing is written out unless every document went well, so that
// `weft inject - | kubectl apply -f -` never applies half.

import Base
import Documents
import Kube
import Manifests
import OrderedCollections

/// What a command leaves behind.
public struct CommandOutcome: Equatable, Sendable {
    /// For standard output.
    public var output: String
    public var exitCode: Int32

    public init(output: String, exitCode: Int32) {
        self.output = output
        self.exitCode = exitCode
    }

    /// sysexits.h EX_DATAERR: the input was not what it should be.
    public static let dataError: Int32 = 65
}

public enum Inject {
    public enum Format: String, CaseIterable, Sendable { case yaml, json }

    public struct Arguments: Sendable {
        /// As the user named it, for messages; `-` is standard input.
        public var file = "-"
        /// Only write the annotations by which the webhook injects; do not add the proxy.
        public var isAnnotateOnly = false
        public var isVerbose = false
        public var format = Format.yaml
        /// What the proxy is rendered from: the cluster's settings, or the defaults with the trust anchors of `--trust-anchors`.
        public var values = InjectionValues()

        // Flags that become annotations of every pod; nil: not given.
        public var isIngress = false
        public var hasDebugSidecar = false
        public var opaquePorts: String?
        public var skipInboundPorts: String?
        public var skipOutboundPorts: String?
        public var proxyImage: String?
        public var proxyVersion: String?
        public var imagePullPolicy: String?
        public var inboundPort: String?
        public var outboundPort: String?
        public var controlPort: String?
        public var adminPort: String?
        public var proxyUID: String?
        public var proxyGID: String?
        public var proxyLogLevel: String?
        public var proxyCPURequest: String?
        public var proxyCPULimit: String?
        public var proxyMemoryRequest: String?
        public var proxyMemoryLimit: String?
        public var defaultInboundPolicy: String?
        public var accessLog: String?
        public var requireIdentityInboundPorts: String?
        public var closeWaitTimeout: String?
        public var waitBeforeExitSeconds: String?
        public var nativeSidecar: String?

        public init() {}

        /// The flags as annotations.
        var overrides: KubeLabels {
            let pairs: KeyValuePairs<String, String?> = [
                MeshAnnotation.inject: isIngress ? "ingress" : nil, MeshAnnotation.prefix + "enable-debug-sidecar": hasDebugSidecar ? "true" : nil, MeshAnnotation.opaquePorts: opaquePorts,
                MeshAnnotation.prefix + "skip-inbound-ports": skipInboundPorts, MeshAnnotation.prefix + "skip-outbound-ports": skipOutboundPorts, MeshAnnotation.prefix + "proxy-image": proxyImage,
                MeshAnnotation.prefix + "proxy-version": proxyVersion, MeshAnnotation.prefix + "image-pull-policy": imagePullPolicy, MeshAnnotation.prefix + "inbound-port": inboundPort,
                MeshAnnotation.prefix + "outbound-port": outboundPort, MeshAnnotation.prefix + "control-port": controlPort, MeshAnnotation.prefix + "admin-port": adminPort,
                MeshAnnotation.prefix + "proxy-uid": proxyUID, MeshAnnotation.prefix + "proxy-gid": proxyGID, MeshAnnotation.prefix + "proxy-log-level": proxyLogLevel,
                MeshAnnotation.prefix + "proxy-cpu-request": proxyCPURequest, MeshAnnotation.prefix + "proxy-cpu-limit": proxyCPULimit, MeshAnnotation.prefix + "proxy-memory-request": proxyMemoryRequest,
                MeshAnnotation.prefix + "proxy-memory-limit": proxyMemoryLimit, MeshAnnotation.prefix + "default-inbound-policy": defaultInboundPolicy, MeshAnnotation.prefix + "access-log": accessLog,
                MeshAnnotation.prefix + "proxy-require-identity-inbound-ports": requireIdentityInboundPorts, MeshAnnotation.prefix + "close-wait-timeout": closeWaitTimeout,
                MeshAnnotation.alphaPrefix + "proxy-wait-before-exit-seconds": waitBeforeExitSeconds, MeshAnnotation.prefix + "proxy-enable-native-sidecar": nativeSidecar,
            ]
            var overrides: KubeLabels = [:]
            for (name, value) in pairs { if let value { overrides[name] = value } }
            return overrides
        }
    }

    /// `note` takes what belongs on standard error, lines with their ends.
    public static func run(_ arguments: Arguments, input: [UInt8], note: (String) -> Void) -> CommandOutcome {
        var injector = Injector(values: arguments.values, mode: arguments.isAnnotateOnly ? .annotate : .manual)
        injector.overrides = arguments.overrides
        let outcome = transform(input, file: arguments.file, command: "inject", format: arguments.format, isVerbose: arguments.isVerbose, note: note) { (object) throws(InjectionError) in
            try injector.inject(object)
        }
        if outcome.exitCode == 0, !arguments.isAnnotateOnly, arguments.values.trustAnchorsPEM.isEmpty {
            note("\u{203c} no trust anchors given: proxies will read them from the ConfigMap linkerd-identity-trust-roots of their namespace\n\n")
        }
        return outcome
    }

    static func transform(
        _ input: [UInt8], file: String, command: String, format: Format, isVerbose: Bool, note: (String) -> Void,
        _ change: (Value) throws(InjectionError) -> (object: Value, reports: [InjectionReport])
    ) -> CommandOutcome {
        let name = file == "-" ? "stdin" : file
        let documents: [YAMLDocument]
        do throws(DocumentError) {
            documents = try YAML.parse(input)
        } catch {
            note("weft \(command): \(name):\(error.line):\(error.column): \(error.reason)\n")
            return CommandOutcome(output: "", exitCode: CommandOutcome.dataError)
        }
        var objects: [Value] = []
        var reports: [InjectionReport] = []
        for document in documents where document.value != .null {
            do throws(InjectionError) {
                let (object, more) = try change(document.value)
                objects.append(object)
                reports += more
            } catch {
                note("weft \(command): \(name):\(document.line):1: \(error.reason)\n")
                return CommandOutcome(output: "", exitCode: error.family == .malformed ? CommandOutcome.dataError : 1)
            }
        }
        if objects.isEmpty {
            note("weft \(command): \(name):1:1: there is no object in it\n")
            return CommandOutcome(output: "", exitCode: CommandOutcome.dataError)
        }
        note(InjectionReport.text(reports, isVerbose: isVerbose))
        switch format {
        case .yaml: return CommandOutcome(output: YAML.print(objects), exitCode: 0)
        case .json: return CommandOutcome(output: objects.map { $0.json(indent: 2) + "\n" }.joined(), exitCode: 0)
        }
    }
}

public enum Uninject {
    public struct Arguments: Sendable {
        /// As the user named it, for messages; `-` is standard input.
        public var file = "-"
        public var format = Inject.Format.yaml

        public init() {}
    }

    /// `note` takes what belongs on standard error, lines with their ends.
    public static func run(_ arguments: Arguments, input: [UInt8], note: (String) -> Void) -> CommandOutcome {
        Inject.transform(input, file: arguments.file, command: "uninject", format: arguments.format, isVerbose: false, note: note) { (object) throws(InjectionError) in
            try Uninjector.uninject(object)
        }
    }
}
