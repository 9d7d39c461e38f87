// A DNS server on a node of the simulated network, answering over datagrams and streams from a table that the scenario fills.
// Names in the table live while the scenario says so; its troubles are faults like any other.

import Base
import DNS
import Platform

public final class NameServer {
    public enum Trouble: String, Hashable, Sendable, CaseIterable {
        /// No answer at all.
        case silent
        /// SERVFAIL.
        case failing
        /// Datagram answers without records, TC set: the client must come by stream.
        case truncating
        /// NXDOMAIN for everything.
        case forgetful
        /// Answers half a second late.
        case slow
    }

    public let node: Node
    public let process: SimProcess
    /// What resolv.conf would say.
    public var address: SocketAddress { SocketAddress(node.ip, 53) }
    /// Life of positive answers. Unit: seconds. Source: CoreDNS's kubernetes plugin answers with 5.
    public var ttlSeconds: UInt32 = 5
    /// Below these names it is the authority: what is not in the table does not exist. Names elsewhere do not exist either.
    public let zone: DNSName

    fileprivate unowned let world: World
    /// Look-up only: records by name.
    private var table: [DNSName: [DNSRecord]] = [:]
    private var trouble: Trouble?
    private var troubleUntil = Instant.zero

    init(node: Node, process: SimProcess, zone: DNSName, world: World) {
        self.node = node
        self.process = process
        self.zone = zone
        self.world = world
    }

    // MARK: The table

    /// The name's addresses, in this order; replaces those it had. Empty: the name stays and has none.
    public func set(_ name: DNSName, addresses: [IPAddress]) {
        let others = table[name, default: []].filter { $0.type != .a && $0.type != .aaaa }
        table[name] = others + addresses.map { .address(name, $0, ttlSeconds: ttlSeconds) }
    }

    /// The name's services, in this order; replaces those it had.
    public func set(_ name: DNSName, services: [DNSService]) {
        let others = table[name, default: []].filter { $0.type != .srv }
        table[name] = others + services.map { .service(name, port: $0.port, target: $0.target, priority: $0.priority, weight: $0.weight, ttlSeconds: ttlSeconds) }
    }

    public func set(_ name: DNSName, alias: DNSName) { table[name] = [.alias(name, alias, ttlSeconds: ttlSeconds)] }
    public func remove(_ name: DNSName) { table[name] = nil }

    public func suffer(_ trouble: Trouble, until time: Instant) {
        self.trouble = trouble
        troubleUntil = time
    }

    // MARK: Answering

    private var currentTrouble: Trouble? { troubleUntil > world.now ? trouble : nil }

    /// The answer's bytes and how late it is; nil: none.
    fileprivate func answer(_ bytes: RawSpan, overStream: Bool) -> (bytes: [UInt8], delay: Interval)? {
        let query: DNSMessage
        do { query = try DNSMessage(bytes) } catch { return nil }
        guard !query.isResponse, let question = query.questions.first, query.questions.count == 1 else { return nil }
        var message: DNSMessage
        switch currentTrouble {
        case .silent: return nil
        case .failing: message = query.response(.serverFailure)
        case .forgetful: message = query.response(.nameError, authorities: [authority])
        case .truncating where !overStream:
            message = query.response()
            message.isTruncated = true
        default: message = respond(to: query, question)
        }
        let delay = currentTrouble == .slow ? Interval.milliseconds(500) : .zero
        return (overStream ? message.encodedForStream() : message.encoded(bytesMax: query.datagramBytesMax), delay)
    }

    private func respond(to query: DNSMessage, _ question: DNSMessage.Question) -> DNSMessage {
        guard query.opcode == 0 else { return query.response(.notImplemented) }
        var name = question.name
        var answers: [DNSRecord] = []
        // As many links as a resolver follows.
        for _ in 0..<DNSLimits().aliasesMax {
            guard let records = table[name] else {
                return query.response(answers.isEmpty ? .nameError : .noError, answers: answers, authorities: [authority])
            }
            let wanted = records.filter { $0.type == question.type }
            if !wanted.isEmpty { return query.response(answers: answers + wanted) }
            guard let alias = records.first(where: { $0.type == .cname }), case .name(let target) = alias.data else {
                return query.response(answers: answers, authorities: [authority])
            }
            answers.append(alias)
            name = target
        }
        return query.response(.serverFailure)
    }

    private var authority: DNSRecord {
        DNSRecord(
            name: zone, type: .soa, ttlSeconds: ttlSeconds,
            data: .authority(primary: zone, mailbox: zone, serial: 1, refreshSeconds: 7200, retrySeconds: 1800, expireSeconds: 86_400, minimumSeconds: ttlSeconds))
    }
}

/// The server's sockets, remade with each life of its process.
private final class NameService: DatagramHandler, AcceptHandler {
    let server: NameServer
    let host: any Host

    init(_ server: NameServer, _ host: any Host) {
        self.server = server
        self.host = host
    }

    func open(_ process: SimProcess) {
        do {
            let socket = try host.network.datagrams(on: server.address, handler: self)
            let listener = try host.network.listen(on: server.address, options: ListenOptions(), handler: self)
            host.onShutdown {
                socket.close()
                listener.close()
            }
        } catch {
            host.unexpected("the name server cannot bind: \(error)")
        }
    }

    func received(_ bytes: RawSpan, from address: SocketAddress, on socket: any DatagramSocket) {
        guard let (answer, delay) = server.answer(bytes, overStream: false) else { return }
        if delay == .zero { return socket.send(answer.span.bytes, to: address) }
        host.after(delay) { socket.send(answer.span.bytes, to: address) }
    }

    func accepted(_ connection: any Connection) { connection.handler = NameStream(server) }
}

/// One stream of questions with length prefixes (RFC 7766).
private final class NameStream: ConnectionHandler {
    private let server: NameServer
    private var input = ByteBuffer()

    init(_ server: NameServer) { self.server = server }

    func received(_ bytes: RawSpan, on connection: any Connection) {
        input.append(bytes)
        while input.count >= 2 {
            let length = input.withUnsafeBytes { Int($0[0]) << 8 | Int($0[1]) }
            guard input.count >= 2 + length else { return }
            let answer = input.withBytes { server.answer($0.extracting(2..<2 + length), overStream: true) }
            input.consume(2 + length)
            if let answer { connection.send(answer.bytes.span.bytes) }
        }
    }

    func finished(_ connection: any Connection) { connection.close() }
    func closed(_ connection: any Connection, _ failure: HostFailure?) {}
}

extension World {
    /// A name server on a node of its own; nodes made before and after ask it. `zone` is what its negative answers name.
    @discardableResult
    public func addNameServer(_ name: String, ip: IPAddress, zone: DNSName) -> NameServer {
        let node = addNode(name, ip: ip)
        let process = addProcess("dns", on: node, userID: 0, settings: Settings()) { [unowned self] process in
            guard let server = nameServer else { return }
            let service = NameService(server, process)
            process.keep(service)
            service.open(process)
        }
        let server = NameServer(node: node, process: process, zone: zone, world: self)
        nameServer = server
        for node in nodes { node.resolver.servers = [server.address] }
        process.start()
        return server
    }
}
