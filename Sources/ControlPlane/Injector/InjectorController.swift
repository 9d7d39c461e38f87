// The proxy injector as a process: a mutating webhook that gives pods their proxies. What a pod becomes is the injector's pure
// function in Manifests; here is what that function must be told, and who is told afterwards.
// Source: linkerd2 controller/proxy-injector/webhook.go. A label for each config annotation in the metrics, as upstream has, is
// deliberately absent: anybody who may create pods could fill the memory with it.

import Base
import Documents
import Kube
import Manifests
import OrderedCollections
import Platform

public final class InjectorController: AdmissionJudge {
    public let controller: Controller
    private let options: InjectorOptions
    private let settings: InjectionSettings
    private let namespaces: Informer
    private let owners: PodOwners
    private let recorder: EventRecorder

    /// Source: linkerd2's default addresses, `:8443` and `:9995`.
    public static let defaults = ControllerOptions(address: SocketAddress(.any, 8443), adminAddress: SocketAddress(.any, 9995))

    /// Starts; the caller keeps it while it is to run. It ends itself when the host shuts down.
    public static func run(host: any Host, options: ControllerOptions = defaults, injector: InjectorOptions = InjectorOptions()) throws(Refusal) -> InjectorController {
        let made = InjectorController(controller: try Controller(name: "proxy-injector", host: host, options: options), options: injector)
        made.start()
        return made
    }

    private init(controller: Controller, options: InjectorOptions) {
        self.controller = controller
        self.options = options
        settings = InjectionSettings(host: controller.host, options: options)
        namespaces = Informer(client: controller.client, .namespaces, shape: Informer.Shape(metadataOnly: true))
        owners = PodOwners(client: controller.client, limits: controller.options.limits)
        recorder = EventRecorder(client: controller.client, component: "linkerd-proxy-injector")
    }

    private func start() {
        let isListed = controller.awaitPart()
        var left = 1 + owners.informers.count
        for informer in [namespaces] + owners.informers {
            informer.onSynced {
                left -= 1
                if left == 0 { isListed() }
            }
            informer.onFailure { [controller] error in controller.host.log(.warn, "controller::watch", "\(informer.resource): \(error)") }
            informer.start()
        }
        controller.onStop { [self] in
            recorder.close()
            namespaces.stop()
            owners.stop()
        }
        controller.admin.beforeMetrics { [namespaces, owners, metrics = controller.metrics] in
            for informer in [namespaces] + owners.informers {
                metrics.gauge("\(informer.resource.plural)_cache_size", help: "Number of items in the client-go \(informer.resource.plural) cache", [("cluster", "local")]).value = Double(informer.count)
            }
        }
        controller.serve(webhook: self, options.webhook)
    }

    func judge(_ request: AdmissionRequest, _ answer: @escaping (AdmissionVerdict) -> Void) {
        guard request.group.isEmpty, request.kind == "Pod" || request.kind == "Service" else {
            return answer(.refused("\(request.kind) of group \"\(request.group)\" is not injected; the webhook's rules should name pods and services only", code: 400))
        }
        guard request.operation == .create else { return answer(.allowed) }
        guard request.kind == "Pod" else { return finish(request, nil, answer) }
        owners.find(ofPod: KubeObject(request.object), in: request.namespace) { [self] owner in finish(request, owner, answer) }
    }

    private func finish(_ request: AdmissionRequest, _ owner: PodOwners.Owner?, _ answer: (AdmissionVerdict) -> Void) {
        do throws(Refusal) {
            answer(try verdict(request, owner))
        } catch {
            controller.host.log(.error, "injector", "\(request.subject): \(error.reason)")
            answer(.refused(error.reason, code: 500))
        }
    }

    private func verdict(_ request: AdmissionRequest, _ owner: PodOwners.Owner?) throws(Refusal) -> AdmissionVerdict {
        // The question says what it is about, even where the object does not repeat it.
        var written = request.object
        if written.text("kind") == nil { written.put(.string(request.kind), at: "kind") }
        var surroundings = Injector.Surroundings()
        surroundings.namespace = request.namespace
        surroundings.namespaceAnnotations = namespaces["", request.namespace]?.annotations ?? [:]
        if let owner { surroundings.owner = (owner.kind, owner.key.name) }
        let place = Injector.annotationPlace(written, in: surroundings)
        let labels = [("owner_kind", owner?.kind.lowercased() ?? request.kind.lowercased()), ("namespace", request.namespace), ("annotation_at", place)]
        count("proxy_inject_admission_requests_total", "A counter for number of admission requests to proxy injector.", labels)

        let injector = Injector(values: try settings.current(), mode: .admission)
        let object: Value
        let report: InjectionReport
        do throws(InjectionError) {
            (object, report) = try injector.admit(written, in: surroundings)
        } catch {
            throw Refusal(error.reason)
        }
        let isSkipped = report.outcome != .injected
        let reasons = report.reasons.map(\.rawValue).joined(separator: ",")
        count("proxy_inject_admission_responses_total", "A counter for number of admission responses from proxy injector.", labels + [("skip", isSkipped ? "true" : "false"), ("skip_reason", reasons)])
        if request.kind == "Pod", !request.isDryRun { tell(owner, report) }
        controller.host.log(.info, "injector", "\(request.subject) \(report.outcome.rawValue)\(report.reasons.isEmpty ? "" : ": " + report.reasons.map(\.sentence).joined(separator: ", "))")

        var verdict = AdmissionVerdict.allowed
        verdict.patch = JSONPatch(from: written, to: object)
        verdict.warnings = report.warnings
        return verdict
    }

    /// Who owns the pod finds in its events what became of the wish for a proxy.
    private func tell(_ owner: PodOwners.Owner?, _ report: InjectionReport) {
        guard let owner, let resource = owner.resource else { return }
        if report.outcome == .injected {
            recorder.record(about: resource, owner.key, uid: owner.uid, isWarning: false, reason: "Injected", message: "Linkerd sidecar proxy injected")
        } else if !report.reasons.isEmpty {
            recorder.record(
                about: resource, owner.key, uid: owner.uid, isWarning: false, reason: "InjectionSkipped",
                message: "Linkerd sidecar proxy injection skipped: " + report.reasons.map(\.sentence).joined(separator: ", "))
        }
    }

    private func count(_ name: String, _ help: String, _ labels: [(String, String)]) { controller.metrics.counter(name, help: help, labels).increment() }
}
