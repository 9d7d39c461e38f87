// What the proxy knows about where its traffic goes: one entry for each original destination and each authority in use, each fed
// by streams of the control plane and shared by all who need it. An entry outlives its last user a little, so that a client that
// comes back finds it. Source: linkerd2-proxy linkerd/app/outbound/src/discover.rs; facts 2.1.

import Base
import GRPC
import MeshAPI
import Platform

final class Discovery: OutboundDiscovery {
    private let host: any Host
    private let source: any DiscoverySource
    private let profileNetworks: [IPNetwork]
    private let profileSuffixes: NameSuffixes
    private let targetIdleTimeout: Interval
    private let authorityIdleTimeout: Interval
    /// In order of birth; the dictionaries are for look-up only.
    private(set) var targets: [TargetEntry] = []
    private(set) var authorities: [AuthorityEntry] = []
    private var targetByDestination: [Destination: TargetEntry] = [:]
    private var authorityByName: [String: AuthorityEntry] = [:]

    /// The time-outs count from the last release. Whoever keeps what it made of a target for a while needs none for the target.
    init(host: any Host, source: any DiscoverySource, profileNetworks: [IPNetwork], profileSuffixes: NameSuffixes = NameSuffixes([]), targetIdleTimeout: Interval, authorityIdleTimeout: Interval) {
        self.host = host
        self.source = source
        self.profileNetworks = profileNetworks
        self.profileSuffixes = profileSuffixes
        self.targetIdleTimeout = targetIdleTimeout
        self.authorityIdleTimeout = authorityIdleTimeout
    }

    // MARK: Destinations

    func target(_ address: SocketAddress) -> Watch<OutboundTarget> { target(.address(address)) }
    func release(_ address: SocketAddress) { release(.address(address)) }

    func target(_ destination: Destination) -> Watch<OutboundTarget> {
        if let entry = targetByDestination[destination] {
            entry.idle.acquire(host)
            return entry.watch
        }
        if targets.count >= ProxyLimits.discoveryEntriesMax, !evictTarget() {
            host.log(.warn, "linkerd_app_outbound::discover", "\(targets.count) destinations are in use; \(destination) is refused")
            return Watch(OutboundTarget(policy: OutboundPolicy(kind: .invalid("too many destinations in use"))))
        }
        let entry = TargetEntry(destination, host: host)
        targets.append(entry)
        targetByDestination[destination] = entry
        let asksForProfile =
            switch destination {
            case .address(let address): profileNetworks.contains { $0.contains(address.ip) }
            case .name(let name): profileSuffixes.contains(name.host)
            }
        entry.start(source, asksForProfile: asksForProfile)
        return entry.watch
    }

    func release(_ destination: Destination) {
        guard let entry = targetByDestination[destination] else { return }
        entry.idle.release(host, targetIdleTimeout) { [self] in drop(entry) }
    }

    private func drop(_ entry: TargetEntry) {
        entry.stop()
        targetByDestination[entry.destination] = nil
        targets.removeAll { $0 === entry }
    }

    /// The one released longest ago goes; false: all are in use.
    private func evictTarget() -> Bool {
        guard let entry = targets.filter({ $0.idle.since != nil }).min(by: { $0.idle.since! < $1.idle.since! }) else { return false }
        entry.idle.cancel(host)
        drop(entry)
        return true
    }

    // MARK: Authorities

    func endpoints(_ authority: String) -> Watch<EndpointSet> {
        if let entry = authorityByName[authority] {
            entry.idle.acquire(host)
            return entry.watch
        }
        if authorities.count >= ProxyLimits.discoveryEntriesMax, !evictAuthority() {
            host.log(.warn, "linkerd_proxy_api_resolve::resolve", "\(authorities.count) authorities are in use; \(authority) is refused")
            return Watch(.doesNotExist("too many authorities in use"))
        }
        let entry = AuthorityEntry(authority: authority, host: host)
        authorities.append(entry)
        authorityByName[authority] = entry
        entry.start(source)
        return entry.watch
    }

    func release(authority: String) {
        guard let entry = authorityByName[authority] else { return }
        entry.idle.release(host, authorityIdleTimeout) { [self] in drop(entry) }
    }

    private func drop(_ entry: AuthorityEntry) {
        entry.stop()
        authorityByName[entry.authority] = nil
        authorities.removeAll { $0 === entry }
    }

    private func evictAuthority() -> Bool {
        guard let entry = authorities.filter({ $0.idle.since != nil }).min(by: { $0.idle.since! < $1.idle.since! }) else { return false }
        entry.idle.cancel(host)
        drop(entry)
        return true
    }

    /// Ends every stream. Watches keep their last value.
    func stop() {
        for entry in targets {
            entry.idle.cancel(host)
            entry.stop()
        }
        for entry in authorities {
            entry.idle.cancel(host)
            entry.stop()
        }
        targets = []
        authorities = []
        targetByDestination = [:]
        authorityByName = [:]
    }
}

/// How many use an entry, and for how long nobody has.
struct Idleness {
    private(set) var users = 1
    /// When the last user went; nil: in use.
    private(set) var since: Instant?
    private var timer: TimerID?

    mutating func acquire(_ host: any Host) {
        users += 1
        cancel(host)
    }

    mutating func release(_ host: any Host, _ timeout: Interval, _ expired: @escaping () -> Void) {
        guard users > 0 else { return host.unexpected("a discovery entry was released more often than it was taken") }
        users -= 1
        if users > 0 { return }
        since = host.now
        timer = host.after(timeout, expired)
    }

    mutating func cancel(_ host: any Host) {
        if let timer { host.cancel(timer) }
        timer = nil
        since = nil
    }
}

/// One destination: what its profile and its policy say, once both have spoken.
final class TargetEntry {
    private enum Profile: Equatable {
        case pending
        case none
        case some(ServiceProfile)
    }

    private enum Policy: Equatable {
        case pending
        /// The control plane knows none for this address.
        case none
        case some(OutboundPolicy)
    }

    let destination: Destination
    let watch = Watch<OutboundTarget>()
    var idle = Idleness()
    private let host: any Host
    private var profile = Profile.pending
    private var policy = Policy.pending
    private var streams: [any DiscoveryStream] = []

    init(_ destination: Destination, host: any Host) {
        self.destination = destination
        self.host = host
    }

    func start(_ source: any DiscoverySource, asksForProfile: Bool) {
        let address =
            switch destination {
            case .address(let address): "\(address)"
            case .name(let name): name.withoutTrailingDot.description
            }
        if asksForProfile {
            streams.append(
                source.profile(
                    address,
                    DiscoveryEvents(
                        said: { [self] message in
                            profile = .some(ServiceProfile(message))
                            settle()
                        },
                        ended: { [self] status, isFinal in
                            host.log(isFinal ? .warn : .debug, "linkerd_service_profiles::client", "The profile of \(address) ended: \(status)")
                            // Without a profile the policy alone counts; a profile that was known stays known.
                            guard isFinal, profile == .pending else { return }
                            profile = .none
                            settle()
                        })))
        } else {
            profile = .none
        }
        let events = DiscoveryEvents<Mesh.Outbound.OutboundPolicy>(
                    said: { [self] message in
                        let read = OutboundPolicy(message)
                        if case .invalid(let reason) = read.kind { host.log(.warn, "linkerd_app_outbound::policy::api", "The policy of \(address) is invalid: \(reason)") }
                        policy = .some(read)
                        settle()
                    },
                    ended: { [self] status, isFinal in
                        host.log(isFinal ? .info : .debug, "linkerd_app_outbound::policy::api", "The policy of \(address) ended: \(status)")
                        guard isFinal else { return }
                        switch status.code {
                        case .notFound, .unimplemented: policy = .none
                        default: if policy == .pending { policy = .some(OutboundPolicy(kind: .invalid("no policy for \(address): \(status)"))) }
                        }
                        settle()
                    })
        switch destination {
        case .address(let address): streams.append(source.outboundPolicy(address, events))
        case .name: streams.append(source.outboundPolicy(authority: address, events))
        }
    }

    func stop() {
        for stream in streams { stream.stop() }
        streams = []
    }

    private func settle() {
        if profile == .pending || policy == .pending { return }
        let known: ServiceProfile? = if case .some(let profile) = profile { profile } else { nil }
        let target: OutboundTarget
        if case .some(let policy) = policy {
            target = OutboundTarget(profile: known, policy: policy)
        } else if let endpoint = known?.endpoint {
            target = OutboundTarget(profile: known, policy: OutboundPolicy(forwardingTo: endpoint, name: "endpoint"))
        } else {
            switch destination {
            case .address(let address):
                target = OutboundTarget(profile: known, policy: OutboundPolicy(forwardingTo: Endpoint(address: address), name: known == nil ? "fallback" : "endpoint"))
            case .name(let name):
                let authority = (known?.fullyQualifiedName).map { "\($0):\(name.port)" }
                target = OutboundTarget(profile: known, policy: authority.map { OutboundPolicy(balancing: $0) } ?? OutboundPolicy(kind: .invalid("nothing is known of \(name)")))
            }
        }
        if watch.value != target { watch.set(target) }
    }
}

/// One authority and its endpoints.
final class AuthorityEntry {
    let authority: String
    let watch = Watch<EndpointSet>()
    var idle = Idleness()
    private let host: any Host
    private var table = EndpointTable()
    private var stream: (any DiscoveryStream)?

    init(authority: String, host: any Host) {
        self.authority = authority
        self.host = host
    }

    func start(_ source: any DiscoverySource) {
        let path = Authority(authority)?.withoutTrailingDot.description ?? authority
        stream = source.endpoints(
            path,
            DiscoveryEvents(
                restarted: { [self] in table.restart() },
                said: { [self] update in
                    let dropped = table.droppedCount
                    if let set = table.apply(update, name: authority), set != watch.value { watch.set(set) }
                    if table.droppedCount > dropped { host.log(.warn, "linkerd_proxy_api_resolve::resolve", "\(table.droppedCount - dropped) addresses of \(authority) cannot be used") }
                },
                ended: { [self] status, isFinal in
                    host.log(isFinal ? .warn : .debug, "linkerd_proxy_api_resolve::resolve", "The endpoints of \(authority) ended: \(status)")
                    // The control plane will never resolve it: what was known is no longer true.
                    if isFinal { watch.set(.doesNotExist(status.message.isEmpty ? status.code.name : status.message)) }
                }))
    }

    func stop() {
        stream?.stop()
        stream = nil
    }
}
