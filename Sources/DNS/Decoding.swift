// Bytes to messages. Compression pointers must lead strictly backwards, so no name can loop; every length is checked.

import Base

extension DNSMessage {
    /// Reads one message. The error names the rule; its code is 1 (FORMERR).
    public init(_ bytes: RawSpan, limits: DNSLimits = DNSLimits()) throws(PeerError) {
        try self.init(bytes.array(), limits: limits)
    }

    public init(_ bytes: [UInt8], limits: DNSLimits = DNSLimits()) throws(PeerError) {
        var reader = Reader(bytes: bytes)
        self.init(id: try reader.word())
        let flags = try reader.word()
        isResponse = flags & 0x8000 != 0
        opcode = UInt8(flags >> 11 & 15)
        isAuthoritative = flags & 0x0400 != 0
        isTruncated = flags & 0x0200 != 0
        recursionDesired = flags & 0x0100 != 0
        recursionAvailable = flags & 0x0080 != 0
        responseCodeValue = UInt8(flags & 15)
        let counts = [Int(try reader.word()), Int(try reader.word()), Int(try reader.word()), Int(try reader.word())]
        guard counts.reduce(0, +) <= limits.recordsMax else { throw malformed("a DNS message claims \(counts.reduce(0, +)) records") }
        for _ in 0..<counts[0] {
            let name = try reader.name()
            questions.append(Question(name, DNSRecord.Kind(rawValue: try reader.word()), class: try reader.word()))
        }
        for _ in 0..<counts[1] { answers.append(try reader.record()) }
        for _ in 0..<counts[2] { authorities.append(try reader.record()) }
        for _ in 0..<counts[3] { additionals.append(try reader.record()) }
        // Bytes after the last record are ignored, as resolvers do.
    }
}

private func malformed(_ rule: String) -> PeerError { PeerError(.connection, code: 1, rule: rule) }

private struct Reader {
    let bytes: [UInt8]
    var offset = 0

    init(bytes: [UInt8]) { self.bytes = bytes }

    mutating func byte() throws(PeerError) -> UInt8 {
        guard offset < bytes.count else { throw malformed("a DNS message ends too early") }
        offset += 1
        return bytes[offset - 1]
    }

    mutating func word() throws(PeerError) -> UInt16 { UInt16(try byte()) << 8 | UInt16(try byte()) }
    mutating func long() throws(PeerError) -> UInt32 { UInt32(try word()) << 16 | UInt32(try word()) }

    mutating func name() throws(PeerError) -> DNSName {
        var labels: [[UInt8]] = []
        var wireBytes = 1
        var position = offset
        /// Pointers must lead before here: before the part of the name that holds them.
        var floor = offset
        var jumped = false
        while true {
            guard position < bytes.count else { throw malformed("a DNS name ends too early") }
            let length = Int(bytes[position])
            switch length >> 6 {
            case 0:
                position += 1
                if length == 0 {
                    if !jumped { offset = position }
                    guard let name = DNSName(labels: labels) else { throw malformed("a DNS name is longer than 255 bytes") }
                    return name
                }
                guard position + length <= bytes.count else { throw malformed("a DNS label ends too early") }
                wireBytes += 1 + length
                guard wireBytes <= DNSLimits.nameBytesMax else { throw malformed("a DNS name is longer than 255 bytes") }
                labels.append(Array(bytes[position..<position + length]))
                position += length
            case 3:
                guard position + 1 < bytes.count else { throw malformed("a DNS name pointer ends too early") }
                let target = (length & 0x3f) << 8 | Int(bytes[position + 1])
                guard target < floor else { throw malformed("a DNS name pointer does not lead backwards") }
                if !jumped { offset = position + 2 }
                jumped = true
                position = target
                floor = target
            default: throw malformed("a DNS label has the reserved type \(length >> 6)")
            }
        }
    }

    mutating func record() throws(PeerError) -> DNSRecord {
        let name = try name()
        let type = DNSRecord.Kind(rawValue: try word())
        let `class` = try word()
        let ttl = try long()
        let length = Int(try word())
        let end = offset + length
        guard end <= bytes.count else { throw malformed("a DNS record ends too early") }
        let data: DNSRecord.Payload
        switch type {
        case .a:
            guard length == 4 else { throw malformed("an A record has \(length) bytes") }
            data = .address(.v4(try long()))
        case .aaaa:
            guard length == 16 else { throw malformed("an AAAA record has \(length) bytes") }
            data = .address(.v6(UInt64(try long()) << 32 | UInt64(try long()), UInt64(try long()) << 32 | UInt64(try long())))
        case .cname, .ns, .ptr: data = .name(try self.name())
        case .srv: data = .service(priority: try word(), weight: try word(), port: try word(), target: try self.name())
        case .soa:
            data = .authority(
                primary: try self.name(), mailbox: try self.name(), serial: try long(), refreshSeconds: try long(), retrySeconds: try long(), expireSeconds: try long(), minimumSeconds: try long())
        default:
            data = .other(Array(bytes[offset..<end]))
            offset = end
        }
        guard offset == end else { throw malformed("a DNS record's data does not have the length it claims") }
        // A TTL with the top bit set means zero (RFC 2181 section 8); an EDNS record keeps flags there.
        return DNSRecord(name: name, type: type, class: `class`, ttlSeconds: type != .opt && ttl >> 31 == 1 ? 0 : ttl, data: data)
    }
}
