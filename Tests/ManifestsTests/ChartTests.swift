// The chart's values as Linkerd's ConfigMap keeps them, read from the rendered install of its own goldens and from values that
// users set.

import Documents
import Kube
import OrderedCollections
import Testing

@testable import Manifests

private func chart(_ text: String) throws -> InjectionValues { try InjectionValues(chart: try YAML.parse(Array(text.utf8)).first?.value ?? .null) }

@Test func `the values of Linkerd's own install are the defaults`() throws {
    let documents = try YAML.parse(bytes(fixtures + "/k8s/linkerd-install-golden/install_default.golden")).map(\.value)
    let config = try #require(documents.first { $0.text("kind") == "ConfigMap" && $0.text("metadata", "name") == "linkerd-config" })
    let values = try chart(try #require(config.text("data", "values")))
    var expected = InjectionValues()
    expected.proxy.image = .init("cr.l5d.io/linkerd/proxy", version: "install-proxy-version")
    expected.debugImage = .init("cr.l5d.io/linkerd/debug", version: "install-debug-version")
    expected.initializer.imageName = nil
    expected.initializer.command = ["/usr/lib/linkerd/linkerd2-proxy-init"]
    expected.identityTrustDomain = "cluster.local"
    expected.trustAnchorsPEM = values.trustAnchorsPEM
    #expect(values == expected)
    #expect(values.trustAnchorsPEM.hasPrefix("-----BEGIN CERTIFICATE-----"))
    #expect(try chart("").proxy.image == InjectionValues().proxy.image)
}

@Test func `values that users set arrive`() throws {
    let values = try chart(
        """
        linkerdVersion: v2
        disableIPv6: false
        identity: {serviceAccountTokenProjection: false}
        proxy:
          cores: 3
          ports: {admin: 5191}
          resources: {cpu: {request: 100m, limit: "1.5"}, memory: {limit: 250Mi}, ephemeral-storage: {request: 1Gi}}
          runtime: {workers: {minimum: 2, maximumCPURatio: 0.5}}
          inbound: {server: {http2: {keepAliveTimeout: 4s, keepAliveInterval: 9s}}}
          outbound: {}
          additionalEnv: [{name: A, value: b}]
          experimentalEnv: [{name: C, value: d}]
          unknown: {x: y}
        proxyInit: {image: {name: my/init, version: v7}, closeWaitTimeoutSecs: "30", runAsRoot: true}
        debugContainer: {image: {pullPolicy: Always}}
        """)
    #expect(values.proxy.image.version == "v2" && values.debugImage.version == "v2" && values.debugImage.pullPolicy == "Always")
    #expect(!values.isIPv6Disabled && !values.isTokenProjected && values.proxy.adminPort == 5191)
    #expect(values.proxy.workersMin == 3 && values.proxy.workersMax == 2 && values.proxy.workersRatioMax == "0.5")
    #expect(values.proxy.resources.cpuRequest == "100m" && values.proxy.resources.cpuLimit == "1500m" && values.proxy.resources.ephemeralStorageRequest == "1Gi")
    #expect(values.proxy.inbound == [.init("server", "http2", "keepAliveInterval", "9s"), .init("server", "http2", "keepAliveTimeout", "4s")] && values.proxy.outbound.isEmpty)
    #expect(values.proxy.additionalEnvironment.compactMap { $0.text("name") } == ["A", "C"])
    #expect(values.initializer.imageName == "my/init" && values.initializer.imageVersion == "v7" && values.initializer.command.isEmpty)
    #expect(values.initializer.closeWaitTimeout == 30 && values.initializer.isRoot)
}

@Test(arguments: [
    ("[]", "the chart's values are an array, not an object"), ("cniEnabled: 1", "the chart's value cniEnabled must be true or false, not a number"),
    ("proxy: {ports: {admin: 70000}}", "the chart's value proxy.ports.admin must be a port, 1 to 65535"), ("proxy: {uid: some}", "the chart's value proxy.uid must be a number, not a string"),
    ("proxy: {resources: {cpu: {limit: lots}}}", "the chart's value proxy.resources.cpu.limit must be a quantity, not \"lots\""),
    ("proxy: {additionalEnv: {A: b}}", "the chart's value proxy.additionalEnv must be a list, not an object"), ("proxy: {logLevel: [debug]}", "the chart's value proxy.logLevel must be text, not an array"),
])
func `a value of the wrong type is named`(_ text: String, _ reason: String) throws {
    #expect(throws: InjectionError(.malformed, reason)) { try chart(text) }
}
