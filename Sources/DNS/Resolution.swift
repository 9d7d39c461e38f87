// One question to the name servers, from text to result: search list, servers in turn, timeouts, aliases, truncation. It does
// no I/O: the owner sends what `nextEvent` says and brings what comes back. A cache is deliberately absent: Linkerd's proxy
// disables its own, and asks again when the result's time is over. The verbs are the engine's, but bytes come with a sender.

import Base

public struct DNSResolution: ~Copyable {
    public enum Question: Hashable, Sendable {
        case addresses(String)
        case services(String)
    }

    public enum Event: Equatable, Sendable {
        case sendDatagram([UInt8], to: SocketAddress)
        /// Open a connection, send this (length prefix included), and bring what comes by `receive(stream:)`.
        /// Ends any earlier one, and ends itself with the next event.
        case sendStream([UInt8], to: SocketAddress)
        /// The last event.
        case finished(DNSResult)
    }

    /// When to call `expire`, nil once finished.
    public private(set) var deadline: Instant?
    public private(set) var isFinished = false

    private let configuration: DNSConfiguration
    private var random: Random
    private let candidates: [DNSName]
    private let types: [DNSRecord.Kind]
    private var candidateIndex = 0
    private var typeIndex = 0
    private var serverIndex = 0
    private var round = 0
    private var aliasCount = 0
    /// What is asked now; follows aliases.
    private var name: DNSName
    private var query: DNSMessage?
    private var isStreaming = false
    private var stream = ByteBuffer()
    private var event: Event?
    /// The shortest life among the aliases followed so far. Unit: seconds.
    private var aliasTTLSeconds = UInt32.max
    private var negativeTTL: Interval?
    private var lastFailure = ""

    /// Starts at once: the first event is there. `random` is for query ids.
    public init(_ question: Question, configuration: DNSConfiguration, random: Random, now: Instant) {
        self.configuration = configuration
        self.random = random
        let text: String
        switch question {
        case .addresses(let name):
            text = name
            types = configuration.addressTypes
        case .services(let name):
            text = name
            types = [.srv]
        }
        candidates = configuration.candidates(for: text)
        name = candidates.first ?? .root
        if case .addresses = question, let known = Self.known(text) {
            finish(.addresses([known], ttl: .days(1)))
        } else if candidates.isEmpty {
            finish(.failed("\(text) is not a domain name"))
        } else if configuration.servers.isEmpty {
            finish(.failed("no name server is configured"))
        } else if types.isEmpty {
            finish(.failed("no address type is configured"))
        } else {
            ask(now)
        }
    }

    /// A literal address is itself, and `localhost` (RFC 6761 section 6.3) needs no server.
    static func known(_ text: String) -> IPAddress? {
        if let ip = IPAddress(text) { return ip }
        guard let name = DNSName(text), name.labels.last == [UInt8]("localhost") else { return nil }
        return .loopback
    }

    public mutating func nextEvent() -> Event? {
        defer { event = nil }
        return event
    }

    /// A datagram came. What does not answer our question to this server is ignored.
    public mutating func receive(_ bytes: RawSpan, from server: SocketAddress, now: Instant) {
        guard !isFinished, !isStreaming, server == configuration.servers[serverIndex], let query else { return }
        let bytes = bytes.array()
        // Bytes without our id are somebody else's, whatever else is wrong with them.
        guard bytes.count >= 2, UInt16(bytes[0]) << 8 | UInt16(bytes[1]) == query.id else { return }
        judge(bytes, now)
    }

    /// Bytes came on the stream.
    public mutating func receive(stream bytes: RawSpan, now: Instant) {
        guard !isFinished, isStreaming else { return }
        stream.append(bytes)
        guard stream.count >= 2 else { return }
        let length = stream.withUnsafeBytes { Int($0[0]) << 8 | Int($0[1]) }
        guard stream.count >= 2 + length else { return }
        judge(stream.withUnsafeBytes { [UInt8]($0[2..<2 + length]) }, now)
    }

    /// The stream could not be opened, or ended before the answer.
    public mutating func streamFailed(_ reason: String, now: Instant) {
        guard !isFinished, isStreaming else { return }
        failAttempt(reason, now)
    }

    public mutating func expire(now: Instant) {
        guard let deadline, now >= deadline else { return }
        failAttempt("no answer within \(configuration.limits.attemptTimeout)", now)
    }

    // MARK: Asking

    private mutating func ask(_ now: Instant, overStream: Bool = false) {
        let id = UInt16(truncatingIfNeeded: random.next())
        let query = DNSMessage.query(id: id, .init(name, types[typeIndex]), datagramBytesMax: configuration.limits.datagramBytesMax)
        self.query = query
        isStreaming = overStream
        stream.release()
        deadline = now + configuration.limits.attemptTimeout
        let server = configuration.servers[serverIndex]
        event = overStream ? .sendStream(query.encodedForStream(), to: server) : .sendDatagram(query.encoded(), to: server)
    }

    private mutating func failAttempt(_ reason: String, _ now: Instant) {
        lastFailure = "\(configuration.servers[serverIndex]): \(reason)"
        serverIndex += 1
        if serverIndex == configuration.servers.count {
            serverIndex = 0
            round += 1
        }
        if round < configuration.limits.attemptsMax {
            ask(now)
        } else {
            finish(.failed("\(name): \(lastFailure)"))
        }
    }

    private mutating func finish(_ result: DNSResult) {
        event = .finished(result)
        isFinished = true
        deadline = nil
        query = nil
        stream.release()
    }

    // MARK: Judging answers

    private mutating func judge(_ bytes: [UInt8], _ now: Instant) {
        guard let query else { return }
        let answer: DNSMessage
        do { answer = try DNSMessage(bytes, limits: configuration.limits) } catch { return failAttempt(error.rule, now) }
        // A wrong question under the right id is a forgery or a late answer: keep waiting for the right one.
        guard answer.isResponse, answer.id == query.id, answer.questions == query.questions || answer.questions.isEmpty && answer.responseCode != .noError else {
            if isStreaming { failAttempt("an answer to another question came on the stream", now) }
            return
        }
        if answer.isTruncated, !isStreaming { return ask(now, overStream: true) }
        switch answer.responseCode {
        case .noError: read(answer, now)
        case .nameError: absent(answer, wholeName: true, now)
        default: failAttempt("response code \(answer.responseCodeValue)", now)
        }
    }

    private mutating func read(_ answer: DNSMessage, _ now: Instant) {
        var followed = true
        while followed {
            followed = false
            if let result = result(in: answer) { return finish(result) }
            for record in answer.answers where record.type == .cname && record.name == name {
                guard case .name(let target) = record.data else { continue }
                aliasCount += 1
                guard aliasCount <= configuration.limits.aliasesMax else { return finish(.failed("\(candidates[candidateIndex]): more than \(configuration.limits.aliasesMax) aliases")) }
                aliasTTLSeconds = min(aliasTTLSeconds, record.ttlSeconds)
                name = target
                followed = true
                break
            }
        }
        // An alias whose target the server did not add: ask for the target, unless the answer says that there is nothing.
        if name != query?.questions[0].name, !answer.authorities.contains(where: { $0.type == .soa }) { return ask(now) }
        absent(answer, wholeName: false, now)
    }

    private func result(in answer: DNSMessage) -> DNSResult? {
        let records = answer.answers.filter { $0.name == name && $0.type == types[typeIndex] && $0.class == 1 }
        guard let shortest = records.map(\.ttlSeconds).min() else { return nil }
        let ttl = configuration.clamp(.seconds(Int64(min(shortest, aliasTTLSeconds))))
        if types[typeIndex] == .srv {
            var services: [DNSService] = []
            for record in records {
                // A root target says that the service is decidedly not here (RFC 2782).
                if case .service(let priority, let weight, let port, let target) = record.data, !target.labels.isEmpty {
                    services.append(DNSService(priority: priority, weight: weight, port: port, target: target))
                }
            }
            let ordered = services.enumerated().sorted { ($0.element.priority, $0.offset) < ($1.element.priority, $1.offset) }.map(\.element)
            return ordered.isEmpty ? .notFound(ttl: ttl) : .services(ordered, ttl: ttl)
        }
        return .addresses(records.compactMap { if case .address(let ip) = $0.data { ip } else { nil } }, ttl: ttl)
    }

    /// The name has no such records (`wholeName`: it has none at all): the next type, then the next candidate.
    private mutating func absent(_ answer: DNSMessage, wholeName: Bool, _ now: Instant) {
        for record in answer.authorities where record.type == .soa {
            if case .authority(_, _, _, _, _, _, let minimum) = record.data {
                // RFC 2308 section 5: the lesser of the record's TTL and its minimum.
                let ttl = configuration.clamp(.seconds(Int64(min(record.ttlSeconds, minimum))))
                negativeTTL = min(negativeTTL ?? ttl, ttl)
            }
        }
        aliasTTLSeconds = .max
        typeIndex += 1
        if wholeName || typeIndex == types.count {
            typeIndex = 0
            candidateIndex += 1
        }
        guard candidateIndex < candidates.count else { return finish(.notFound(ttl: negativeTTL)) }
        name = candidates[candidateIndex]
        round = 0
        ask(now)
    }
}
