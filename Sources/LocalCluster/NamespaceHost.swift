// A host whose sockets are opened inside a network namespace, whoever opens them and whenever: the process itself stays outside, and
// time, files, chance and log are those of the host below.

import Base
import Linux
import Platform

final class NamespaceHost: Host, Network {
    let lower: LinuxHost
    let place: PodNamespace
    private let resolver: ResolverConfiguration

    init(_ lower: LinuxHost, in place: PodNamespace, resolver: ResolverConfiguration) {
        self.lower = lower
        self.place = place
        self.resolver = resolver
    }

    var now: Instant { lower.now }
    var wall: WallTime { lower.wall }
    func after(_ delay: Interval, _ action: @escaping () -> Void) -> TimerID { lower.after(delay, action) }
    func cancel(_ timer: TimerID) { lower.cancel(timer) }
    func random(_ label: String) -> Random { lower.random(label) }
    var network: any Network { self }
    var files: any Files { lower.files }
    var programs: any Programs { lower.programs }
    var settings: Settings { lower.settings }
    var log: Log { lower.log }
    func onShutdown(_ action: @escaping () -> Void) { lower.onShutdown(action) }
    func exit(_ status: Int32) { lower.exit(status) }
    func unexpected(_ fact: String) { lower.unexpected(fact) }

    func listen(on address: SocketAddress, options: ListenOptions, handler: any AcceptHandler) throws(HostFailure) -> any Listener {
        try inside { () throws(HostFailure) in try lower.listen(on: address, options: options, handler: handler) }
    }

    func datagrams(on address: SocketAddress, handler: any DatagramHandler) throws(HostFailure) -> any DatagramSocket {
        try inside { () throws(HostFailure) in try lower.datagrams(on: address, handler: handler) }
    }

    func connect(to address: SocketAddress, options: ConnectOptions, handler: any ConnectionHandler) -> any Connection {
        do throws(HostFailure) {
            return try inside { () throws(HostFailure) in lower.connect(to: address, options: options, handler: handler) }
        } catch {
            // The namespace is gone: an address that nobody has gives the failure in a later turn, as the interface wants it.
            log(.warn, "weft::local", "\(place.name): \(error)")
            return lower.connect(to: SocketAddress(.v4(0xf000_0001), 1), options: options, handler: handler)
        }
    }

    var resolverConfiguration: ResolverConfiguration { resolver }

    private func inside<R>(_ body: () throws(HostFailure) -> R) throws(HostFailure) -> R {
        do { return try place.inside(body) } catch let failure as HostFailure { throw failure } catch { throw HostFailure("enter namespace", .other, subject: "\(error)") }
    }
}
