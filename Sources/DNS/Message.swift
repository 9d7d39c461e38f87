// A DNS message as values. Record types that nobody here reads are kept as bytes.
// Source: RFC 1035 section 4, RFC 2782 (SRV), RFC 3596 (AAAA), RFC 6891 (EDNS).

import Base

public struct DNSMessage: Hashable, Sendable {
    public enum ResponseCode: UInt8, Hashable, Sendable, CaseIterable {
        case noError = 0, formatError = 1, serverFailure = 2, nameError = 3, notImplemented = 4, refused = 5
    }

    public struct Question: Hashable, Sendable {
        public var name: DNSName
        public var type: DNSRecord.Kind
        /// 1 is IN.
        public var `class`: UInt16

        public init(_ name: DNSName, _ type: DNSRecord.Kind, class: UInt16 = 1) {
            self.name = name
            self.type = type
            self.class = `class`
        }
    }

    public var id: UInt16
    public var isResponse = false
    /// 0 is a standard query.
    public var opcode: UInt8 = 0
    public var isAuthoritative = false
    public var isTruncated = false
    public var recursionDesired = false
    public var recursionAvailable = false
    /// The four bits of the header; values above 5 are kept as they came.
    public var responseCodeValue: UInt8 = 0
    public var questions: [Question] = []
    public var answers: [DNSRecord] = []
    public var authorities: [DNSRecord] = []
    public var additionals: [DNSRecord] = []

    public init(id: UInt16) { self.id = id }

    /// nil: a code that none of our code reacts to.
    public var responseCode: ResponseCode? { ResponseCode(rawValue: responseCodeValue) }

    /// A recursive query with an EDNS record that says how long a datagram may be.
    public static func query(id: UInt16, _ question: Question, datagramBytesMax: UInt16) -> DNSMessage {
        var message = DNSMessage(id: id)
        message.recursionDesired = true
        message.questions = [question]
        message.additionals = [DNSRecord(name: .root, type: .opt, class: datagramBytesMax, ttlSeconds: 0, data: .other([]))]
        return message
    }

    /// The beginning of an answer to this query: same id and question.
    public func response(_ code: ResponseCode = .noError, answers: [DNSRecord] = [], authorities: [DNSRecord] = []) -> DNSMessage {
        var message = DNSMessage(id: id)
        message.isResponse = true
        message.isAuthoritative = true
        message.recursionDesired = recursionDesired
        message.recursionAvailable = true
        message.responseCodeValue = code.rawValue
        message.questions = questions
        message.answers = answers
        message.authorities = authorities
        return message
    }

    /// How long a datagram the sender takes: its EDNS record's word, never less than 512. Unit: bytes.
    public var datagramBytesMax: Int {
        additionals.first { $0.type == .opt }.map { max(DNSLimits.datagramBytesClassic, Int($0.class)) } ?? DNSLimits.datagramBytesClassic
    }
}

public struct DNSRecord: Hashable, Sendable {
    /// The type's number. Source: IANA DNS parameters.
    public struct Kind: RawRepresentable, Hashable, Sendable {
        public var rawValue: UInt16
        public init(rawValue: UInt16) { self.rawValue = rawValue }
        public static let a = Kind(rawValue: 1), ns = Kind(rawValue: 2), cname = Kind(rawValue: 5), soa = Kind(rawValue: 6)
        public static let ptr = Kind(rawValue: 12), txt = Kind(rawValue: 16), aaaa = Kind(rawValue: 28), srv = Kind(rawValue: 33), opt = Kind(rawValue: 41)
    }

    public enum Payload: Hashable, Sendable {
        /// A or AAAA.
        case address(IPAddress)
        /// CNAME, NS or PTR.
        case name(DNSName)
        case service(priority: UInt16, weight: UInt16, port: UInt16, target: DNSName)
        /// `minimumSeconds` bounds the life of a negative answer (RFC 2308).
        case authority(primary: DNSName, mailbox: DNSName, serial: UInt32, refreshSeconds: UInt32, retrySeconds: UInt32, expireSeconds: UInt32, minimumSeconds: UInt32)
        case other([UInt8])
    }

    public var name: DNSName
    public var type: Kind
    /// 1 is IN; in an EDNS record the datagram size.
    public var `class`: UInt16
    public var ttlSeconds: UInt32
    public var data: Payload

    public init(name: DNSName, type: Kind, class: UInt16 = 1, ttlSeconds: UInt32, data: Payload) {
        self.name = name
        self.type = type
        self.class = `class`
        self.ttlSeconds = ttlSeconds
        self.data = data
    }

    public static func address(_ name: DNSName, _ ip: IPAddress, ttlSeconds: UInt32) -> DNSRecord {
        DNSRecord(name: name, type: ip.isV4 ? .a : .aaaa, ttlSeconds: ttlSeconds, data: .address(ip))
    }

    public static func alias(_ name: DNSName, _ target: DNSName, ttlSeconds: UInt32) -> DNSRecord {
        DNSRecord(name: name, type: .cname, ttlSeconds: ttlSeconds, data: .name(target))
    }

    public static func service(_ name: DNSName, port: UInt16, target: DNSName, priority: UInt16 = 0, weight: UInt16 = 100, ttlSeconds: UInt32) -> DNSRecord {
        DNSRecord(name: name, type: .srv, ttlSeconds: ttlSeconds, data: .service(priority: priority, weight: weight, port: port, target: target))
    }
}
