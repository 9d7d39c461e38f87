// The subcommands of the webhooks, with the flags that Linkerd's charts give them.

import ArgumentParser
import Base
import ControlPlane
import Platform

/// Where a webhook answers, and with what certificate.
struct WebhookFlags: ParsableArguments {
    @Option(help: "Address of the webhook.") var addr = ":8443"
    @Option(help: "PEM file of the webhook's certificate; read again when it changes.") var tlsCert = "/var/run/linkerd/tls/tls.crt"
    @Option(help: "PEM file of the webhook's key.") var tlsKey = "/var/run/linkerd/tls/tls.key"

    func webhook() throws -> WebhookOptions {
        var options = WebhookOptions(address: try parseAddress(addr))
        options.certificatePath = tlsCert
        options.keyPath = tlsKey
        return options
    }

    func validate() throws { _ = try webhook() }
}

struct ProxyInjector: ControllerCommand {
    static let configuration = CommandConfiguration(commandName: "proxy-injector", abstract: "Gives pods their proxies: a mutating webhook.")

    @OptionGroup var shared: SharedFlags
    @OptionGroup var webhook: WebhookFlags
    @Option(help: "Address of readiness and metrics.") var metricsAddr = ":9995"
    @Option(help: "Namespace of the control plane.") var linkerdNamespace = "linkerd"
    @Option(help: "YAML file of the chart's values; read again when it changes.") var configFile = InjectorOptions().valuesPath

    func injector() throws -> InjectorOptions {
        var options = InjectorOptions(webhook: try webhook.webhook())
        options.controlPlaneNamespace = linkerdNamespace
        options.valuesPath = configFile
        options.anchorsPath = shared.trustAnchors
        return options
    }

    func controller() throws -> ControllerOptions {
        var options = ControllerOptions(address: try parseAddress(webhook.addr), adminAddress: try parseAddress(metricsAddr))
        shared.apply(to: &options)
        return options
    }

    func validate() throws {
        _ = try injector()
        _ = try controller()
    }

    func start(on host: any Host) throws -> AnyObject { try InjectorController.run(host: host, options: try controller(), injector: try injector()) }
}

struct ProfileValidation: ControllerCommand {
    static let configuration = CommandConfiguration(commandName: "sp-validator", abstract: "Judges ServiceProfiles: a validating webhook.")

    @OptionGroup var shared: SharedFlags
    @OptionGroup var webhook: WebhookFlags
    @Option(help: "Address of readiness and metrics.") var metricsAddr = ":9997"

    func controller() throws -> ControllerOptions {
        var options = ControllerOptions(address: try parseAddress(webhook.addr), adminAddress: try parseAddress(metricsAddr))
        shared.apply(to: &options)
        return options
    }

    func validate() throws { _ = try controller() }

    func start(on host: any Host) throws -> AnyObject { try ProfileValidator.run(host: host, options: try controller(), webhook: try webhook.webhook()) }
}
