// A connector to a name: it asks for the name's addresses at each connect and tries them in turn until one stands. This is how
// Linkerd's proxy reaches the control plane: the SRV records of the headless service, whose targets spell the pods' addresses,
// else its A and AAAA records with the port that was configured. Waiting between connects is the channel's business.
// Source: linkerd2-proxy linkerd/dns and linkerd/app/core/src/control.rs.

import Base
import DNS
import Platform

public final class NameConnector: Connector {
    private let host: any Host
    private let resolver: Resolver
    public let name: String
    public let port: UInt16
    private let asksForServices: Bool
    private let options: ConnectOptions
    /// Told of each resolution: of which records, and how many addresses came of it; nil: none. For metrics.
    public var onResolved: ((_ isService: Bool, _ addressCount: Int?) -> Void)?
    /// Where the next connect begins among the addresses; a random start spreads many clients over the servers.
    private var turn: Int

    /// `name` may be a literal address. `asksForServices`: SRV records come before addresses.
    public init(host: any Host, resolver: Resolver, name: String, port: UInt16, asksForServices: Bool = true, options: ConnectOptions = ConnectOptions(timeout: .seconds(1))) {
        self.host = host
        self.resolver = resolver
        self.name = name
        self.port = port
        self.asksForServices = asksForServices && !Self.isLocal(name)
        self.options = options
        var random = host.random("connect/\(name):\(port)")
        turn = random.below(1 << 16)
    }

    public func connect(_ handler: any ConnectionHandler) -> any Connection {
        let connection = NameConnection(host: host, target: target, port: port, options: options, handler: handler)
        resolve { [self] result in
            switch result {
            case .success(let addresses):
                let first = turn % addresses.count
                turn += 1
                connection.attempt(Array(addresses[first...] + addresses[..<first])) { [self] in resolver.forget(name) }
            case .failure(let failure): connection.fail(failure)
            }
        }
        return connection
    }

    public var target: String { IPAddress(name).map { SocketAddress($0, port).description } ?? "\(name):\(port)" }

    /// An address, or a name that is always this host (RFC 6761 section 6.3).
    public static func isLocal(_ name: String) -> Bool {
        if IPAddress(name) != nil { return true }
        return DNSName(name)?.labels.last == [UInt8]("localhost")
    }

    private func resolve(_ then: @escaping (Result<[SocketAddress], HostFailure>) -> Void) {
        guard asksForServices else { return resolveAddresses(then) }
        resolver.services(of: name) { [self] result in
            if case .services(let services, _) = result, let addresses = DNSService.dashedAddresses(services) {
                onResolved?(true, addresses.count)
                return then(.success(addresses))
            }
            onResolved?(true, nil)
            resolveAddresses(then)
        }
    }

    private func resolveAddresses(_ then: @escaping (Result<[SocketAddress], HostFailure>) -> Void) {
        resolver.addresses(of: name) { [self] result in
            if case .addresses(let addresses, _) = result { onResolved?(false, addresses.count) } else { onResolved?(false, nil) }
            switch result {
            case .addresses(let addresses, _): then(.success(addresses.map { SocketAddress($0, port) }))
            case .failed(let reason): then(.failure(HostFailure("resolve", .hostUnreachable, subject: reason)))
            case .notFound, .services: then(.failure(HostFailure("resolve", .notFound, subject: name)))
            }
        }
    }
}

/// A connection whose address is not known yet. Once it stands it only passes on.
private final class NameConnection: Connection, ConnectionHandler {
    var handler: (any ConnectionHandler)?
    private let host: any Host
    private let target: String
    private let port: UInt16
    private let options: ConnectOptions
    private var lower: (any Connection)?
    private var rest: [SocketAddress] = []
    private var exhausted: (() -> Void)?
    private var isConnected = false
    private var isOver = false
    private var isFinished = false
    /// What was sent before the connection stood. Its senders bound it, as they see it in `bytesQueued`.
    private var waiting = ByteBuffer()

    init(host: any Host, target: String, port: UInt16, options: ConnectOptions, handler: any ConnectionHandler) {
        self.host = host
        self.target = target
        self.port = port
        self.options = options
        self.handler = handler
    }

    // MARK: For the connector

    func attempt(_ addresses: [SocketAddress], exhausted: @escaping () -> Void) {
        rest = addresses.reversed()
        self.exhausted = exhausted
        tryNext(HostFailure("connect", .hostUnreachable, subject: target))
    }

    func fail(_ failure: HostFailure) {
        guard !isOver else { return }
        let last = handler
        release()
        last?.closed(self, failure)
    }

    private func tryNext(_ failure: HostFailure) {
        guard !isOver else { return }
        guard let address = rest.popLast() else {
            exhausted?()
            return fail(failure)
        }
        lower = host.network.connect(to: address, options: options, handler: self)
        lower?.isReadingPaused = isReadingPaused
    }

    // MARK: Connection

    var localAddress: SocketAddress { lower?.localAddress ?? SocketAddress(.any, 0) }
    var remoteAddress: SocketAddress { lower?.remoteAddress ?? SocketAddress(.any, port) }
    var originalDestination: SocketAddress? { nil }
    var bytesQueued: Int { isConnected ? lower?.bytesQueued ?? 0 : waiting.count }
    var isReadingPaused = false {
        didSet { lower?.isReadingPaused = isReadingPaused }
    }

    func send(_ bytes: RawSpan) {
        guard !isOver, !isFinished else { return }
        if isConnected { lower?.send(bytes) } else { waiting.append(bytes) }
    }

    func finish() {
        guard !isOver else { return }
        isFinished = true
        if isConnected { lower?.finish() }
    }

    func close() {
        let below = lower
        release()
        below?.close()
    }

    func reset() {
        let below = lower
        release()
        below?.reset()
    }

    // MARK: ConnectionHandler

    func connected(_ connection: any Connection) {
        guard connection === lower, !isOver else { return }
        isConnected = true
        rest = []
        exhausted = nil
        if !waiting.isEmpty { waiting.withBytes { connection.send($0) } }
        waiting.release()
        if isFinished { connection.finish() }
        handler?.connected(self)
    }

    func received(_ bytes: RawSpan, on connection: any Connection) { handler?.received(bytes, on: self) }
    func finished(_ connection: any Connection) { handler?.finished(self) }
    func drained(_ connection: any Connection) { handler?.drained(self) }

    func closed(_ connection: any Connection, _ failure: HostFailure?) {
        guard connection === lower, !isOver else { return }
        if isConnected {
            let last = handler
            release()
            last?.closed(self, failure)
        } else {
            lower = nil
            tryNext(failure ?? HostFailure("connect", .connectionReset, subject: target))
        }
    }

    private func release() {
        isOver = true
        handler = nil
        lower?.handler = nil
        lower = nil
        exhausted = nil
        rest = []
        waiting.release()
    }
}
