// The policies of the ports this pod serves. Ports of the configuration are watched for ever; others from their first connection
// until nobody has needed them for a while. Until the controller has spoken the configured default holds.
// Source: linkerd2-proxy linkerd/app/inbound/src/policy/store.rs; facts 3.1, 3.5.

import Base
import Platform

final class PolicyStore: InboundPolicies {
    final class Entry {
        let port: UInt16
        var watch: Watch<InboundPolicy>
        let isKept: Bool
        /// The controller has spoken.
        fileprivate(set) var isKnown = false
        fileprivate var stream: (any DiscoveryStream)?
        fileprivate var lastAsked: Instant
        fileprivate var timer: TimerID?

        fileprivate init(port: UInt16, policy: InboundPolicy, isKept: Bool, now: Instant) {
            self.port = port
            watch = Watch(policy)
            self.isKept = isKept
            lastAsked = now
        }
    }

    private let host: any Host
    private let source: any DiscoverySource
    private let defaultPolicy: DefaultPolicy
    private let clusterNetworks: [IPNetwork]
    private let opaquePorts: PortSet
    private let detectTimeout: Interval
    private let idleTimeout: Interval
    /// In order of birth; the dictionary is for look-up only.
    private(set) var entries: [Entry] = []
    private var entryByPort: [UInt16: Entry] = [:]
    private var isStarted = false

    /// `ports` are watched for ever, once started.
    init(host: any Host, source: any DiscoverySource, configuration: Configuration, ports: [UInt16]) {
        self.host = host
        self.source = source
        defaultPolicy = configuration.inboundDefaultPolicy
        clusterNetworks = configuration.clusterNetworks
        opaquePorts = configuration.inboundOpaquePorts
        detectTimeout = configuration.inbound.detectTimeout
        idleTimeout = configuration.inbound.discoveryIdleTimeout
        for port in ports where entryByPort[port] == nil { _ = add(port, isKept: true) }
    }

    /// Begins to follow the controller: from here on there is a certificate to speak with.
    func start() {
        isStarted = true
        for entry in entries { follow(entry) }
    }

    /// The watch stays fed for as long as somebody holds it; one that is not held is dropped when its port has not been asked for in
    /// `discoveryIdleTimeout`.
    func policy(port: UInt16) -> Watch<InboundPolicy> {
        if let entry = entryByPort[port] {
            entry.lastAsked = host.now
            return entry.watch
        }
        guard entries.reduce(0, { $1.isKept ? $0 : $0 + 1 }) < ProxyLimits.policyPortsMax else { return Watch(standard(port)) }
        let entry = add(port, isKept: false)
        arm(entry, idleTimeout)
        if isStarted { follow(entry) }
        return entry.watch
    }

    func stop() {
        for entry in entries {
            entry.stream?.stop()
            entry.stream = nil
            if let timer = entry.timer { host.cancel(timer) }
            entry.timer = nil
        }
        entries = []
        entryByPort = [:]
    }

    private func add(_ port: UInt16, isKept: Bool) -> Entry {
        let entry = Entry(port: port, policy: standard(port), isKept: isKept, now: host.now)
        entries.append(entry)
        entryByPort[port] = entry
        return entry
    }

    private func standard(_ port: UInt16) -> InboundPolicy {
        InboundPolicy(defaultPolicy, clusterNetworks: clusterNetworks, isOpaque: opaquePorts.contains(port), detectTimeout: detectTimeout)
    }

    private func follow(_ entry: Entry) {
        guard entry.stream == nil else { return }
        let port = entry.port
        entry.stream = source.inboundPolicy(
            port: port,
            DiscoveryEvents(
                said: { [self] message in
                    do throws(InvalidPolicy) {
                        let policy = try InboundPolicy(message, detectTimeout: detectTimeout)
                        entry.isKnown = true
                        if entry.watch.value != policy { entry.watch.set(policy) }
                    } catch {
                        host.log(.warn, "linkerd_app_inbound::policy::api", "The policy of port \(port) is invalid and the last one stays in force: \(error.reason)")
                    }
                },
                ended: { [self] status, isFinal in
                    host.log(isFinal ? .warn : .debug, "linkerd_app_inbound::policy::api", "The policy of port \(port) ended: \(status)")
                }))
    }

    private func arm(_ entry: Entry, _ delay: Interval) {
        entry.timer = host.after(delay) { [self] in
            entry.timer = nil
            let idle = host.now - entry.lastAsked
            if idle < idleTimeout { return arm(entry, idleTimeout - idle) }
            if entry.watch.isWatched || !isKnownUniquelyReferenced(&entry.watch) { return arm(entry, idleTimeout) }
            entry.stream?.stop()
            entry.stream = nil
            entryByPort[entry.port] = nil
            entries.removeAll { $0 === entry }
        }
    }
}
