// Listeners, datagram sockets and the resolver's configuration. These are level-triggered: their loops are bounded per turn
// and the kernel reminds us of the rest.

import Base
import CLinux
import Glibc
import Platform

extension LinuxHost: Network {
    public func listen(on address: SocketAddress, options: ListenOptions, handler: any AcceptHandler) throws(HostFailure) -> any Listener {
        try LinuxListener(on: address, options: options, handler: handler, host: self)
    }

    public func connect(to address: SocketAddress, options: ConnectOptions, handler: any ConnectionHandler) -> any Connection {
        LinuxConnection(to: address, options: options, handler: handler, host: self)
    }

    public func datagrams(on address: SocketAddress, handler: any DatagramHandler) throws(HostFailure) -> any DatagramSocket {
        try LinuxDatagramSocket(on: address, handler: handler, host: self)
    }

    /// Read afresh at each call. Without a readable file: the local name server, as resolv.conf(5) says.
    public var resolverConfiguration: ResolverConfiguration {
        do throws(HostFailure) { return ResolverConfiguration(resolvConf: String(decoding: try files.read(resolverPath), as: UTF8.self)) } catch {
            log(.warn, "weft_linux", "\(error); asking 127.0.0.1 for names")
            return ResolverConfiguration(resolvConf: "")
        }
    }
}

public final class LinuxListener: Listener, LoopSource {
    public let address: SocketAddress
    private let host: LinuxHost
    private let options: ListenOptions
    private var handler: (any AcceptHandler)?
    private var fd: Int32
    private var registration: UInt32 = 0
    private var retry: TimerID?

    init(on address: SocketAddress, options: ListenOptions, handler: any AcceptHandler, host: LinuxHost) throws(HostFailure) {
        self.host = host
        self.options = options
        self.handler = handler
        var kernel = address.kernel
        var stream = clinux_stream_options(keepAlive: options.keepAlive, userTimeout: options.userTimeout)
        fd = try checked("listen", clinux_listen(&kernel, options.backlog ?? host.limits.backlogDefault, &stream), subject: address.description)
        var local = clinux_address()
        let found = clinux_local_address(fd, &local)
        invariant(found == 0, "a bound socket has a local address")
        self.address = SocketAddress(address.ip, local.port)
        do throws(HostFailure) { registration = try host.register(self, fd, CLINUX_IN) } catch {
            _ = clinux_close(fd)
            throw error
        }
    }

    public func close() {
        if fd < 0 { return }
        if retry == nil { host.unregister(registration) }
        abandon()
    }

    func abandon() {
        if fd >= 0 { _ = clinux_close(fd) }
        fd = -1
        handler = nil
        if let retry { host.cancel(retry) }
        retry = nil
    }

    func ready(_ mask: UInt32) {
        if retry != nil { return }
        for _ in 0..<host.limits.acceptsPerTurn {
            guard let handler else { return }
            var peer = clinux_address()
            let accepted = clinux_accept(fd, &peer)
            switch accepted {
            case 0...:
                take(accepted, SocketAddress(kernel: peer), handler)
            case -EMFILE, -ENFILE, -ENOMEM, -ENOBUFS:
                if !refuseOne(-accepted) { return }
            case -EAGAIN:
                return
            default:
                // The waiting connection died (ECONNABORTED, EPROTO and network errors, see accept(2)); the next may live.
                continue
            }
        }
    }

    private func take(_ accepted: Int32, _ peer: SocketAddress, _ handler: any AcceptHandler) {
        do throws(HostFailure) {
            let connection = try LinuxConnection(accepted: accepted, from: peer, wantsOriginalDestination: options.wantsOriginalDestination, host: host)
            handler.accepted(connection)
            if !connection.isSettled {
                host.unexpected("a connection accepted on \(address) got no handler")
                connection.reset()
            }
        } catch {
            _ = clinux_close(accepted)
            host.log(.warn, "weft_linux", "connection from \(peer) dropped: \(error)")
        }
    }

    /// Out of descriptors: the reserve makes room to take the connection and end it, so that its client hears at once.
    /// False: nothing was refused, ask again later.
    private func refuseOne(_ error: Int32) -> Bool {
        if host.refusalSaid.map({ host.now - $0 >= .seconds(1) }) ?? true {
            host.refusalSaid = host.now
            host.log(.warn, "weft_linux", "\(HostFailure("accept", errno: error, subject: address.description)): refusing connections")
        }
        if host.reserve >= 0, error == EMFILE || error == ENFILE {
            _ = clinux_close(host.reserve)
            var peer = clinux_address()
            let accepted = clinux_accept(fd, &peer)
            if accepted >= 0 {
                _ = clinux_close(accepted)
                host.acceptsRefused += 1
            }
            host.reserve = clinux_open_reserve()
            if accepted >= 0 || accepted == -EAGAIN { return accepted >= 0 }
        }
        // Level-triggered readiness would spin until a descriptor is free: leave epoll for a while.
        host.unregister(registration)
        host.ignore(fd)
        retry = host.after(host.limits.acceptRetry) { [self] in resume() }
        return false
    }

    private func resume() {
        retry = nil
        if host.reserve < 0 { host.reserve = clinux_open_reserve() }
        do throws(HostFailure) { registration = try host.register(self, fd, CLINUX_IN) } catch {
            retry = host.after(host.limits.acceptRetry) { [self] in resume() }
        }
    }
}

public final class LinuxDatagramSocket: DatagramSocket, LoopSource {
    public let address: SocketAddress
    private let host: LinuxHost
    private var handler: (any DatagramHandler)?
    private var fd: Int32
    private var registration: UInt32 = 0

    init(on address: SocketAddress, handler: any DatagramHandler, host: LinuxHost) throws(HostFailure) {
        self.host = host
        self.handler = handler
        var kernel = address.kernel
        fd = try checked("bind", clinux_datagram_socket(&kernel), subject: address.description)
        var local = clinux_address()
        let found = clinux_local_address(fd, &local)
        invariant(found == 0, "a bound socket has a local address")
        self.address = SocketAddress(address.ip, local.port)
        do throws(HostFailure) { registration = try host.register(self, fd, CLINUX_IN) } catch {
            _ = clinux_close(fd)
            throw error
        }
    }

    /// Datagrams may be lost; one that cannot be sent is.
    public func send(_ bytes: RawSpan, to target: SocketAddress) {
        guard fd >= 0 else { return }
        var target = target
        // An IPv6 socket reaches IPv4 through mapped addresses.
        if !address.ip.isV4, case .v4(let word) = target.ip { target.ip = .v6(0, 0xffff_0000_0000 | UInt64(word)) }
        var kernel = target.kernel
        let n = bytes.withUnsafeBytes { clinux_send_to(fd, $0.baseAddress, $0.count, &kernel) }
        if n < 0, n != -Int(EAGAIN) { host.log(.debug, "weft_linux", "\(HostFailure("send", errno: Int32(-n), subject: target.description))") }
    }

    public func close() {
        if fd < 0 { return }
        host.unregister(registration)
        abandon()
    }

    func abandon() {
        if fd >= 0 { _ = clinux_close(fd) }
        fd = -1
        handler = nil
    }

    func ready(_ mask: UInt32) {
        for _ in 0..<host.limits.datagramsPerTurn {
            guard let handler else { return }
            var peer = clinux_address()
            let n = clinux_receive_from(fd, host.scratch, host.limits.datagramBytesMax, &peer)
            // Errors here are the network's answers to earlier sends; each read takes one away.
            if n == -Int(EAGAIN) { return }
            if n < 0 { continue }
            handler.received(UnsafeRawBufferPointer(start: host.scratch, count: n).bytes, from: SocketAddress(kernel: peer), on: self)
        }
    }
}

extension ResolverConfiguration {
    /// The text of a resolv.conf. Source: resolv.conf(5). Unknown lines and addresses with zones are passed over.
    public init(resolvConf text: String) {
        var servers: [SocketAddress] = []
        var domains: [String] = []
        var ndots = 1
        for line in text.split(whereSeparator: \.isNewline) {
            guard let first = line.first, first != "#", first != ";" else { continue }
            let words = line.split { $0 == " " || $0 == "\t" }
            guard let keyword = words.first else { continue }
            switch keyword {
            case "nameserver":
                if words.count > 1, servers.count < LinuxLimits.nameServersMax, let ip = IPAddress(words[1]) { servers.append(SocketAddress(ip, 53)) }
            case "search": domains = words.dropFirst().map(String.init)
            case "domain": domains = words.dropFirst().prefix(1).map(String.init)
            case "options":
                for option in words.dropFirst() where option.hasPrefix("ndots:") {
                    if let n = Int(option.dropFirst(6)), n >= 0 { ndots = min(n, LinuxLimits.ndotsMax) }
                }
            default: break
            }
        }
        self.init(servers: servers.isEmpty ? [SocketAddress(.loopback, 53)] : servers, searchDomains: domains, ndots: ndots)
    }
}
