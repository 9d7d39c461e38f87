// Messages to bytes, with names compressed where RFC 1035 allows it; an SRV target is not (RFC 2782).

import Base

extension DNSMessage {
    /// The message's bytes. With `bytesMax`, records that do not fit are left out from the end and TC is set, as a datagram needs.
    public func encoded(bytesMax: Int = DNSLimits.messageBytesMax) -> [UInt8] {
        var writer = Writer()
        var counts = [questions.count, 0, 0, 0]
        var truncated = isTruncated
        writer.bytes = Array(repeating: 0, count: 12)
        for question in questions {
            writer.name(question.name)
            writer.word(question.type.rawValue)
            writer.word(question.class)
        }
        // The EDNS record is short and must survive truncation (RFC 6891 section 7).
        let options = additionals.filter { $0.type == .opt }
        let reserved = options.reduce(0) { $0 + 11 + ($1.data.otherBytes?.count ?? 0) }
        sections: for (section, records) in [answers, authorities, additionals.filter { $0.type != .opt }].enumerated() {
            for record in records {
                let mark = writer.bytes.count
                writer.record(record)
                if writer.bytes.count + reserved > bytesMax {
                    writer.bytes.removeLast(writer.bytes.count - mark)
                    truncated = truncated || section < 2
                    // Only the EDNS record follows; its name is the root, so no pointer leads into what was cut away.
                    break sections
                }
                counts[section + 1] += 1
            }
        }
        for option in options { writer.record(option) }
        counts[3] += options.count

        let flags: UInt16 =
            (isResponse ? 0x8000 : 0) | UInt16(opcode & 15) << 11 | (isAuthoritative ? 0x0400 : 0) | (truncated ? 0x0200 : 0)
            | (recursionDesired ? 0x0100 : 0) | (recursionAvailable ? 0x0080 : 0) | UInt16(responseCodeValue & 15)
        for (i, word) in ([id, flags] + counts.map { UInt16($0) }).enumerated() {
            writer.bytes[2 * i] = UInt8(word >> 8)
            writer.bytes[2 * i + 1] = UInt8(word & 255)
        }
        return writer.bytes
    }

    /// The bytes for a stream: a two-byte length and the message (RFC 1035 section 4.2.2).
    public func encodedForStream() -> [UInt8] {
        let bytes = encoded()
        return [UInt8(bytes.count >> 8), UInt8(bytes.count & 255)] + bytes
    }
}

extension DNSRecord.Payload {
    fileprivate var otherBytes: [UInt8]? { if case .other(let bytes) = self { bytes } else { nil } }
}

private struct Writer {
    var bytes: [UInt8] = []
    /// Where a name's suffix was written before; look-up only.
    private var offsets: [[[UInt8]]: Int] = [:]

    mutating func word(_ value: UInt16) { bytes += [UInt8(value >> 8), UInt8(value & 255)] }

    mutating func long(_ value: UInt32) {
        word(UInt16(value >> 16))
        word(UInt16(value & 0xffff))
    }

    mutating func name(_ name: DNSName, compressed: Bool = true) {
        var labels = name.labels
        while !labels.isEmpty {
            if compressed, let offset = offsets[labels] {
                word(0xc000 | UInt16(offset))
                return
            }
            if bytes.count < 0x4000 { offsets[labels] = bytes.count }
            bytes.append(UInt8(labels[0].count))
            bytes += labels[0]
            labels.removeFirst()
        }
        bytes.append(0)
    }

    mutating func record(_ record: DNSRecord) {
        name(record.name)
        word(record.type.rawValue)
        word(record.class)
        long(record.ttlSeconds)
        let lengthOffset = bytes.count
        word(0)
        switch record.data {
        case .address(.v4(let address)): long(address)
        case .address(.v6(let high, let low)):
            for half in [high, low] {
                long(UInt32(half >> 32))
                long(UInt32(truncatingIfNeeded: half))
            }
        case .name(let target): name(target)
        case .service(let priority, let weight, let port, let target):
            word(priority)
            word(weight)
            word(port)
            name(target, compressed: false)
        case .authority(let primary, let mailbox, let serial, let refresh, let retry, let expire, let minimum):
            name(primary)
            name(mailbox)
            for value in [serial, refresh, retry, expire, minimum] { long(value) }
        case .other(let data): bytes += data
        }
        let length = bytes.count - lengthOffset - 2
        bytes[lengthOffset] = UInt8(length >> 8 & 255)
        bytes[lengthOffset + 1] = UInt8(length & 255)
    }
}
