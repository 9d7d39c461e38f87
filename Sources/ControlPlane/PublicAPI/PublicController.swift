// The controller as a process: it follows the control plane's pods and serves the API that command lines talk to.
// Source: linkerd2 2.10 controller/cmd/public-api/main.go.

import Base
import Kube
import Manifests
import Platform
import Transport

public struct PublicOptions: Sendable {
    public var controllerNamespace = "linkerd"
    /// Told by `Version`.
    public var version = Release.version
    public var trustDomain = "cluster.local"

    public init() {}
}

public final class PublicController {
    public let controller: Controller
    public let api: PublicAPI

    /// Source: linkerd2 2.10's default addresses, `:8085` and `:9995`.
    public static let defaults = ControllerOptions(address: SocketAddress(.any, 8085), adminAddress: SocketAddress(.any, 9995))

    /// Starts; the caller keeps it while it is to run. It ends itself when the host shuts down.
    public static func run(host: any Host, options: ControllerOptions = defaults, service: PublicOptions) throws(Refusal) -> PublicController {
        try PublicController(host: host, options: options, service: service)
    }

    private init(host: any Host, options: ControllerOptions, service: PublicOptions) throws(Refusal) {
        controller = try Controller(name: "controller", host: host, options: options)
        let limits = options.limits
        let components = ComponentWatch(client: controller.client, batch: controller.batch, namespace: service.controllerNamespace, limits: limits)
        api = PublicAPI(client: controller.client, components: components, namespace: service.controllerNamespace, version: service.version, limits: limits)
        let http = PublicAPIServer(api: api, metrics: controller.metrics, limits: limits)
        http.register(on: controller.server)
        controller.server.otherwise = http
        let credentials = try controller.credentials(component: "controller", namespace: service.controllerNamespace, trustDomain: service.trustDomain)
        controller.onStop { components.stop() }
        components.start { [controller] in controller.serve(credentials: credentials) }
    }
}
