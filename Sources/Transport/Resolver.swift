// Names to addresses through the host's name servers: the resolver engine bound to datagrams, with a connection when an answer
// does not fit, and answers kept for as long as they say. Equal questions asked at once are asked once. /etc/hosts is
// deliberately absent: in a cluster it names the pod itself only.

import Base
import DNS
import Platform

public final class Resolver {
    private let host: any Host
    private let configuration: DNSConfiguration
    private let limits: TransportLimits
    private var random: Random
    /// Look-up only, like `running`.
    private var answers: [DNSResolution.Question: (result: DNSResult, until: Instant)] = [:]
    private var running: [DNSResolution.Question: ResolverQuery] = [:]
    /// The questions under way in the order asked, because what `close` gives up is seen by name servers.
    private var asked: [DNSResolution.Question] = []

    /// Servers and search list are the host's. `ttlMin` and `ttlMax` bound how long an answer counts.
    public init(host: any Host, ttlMin: Interval? = nil, ttlMax: Interval? = nil, limits: TransportLimits = TransportLimits(), dns: DNSLimits = DNSLimits()) {
        let found = host.network.resolverConfiguration
        self.host = host
        self.limits = limits
        configuration = DNSConfiguration(servers: found.servers, searchDomains: found.searchDomains, ndots: found.ndots, ttlMin: ttlMin, ttlMax: ttlMax, limits: dns)
        random = host.random("resolver")
    }

    /// The addresses of a name; a literal address is itself. Answers once, in a later turn.
    public func addresses(of name: String, _ answer: @escaping (DNSResult) -> Void) { ask(.addresses(name), answer) }

    /// The SRV records of a name. Answers once, in a later turn.
    public func services(of name: String, _ answer: @escaping (DNSResult) -> Void) { ask(.services(name), answer) }

    /// Forgets what is known of a name, because it turned out to be of no use.
    public func forget(_ name: String) {
        answers[.addresses(name)] = nil
        answers[.services(name)] = nil
    }

    /// Drops what is under way; nobody is told.
    public func close() {
        for question in asked { running[question]?.abandon() }
        running = [:]
        asked = []
        answers = [:]
    }

    private func ask(_ question: DNSResolution.Question, _ answer: @escaping (DNSResult) -> Void) {
        if let known = answers[question], known.until > host.now {
            let rest = known.result.living(known.until - host.now)
            host.after(.zero) { answer(rest) }
            return
        }
        if let query = running[question] {
            query.listeners.append(answer)
            return
        }
        let query = ResolverQuery(question, configuration: configuration, random: Random(seed: random.next()), host: host) { [self] result in
            running[question] = nil
            asked.removeAll { $0 == question }
            keep(result, for: question)
        }
        query.listeners.append(answer)
        running[question] = query
        asked.append(question)
        query.start()
    }

    private func keep(_ result: DNSResult, for question: DNSResolution.Question) {
        guard let ttl = result.ttl, ttl > .zero else { return }
        if answers.count >= limits.resolverAnswersMax, answers[question] == nil {
            let now = host.now
            answers = answers.filter { $0.value.until > now }
            if answers.count >= limits.resolverAnswersMax { return }
        }
        answers[question] = (result, host.now + ttl)
    }
}

extension DNSResult {
    /// How long it counts; nil: not at all.
    public var ttl: Interval? {
        switch self {
        case .addresses(_, let ttl), .services(_, let ttl): ttl
        case .notFound(let ttl): ttl
        case .failed: nil
        }
    }

    func living(_ rest: Interval) -> DNSResult {
        switch self {
        case .addresses(let addresses, _): .addresses(addresses, ttl: rest)
        case .services(let services, _): .services(services, ttl: rest)
        case .notFound: .notFound(ttl: rest)
        case .failed: self
        }
    }
}

/// One question under way. It has a socket of its own, so that an attacker must guess its port besides the query's id.
private final class ResolverQuery: DatagramHandler, ConnectionHandler {
    var listeners: [(DNSResult) -> Void] = []
    private let host: any Host
    private var resolution: DNSResolution
    private var socket: (any DatagramSocket)?
    private var stream: (any Connection)?
    private var streamRequest: [UInt8] = []
    private var timer: TimerID?
    private var done: ((DNSResult) -> Void)?

    init(_ question: DNSResolution.Question, configuration: DNSConfiguration, random: Random, host: any Host, done: @escaping (DNSResult) -> Void) {
        self.host = host
        self.done = done
        resolution = DNSResolution(question, configuration: configuration, random: random, now: host.now)
    }

    /// The first event may be the result already, and answers come in a later turn.
    func start() { timer = host.after(.zero) { [self] in turn() } }

    func received(_ bytes: RawSpan, from address: SocketAddress, on socket: any DatagramSocket) {
        guard socket === self.socket else { return }
        resolution.receive(bytes, from: address, now: host.now)
        pump()
    }

    func connected(_ connection: any Connection) {
        guard connection === stream else { return }
        let request = streamRequest
        connection.send(request.span.bytes)
    }

    func received(_ bytes: RawSpan, on connection: any Connection) {
        guard connection === stream else { return }
        resolution.receive(stream: bytes, now: host.now)
        pump()
    }

    func finished(_ connection: any Connection) { fail(connection, "the server closed the connection before its answer") }
    func closed(_ connection: any Connection, _ failure: HostFailure?) { fail(connection, failure?.description ?? "the connection was closed") }

    private func fail(_ connection: any Connection, _ reason: String) {
        guard connection === stream else { return }
        closeStream()
        resolution.streamFailed(reason, now: host.now)
        pump()
    }

    private func turn() {
        timer = nil
        resolution.expire(now: host.now)
        pump()
    }

    private func pump() {
        while let event = resolution.nextEvent() {
            closeStream()
            switch event {
            case .sendDatagram(let bytes, let server): send(bytes, to: server)
            case .sendStream(let bytes, let server):
                streamRequest = bytes
                stream = host.network.connect(to: server, options: ConnectOptions(timeout: .seconds(5)), handler: self)
            case .finished(let result): return finish(result)
            }
        }
        if let timer { host.cancel(timer) }
        timer = resolution.deadline.map { deadline in host.after(deadline > host.now ? deadline - host.now : .zero) { [self] in turn() } }
    }

    /// Without a socket that can reach the server the attempt runs into its timeout, as with a server that is silent.
    private func send(_ bytes: [UInt8], to server: SocketAddress) {
        if socket?.address.ip.isV4 != server.ip.isV4 {
            socket?.close()
            socket = try? host.network.datagrams(on: SocketAddress(server.ip.isV4 ? .any : .v6(0, 0), 0), handler: self)
        }
        socket?.send(bytes.span.bytes, to: server)
    }

    private func closeStream() {
        stream?.close()
        stream = nil
    }

    func abandon() {
        if let timer { host.cancel(timer) }
        timer = nil
        socket?.close()
        socket = nil
        closeStream()
        done = nil
        listeners = []
    }

    private func finish(_ result: DNSResult) {
        let (keep, told) = (done, listeners)
        abandon()
        keep?(result)
        for listener in told { listener(result) }
    }
}
