// One head (or one block of trailers) out of bytes that arrive in any pieces, in one pass over each line (RFC 9112 sections 2 to 5).
// It finds the fields, takes out those that belong to the connection, and notes what frames the body. What the facts mean for an
// exchange is the connection's business. Nothing is unescaped, folded or repaired.

import Base

struct HTTP1HeadReader {
    enum Kind { case request, response, trailers }

    struct Flags: OptionSet {
        let rawValue: UInt16
        static let close = Flags(rawValue: 1)
        static let keepAlive = Flags(rawValue: 2)
        /// `Connection: upgrade`.
        static let upgradeOption = Flags(rawValue: 4)
        /// An Upgrade field stands among the fields.
        static let upgradeField = Flags(rawValue: 8)
        /// It names h2c, which is not honoured (RFC 9113 section 3.1) and must not reach the next server either.
        static let upgradeToHTTP2 = Flags(rawValue: 16)
        static let chunked = Flags(rawValue: 32)
        static let otherCoding = Flags(rawValue: 64)
        static let expectsContinue = Flags(rawValue: 128)
        /// The TE field named trailers beside something else.
        static let acceptsTrailers = Flags(rawValue: 256)
        static let host = Flags(rawValue: 512)
        static let version10 = Flags(rawValue: 1024)
    }

    /// Where something stands: relative to the head's first byte.
    struct Place {
        var start = 0
        var count = 0

        @inline(__always)
        func bytes(_ base: UnsafeRawPointer) -> UnsafeRawBufferPointer { UnsafeRawBufferPointer(start: base + start, count: count) }
    }

    private(set) var flags: Flags = []
    private(set) var method = HTTPMethod.get
    private(set) var target = Place()
    private(set) var host = Place()
    private(set) var status: UInt16 = 0
    private(set) var reason = Place()
    /// nil: no Content-Length.
    private(set) var contentLength: Int64?
    /// One past the empty line, once the head is complete.
    private(set) var byteCount = 0

    /// The fields to be reported are the first `fieldsKept`; what stands behind them is left from the last head.
    private var fields: [Headers.Field] = []
    private var fieldsKept = 0
    /// The memory of the last reported head. If its owner has let go of it by the next one, that head costs no allocation; if not,
    /// emptying it makes a fresh one.
    private var lastFields: [Headers.Field] = []
    private var lastStorage: [UInt8] = []
    /// Names that Connection lists beside those with a meaning here.
    private var options: [Place] = []
    private var fieldsStart = 0
    private var fieldCount = 0
    private var hasStartLine = false
    /// Where the line to read next begins.
    private var line = 0
    /// From `line` up to here there is no line feed; 0 if nobody has looked.
    private var searched = 0

    /// No byte of a head has been looked at.
    @inline(__always)
    var isUntouched: Bool { !hasStartLine && searched == 0 }

    /// Ready for the next head.
    mutating func reset() {
        flags = []
        contentLength = nil
        byteCount = 0
        if !options.isEmpty { options = [] }
        fieldsKept = 0
        reason.count = 0
        fieldCount = 0
        hasStartLine = false
        line = 0
        searched = 0
    }

    /// Goes on with the head whose bytes from its first one on are `raw`. True: it is complete. `isEnd`: no more will come.
    mutating func read(_ raw: UnsafeRawBufferPointer, _ kind: Kind, _ limits: HTTPLimits, isEnd: Bool) throws(HTTP1Fault) -> Bool {
        guard let base = raw.baseAddress else { return false }
        // A head longer than the bound fails at the bound, however its bytes were cut.
        let end = min(raw.count, limits.headBytesMax)
        if searched > 0, !isEnd, end < limits.headBytesMax, indexOfLineFeed(base, searched, end) == nil {
            searched = end
            return false
        }
        if fields.isEmpty { prepareFields(end, limits) }
        if try readLines(base, end, kind, limits) { return true }
        if end == limits.headBytesMax {
            if kind == .request, !hasStartLine { throw HTTP1Fault(414, "the request line is longer than the bound (RFC 9112 section 3)") }
            throw HTTP1Fault(431, kind == .trailers ? "the trailers are longer than the bound (RFC 9110 section 5.4)" : "the head is longer than the bound (RFC 9110 section 5.4)")
        }
        searched = end
        return false
    }

    private mutating func prepareFields(_ end: Int, _ limits: HTTPLimits) {
        swap(&fields, &lastFields)
        if fields.isEmpty { fields.reserveCapacity(min(limits.fieldsMax, 8 + end / 64, 24)) }
    }

    private mutating func readLines(_ base: UnsafeRawPointer, _ end: Int, _ kind: Kind, _ limits: HTTPLimits) throws(HTTP1Fault) -> Bool {
        if !hasStartLine {
            switch kind {
            case .request: guard try readRequestLine(base, end) else { return false }
            case .response: guard try readStatusLine(base, end) else { return false }
            case .trailers: break
            }
            hasStartLine = true
            fieldsStart = line
        }
        // In registers while the loop runs: where the line begins, and where it ends.
        var at = line
        defer { line = at }
        while try readField(base, &at, end, kind, limits) {}
        return byteCount > 0
    }

    // MARK: First lines

    private mutating func readRequestLine(_ base: UnsafeRawPointer, _ end: Int) throws(HTTP1Fault) -> Bool {
        let methodEnd = endOfToken(base, 0, end)
        guard methodEnd < end else { return false }
        guard methodEnd > 0, base[methodEnd] == 32 else { throw HTTP1Fault(400, "a request begins with a method token and one space (RFC 9112 section 3)") }
        let start = methodEnd + 1
        let targetEnd = endOfTarget(base, start, end)
        guard targetEnd < end else { return false }
        guard targetEnd > start, base[targetEnd] == 32 else {
            if targetEnd > start, base[targetEnd] == carriageReturn {
                throw HTTP1Fault(400, "a request line names its version (RFC 9112 section 3)")
            }
            throw HTTP1Fault(400, "a request target is visible ASCII without fragment, with one space on either side (RFC 9112 section 3.2)")
        }
        guard targetEnd + 11 <= end else {
            if indexOfLineFeed(base, targetEnd, end) != nil { throw HTTP1Fault(400, "a request line ends with the version and CR LF (RFC 9112 section 3)") }
            return false
        }
        if !readVersion(base, targetEnd + 1) { throw faultOfVersion(base, targetEnd + 1, lineBytes: 9, HTTP1Fault(400, "a request line ends with the version and CR LF (RFC 9112 section 3)")) }
        guard base[targetEnd + 9] == carriageReturn, base[targetEnd + 10] == lineFeed else {
            throw HTTP1Fault(400, "a request line ends with the version and CR LF (RFC 9112 section 3)")
        }
        method = HTTPMethod(wire: UnsafeRawBufferPointer(start: base, count: methodEnd))
        target = Place(start: start, count: targetEnd - start)
        line = targetEnd + 11
        searched = 0
        return true
    }

    private mutating func readStatusLine(_ base: UnsafeRawPointer, _ end: Int) throws(HTTP1Fault) -> Bool {
        let shortLine = HTTP1Fault(400, "a response begins with a status line (RFC 9112 section 4)")
        guard end >= 13 else {
            // What cannot become a status line is told apart as soon as its line ends.
            if indexOfLineFeed(base, 0, end) != nil { throw shortLine }
            return false
        }
        if !readVersion(base, 0) { throw faultOfVersion(base, 0, lineBytes: 12, shortLine) }
        guard base[8] == 32, isDigit(base[9]), isDigit(base[10]), isDigit(base[11]), base[9] != 48 else {
            if indexOfLineFeed(base, 0, 12) != nil { throw shortLine }
            throw HTTP1Fault(400, "a status is three digits from 100 on, after one space (RFC 9112 section 4)")
        }
        status = UInt16(base[9] - 48) * 100 + UInt16(base[10] - 48) * 10 + UInt16(base[11] - 48)
        var at = 12
        // The space before an empty reason is often left out, and nothing depends on it.
        if base[12] == 32 {
            at = 13
            while true {
                at = indexOfControl(base, at, end)
                guard at < end, base[at] == 9 else { break }
                at += 1
            }
            guard at < end else { return false }
            reason = Place(start: 13, count: at - 13)
        }
        guard base[at] == carriageReturn else { throw HTTP1Fault(400, "a status line is text that ends with CR LF (RFC 9112 section 4)") }
        guard at + 1 < end else { return false }
        guard base[at + 1] == lineFeed else { throw HTTP1Fault(400, "CR stands only before LF (RFC 9112 section 2.2)") }
        line = at + 2
        searched = 0
        return true
    }

    @inline(__always)
    private mutating func readVersion(_ base: UnsafeRawPointer, _ at: Int) -> Bool {
        let word = UInt64(bigEndian: base.loadUnaligned(fromByteOffset: at, as: UInt64.self))
        if word == 0x4854_5450_2f31_2e31 { return true }
        if word == 0x4854_5450_2f31_2e30 {
            flags.insert(.version10)
            return true
        }
        return false
    }

    /// `shortLine`: the fault if the line ends within `lineBytes` already.
    private func faultOfVersion(_ base: UnsafeRawPointer, _ at: Int, lineBytes: Int, _ shortLine: HTTP1Fault) -> HTTP1Fault {
        if indexOfLineFeed(base, at, at + lineBytes) != nil { return shortLine }
        // HTTP/ in capitals, a digit, a dot, a digit (RFC 9112 section 2.3).
        let word = UInt64(bigEndian: base.loadUnaligned(fromByteOffset: at, as: UInt64.self))
        if word >> 24 == 0x48_5454_502f, word >> 8 & 255 == 0x2e, isDigit(base[at + 5]), isDigit(base[at + 7]) {
            return HTTP1Fault(505, "the version is HTTP/1.0 or HTTP/1.1 (RFC 9110 section 2.5)")
        }
        return HTTP1Fault(400, "a version is HTTP/ digit . digit (RFC 9112 section 2.3)")
    }

    // MARK: Fields

    /// Reads one field line. False: the head is complete (`byteCount`) or the line is not.
    @inline(__always)
    private mutating func readField(_ base: UnsafeRawPointer, _ line: inout Int, _ end: Int, _ kind: Kind, _ limits: HTTPLimits) throws(HTTP1Fault) -> Bool {
        let start = line
        guard start < end else { return false }
        if base[start] == carriageReturn {
            guard start &+ 1 < end else { return false }
            guard base[start &+ 1] == lineFeed else { throw HTTP1Fault(400, "CR stands only before LF (RFC 9112 section 2.2)") }
            byteCount = start &+ 2
            return false
        }
        let nameEnd = endOfToken(base, start, end)
        guard nameEnd < end else { return false }
        guard nameEnd > start, base[nameEnd] == UInt8(ascii: ":") else { throw faultOfName(base[nameEnd], isFirst: nameEnd == start) }
        var at = nameEnd &+ 1
        while at < end, isBlank(base[at]) { at &+= 1 }
        var valueStart = at
        while true {
            at = indexOfControl(base, at, end)
            guard at < end else { return false }
            if base[at] != 9 { break }
            at &+= 1
        }
        guard base[at] == carriageReturn else {
            throw HTTP1Fault(400, base[at] == lineFeed ? "a line ends with CR LF, not with LF alone (RFC 9112 section 2.2)" : "a field value holds no control bytes (RFC 9110 section 5.5)")
        }
        guard at &+ 1 < end else { return false }
        guard base[at &+ 1] == lineFeed else { throw HTTP1Fault(400, "CR stands only before LF (RFC 9112 section 2.2)") }
        var valueEnd = at
        while valueEnd > valueStart, isBlank(base[valueEnd &- 1]) { valueEnd &-= 1 }
        line = at &+ 2
        fieldCount &+= 1
        if fieldCount > limits.fieldsMax { throw HTTP1Fault(431, "more fields than the bound (RFC 9110 section 5.4)") }
        let known = KnownName(UnsafeRawBufferPointer(start: base + start, count: nameEnd &- start))
        var isLine = true
        if known != .other {
            if known == .contentLength {
                // Some servers take a leading zero for octal: the number goes on without it.
                while valueEnd &- valueStart > 1, base[valueStart] == 48 {
                    valueStart &+= 1
                    isLine = false
                }
            }
            let value = Place(start: valueStart, count: valueEnd &- valueStart)
            if kind == .trailers {
                if known == .contentLength || known == .transferEncoding || known == .host {
                    throw HTTP1Fault(400, "trailers neither frame nor route a message (RFC 9110 section 6.5.1)")
                }
                if known.isForbiddenInTrailers { return true }
            } else if known.concernsConnection, try !note(known, value, base, limits) {
                return true
            }
        }
        let offset = fieldsStart
        let field = Headers.Field(
            nameStart: Int32(truncatingIfNeeded: start &- offset), nameCount: Int32(truncatingIfNeeded: nameEnd &- start),
            valueStart: Int32(truncatingIfNeeded: valueStart &- offset), valueCount: Int32(truncatingIfNeeded: valueEnd &- valueStart),
            known: known, isSensitive: false, isLine: isLine, lineEnd: isLine ? Int32(truncatingIfNeeded: line &- offset) : 0)
        if fieldsKept < fields.count { fields[fieldsKept] = field } else { fields.append(field) }
        fieldsKept &+= 1
        return true
    }

    @inline(never)
    private func faultOfName(_ byte: UInt8, isFirst: Bool) -> HTTP1Fault {
        if isBlank(byte) {
            return isFirst
                ? HTTP1Fault(400, "a field is not folded over lines (RFC 9112 section 5.2)")
                : HTTP1Fault(400, "no white space between a field name and its colon (RFC 9112 section 5.1)")
        }
        if byte == lineFeed { return HTTP1Fault(400, "a line ends with CR LF, not with LF alone (RFC 9112 section 2.2)") }
        return HTTP1Fault(400, "a field begins with a token and a colon (RFC 9112 section 5)")
    }

    /// Takes note of a field that means something to the connection. False: it is not part of the reported head.
    private mutating func note(_ known: KnownName, _ place: Place, _ base: UnsafeRawPointer, _ limits: HTTPLimits) throws(HTTP1Fault) -> Bool {
        let value = place.bytes(base)
        switch known {
        case .host:
            if flags.contains(.host) { throw HTTP1Fault(400, "one Host field (RFC 9112 section 3.2)") }
            flags.insert(.host)
            host = place
            return false
        case .contentLength:
            if contentLength != nil { throw HTTP1Fault(400, "one Content-Length (RFC 9112 section 6.3)") }
            guard let length = decimalLength(value) else { throw HTTP1Fault(400, "a Content-Length is one decimal number (RFC 9110 section 8.6)") }
            contentLength = length
            return true
        case .transferEncoding:
            try noteCodings(value)
            return false
        case .connection:
            if equalsIgnoringCase(value, "keep-alive") { flags.insert(.keepAlive) } else { noteOptions(value, place.start, limits) }
            if options.count > limits.connectionOptionsMax { throw HTTP1Fault(431, "more connection options than the bound (RFC 9110 section 7.6.1)") }
            return false
        case .keepAlive, .proxyConnection, .http2Settings:
            return false
        case .te:
            if equalsIgnoringCase(value, "trailers") { return true }
            var accepts = false
            forEachElement(value) { _, element in if equalsIgnoringCase(element, "trailers") { accepts = true } }
            if accepts { flags.insert(.acceptsTrailers) }
            return false
        case .upgrade:
            flags.insert(.upgradeField)
            var isHTTP2 = false
            forEachElement(value) { _, element in if equalsIgnoringCase(element, "h2c") || equalsIgnoringCase(element, "h2") { isHTTP2 = true } }
            if isHTTP2 { flags.insert(.upgradeToHTTP2) }
            return true
        case .expect:
            if equalsIgnoringCase(value, "100-continue") { flags.insert(.expectsContinue) }
            return true
        default:
            return true
        }
    }

    private mutating func noteCodings(_ value: UnsafeRawBufferPointer) throws(HTTP1Fault) {
        if flags.contains(.chunked) { throw HTTP1Fault(400, "chunked is the last transfer coding and applied once (RFC 9112 section 6.1)") }
        if equalsIgnoringCase(value, "chunked") {
            flags.insert(.chunked)
            return
        }
        var isLast = false
        var isTwice = false
        forEachElement(value) { _, element in
            let isChunked = equalsIgnoringCase(element, "chunked")
            if isLast { isTwice = true }
            isLast = isChunked
        }
        if isTwice { throw HTTP1Fault(400, "chunked is the last transfer coding and applied once (RFC 9112 section 6.1)") }
        if !isLast { throw HTTP1Fault(400, "the last transfer coding is chunked (RFC 9112 section 6.3)") }
        flags.insert(.chunked)
        flags.insert(.otherCoding)
    }

    private mutating func noteOptions(_ value: UnsafeRawBufferPointer, _ start: Int, _ limits: HTTPLimits) {
        var found: Flags = []
        forEachElement(value) { offset, element in
            if equalsIgnoringCase(element, "close") {
                found.insert(.close)
            } else if equalsIgnoringCase(element, "keep-alive") {
                found.insert(.keepAlive)
            } else if equalsIgnoringCase(element, "upgrade") {
                found.insert(.upgradeOption)
            } else if !equalsIgnoringCase(element, "te"), options.count <= limits.connectionOptionsMax {
                options.append(Place(start: start + offset, count: element.count))
            }
        }
        flags.formUnion(found)
    }

    // MARK: The complete head

    /// What must hold of every head, of a request or of a response (RFC 9112 section 6).
    @inline(__always)
    func judgeFraming() throws(HTTP1Fault) {
        guard flags.contains(.chunked) else { return }
        if contentLength != nil { throw HTTP1Fault(400, "Content-Length or Transfer-Encoding, not both (RFC 9112 section 6.1)") }
        if flags.contains(.version10) { throw HTTP1Fault(400, "HTTP/1.0 has no Transfer-Encoding (RFC 9112 section 6.1)") }
        if flags.contains(.otherCoding) { throw HTTP1Fault(501, "no transfer coding but chunked is understood (RFC 9112 section 6.1)") }
    }

    /// The Upgrade field stands in the reported head.
    @inline(__always)
    var asksUpgrade: Bool {
        flags.isSuperset(of: [.upgradeOption, .upgradeField]) && !flags.contains(.upgradeToHTTP2) && !flags.contains(.version10)
    }

    /// The reported fields: the bytes copied once. `dropsLength`: the message cannot have a body, whatever its Content-Length says.
    mutating func takeHeaders(_ base: UnsafeRawPointer, dropsLength: Bool) -> Headers {
        if fields.count > fieldsKept { fields.removeLast(fields.count - fieldsKept) }
        if dropsLength, contentLength != nil { fields.removeAll { $0.known == .contentLength } }
        if flags.contains(.upgradeField), !asksUpgrade { fields.removeAll { $0.known == .upgrade } }
        if !options.isEmpty { removeOptions(base) }
        var headers = Headers()
        if !fields.isEmpty {
            let lines = UnsafeRawBufferPointer(start: base + fieldsStart, count: line - fieldsStart)
            swap(&headers.fields, &fields)
            swap(&headers.storage, &lastStorage)
            if headers.storage.count == lines.count {
                headers.storage.withUnsafeMutableBytes { $0.copyMemory(from: lines) }
            } else {
                headers.storage.removeAll(keepingCapacity: true)
                // Room for what a proxy adds, so that adding it copies nothing.
                headers.storage.reserveCapacity(lines.count + 64)
                headers.storage.append(contentsOf: lines)
            }
            if lines.count <= 2048 {
                lastFields = headers.fields
                lastStorage = headers.storage
            }
        }
        if flags.contains(.acceptsTrailers), !headers.contains("te") { headers.add("te", "trailers") }
        return headers
    }

    /// RFC 9110 section 7.6.1: what Connection names goes no further. Content-Length is not for it to name, since it frames the body.
    private mutating func removeOptions(_ base: UnsafeRawPointer) {
        fields.removeAll { field in
            if field.known == .contentLength { return false }
            for option in options where option.count == Int(field.nameCount) {
                var isSame = true
                let name = base + fieldsStart + Int(field.nameStart)
                for i in 0..<option.count where lowercased(name[i]) != lowercased(base[option.start + i]) {
                    isSame = false
                    break
                }
                if isSame { return true }
            }
            return false
        }
    }
}

extension UnsafeRawPointer {
    @inline(__always)
    subscript(_ offset: Int) -> UInt8 { load(fromByteOffset: offset, as: UInt8.self) }
}

extension KnownName {
    /// The reader of a head takes note of it.
    @inline(__always)
    var concernsConnection: Bool { rawValue <= KnownName.upgrade.rawValue && self != .contentType && self != .trailer }

    /// Fields of the connection, which mean nothing as trailers and go no further (RFC 9110 sections 6.5.1 and 7.6.1). Those that frame
    /// or route are refused where they are read.
    var isForbiddenInTrailers: Bool {
        switch self {
        case .connection, .contentLength, .expect, .host, .http2Settings, .keepAlive, .proxyConnection, .te, .transferEncoding, .upgrade: true
        default: false
        }
    }
}

extension HTTPMethod {
    /// A token as it came.
    @inline(__always)
    init(wire bytes: UnsafeRawBufferPointer) {
        let base = bytes.baseAddress.unsafelyUnwrapped
        switch bytes.count {
        case 3 where equal(base, "GET", 3): self = .get
        case 3 where equal(base, "PUT", 3): self = .put
        case 4 where equal(base, "POST", 4): self = .post
        case 4 where equal(base, "HEAD", 4): self = .head
        case 5 where equal(base, "PATCH", 5): self = .patch
        case 5 where equal(base, "TRACE", 5): self = .trace
        case 6 where equal(base, "DELETE", 6): self = .delete
        case 7 where equal(base, "OPTIONS", 7): self = .options
        case 7 where equal(base, "CONNECT", 7): self = .connect
        default: self = .other(String(decoding: bytes, as: UTF8.self))
        }
    }
}

@inline(__always)
private func equal(_ base: UnsafeRawPointer, _ text: StaticString, _ count: Int) -> Bool {
    for i in 0..<count where base[i] != text.utf8Start[i] { return false }
    return true
}
