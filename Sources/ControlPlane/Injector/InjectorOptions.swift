// What the proxy injector is told at start, and how it learns the rest: from the chart's values in a mounted ConfigMap, read anew
// whenever they change. Source: linkerd2 controller/proxy-injector/webhook.go, pkg/k8s MountPathValuesConfig.

import Base
import Documents
import Manifests
import Platform

public struct InjectorOptions: Sendable {
    public var controlPlaneNamespace = "linkerd"
    /// YAML: the values of the chart.
    public var valuesPath = "/var/run/linkerd/config/values"
    /// PEM. Empty: the anchors are those of the values.
    public var anchorsPath = "/var/run/linkerd/identity/trust-roots/ca-bundle.crt"
    /// Of the annotation `linkerd.io/created-by`.
    public var createdBy = "weft/proxy-injector \(Release.version)"
    /// Where the webhook answers.
    public var webhook: WebhookOptions

    public init(webhook: WebhookOptions = WebhookOptions(address: SocketAddress(.any, 8443))) { self.webhook = webhook }
}

/// The values that proxies are rendered from. Files are looked at for each pod, since kubelet swaps them when the ConfigMap
/// changes; they are parsed only when they have changed.
final class InjectionSettings {
    private let host: any Host
    private let options: InjectorOptions
    private var judged: Digest64?
    private var known: Result<InjectionValues, Refusal>

    init(host: any Host, options: InjectorOptions) {
        self.host = host
        self.options = options
        known = .failure(Refusal("the values have not been read"))
    }

    func current() throws(Refusal) -> InjectionValues {
        do throws(HostFailure) {
            let values = try host.files.read(options.valuesPath)
            let anchors = options.anchorsPath.isEmpty ? [] : try host.files.read(options.anchorsPath)
            var digest = Digest64()
            values.withUnsafeBytes { digest.mix($0) }
            anchors.withUnsafeBytes { digest.mix($0) }
            if digest != judged {
                judged = digest
                known = Result { () throws(Refusal) in try read(values, anchors) }
                if case .failure(let refusal) = known { host.log(.error, "injector", refusal.reason) }
            }
        } catch {
            throw Refusal("the injector's configuration cannot be read: \(error)")
        }
        return try known.get()
    }

    private func read(_ bytes: [UInt8], _ anchors: [UInt8]) throws(Refusal) -> InjectionValues {
        do {
            guard let document = try YAML.parse(bytes).first else { throw Refusal("\(options.valuesPath) is empty") }
            var values = try InjectionValues(chart: document.value)
            values.controlPlaneNamespace = options.controlPlaneNamespace
            values.createdBy = options.createdBy
            if !anchors.isEmpty { values.trustAnchorsPEM = String(decoding: anchors, as: UTF8.self) }
            return values
        } catch let refusal as Refusal {
            throw refusal
        } catch {
            throw Refusal("\(options.valuesPath): \(error)")
        }
    }
}
