// What one header block says: pseudo-headers read at once into their values, regular fields gathered in memory that the
// connection reuses, and the first rule of a well-formed message (RFC 9113 section 8) that the fields break. Nothing is thrown:
// a malformed message ends its stream, and the block must still be read to its end for the table's sake.

import Base

struct HeaderBlock: ~Copyable {
    /// As RFC 9113 section 6.5.2 counts: name, value and 32 for each field. Unit: bytes.
    private(set) var listBytes = 0
    let listBytesMax: Int
    /// The first rule broken; nil for a good list so far.
    private(set) var violation: StaticString?

    private(set) var method: HTTPMethod?
    private(set) var scheme: HTTPScheme?
    private(set) var authority: HTTPText?
    private(set) var path: HTTPText?
    private var isAsterisk = false
    private(set) var status: UInt16?
    private(set) var tunnelProtocol: String?
    private(set) var hasPseudo = false
    private(set) var contentLength: Int?

    /// The last authority and its entry in the table: most requests of a connection name the same one.
    private var lastAuthority: (sequence: UInt32, text: HTTPText) = (0, "")
    private var hasRegular = false
    private var hostIndex = -1
    private var cookieCount = 0
    /// For tests and tools: pseudo-headers are also kept among the fields, and no rule is applied.
    private let isRaw: Bool

    private var bytes: UnsafeMutableRawPointer
    private var bytesUsed = 0
    private var bytesCapacity = 512
    private var fields: UnsafeMutablePointer<Headers.Field>
    private var fieldCount = 0
    private var fieldCapacity = 16

    init(listBytesMax: Int, isRaw: Bool = false) {
        self.listBytesMax = listBytesMax
        self.isRaw = isRaw
        bytes = .allocate(byteCount: bytesCapacity, alignment: 8)
        fields = .allocate(capacity: fieldCapacity)
    }

    deinit {
        bytes.deallocate()
        fields.deallocate()
    }

    var isTooLarge: Bool { listBytes > listBytesMax }
    var hasFields: Bool { fieldCount > 0 }

    mutating func reset() {
        listBytes = 0
        violation = nil
        if hasPseudo {
            method = nil
            scheme = nil
            authority = nil
            path = nil
            status = nil
            tunnelProtocol = nil
            isAsterisk = false
            hasPseudo = false
        }
        contentLength = nil
        hasRegular = false
        hostIndex = -1
        cookieCount = 0
        bytesUsed = 0
        fieldCount = 0
        if bytesCapacity > 4096 {
            bytes.deallocate()
            bytesCapacity = 512
            bytes = .allocate(byteCount: bytesCapacity, alignment: 8)
        }
    }

    // MARK: Filling

    /// Where the next field's bytes go.
    @inline(__always)
    var free: UnsafeMutableRawPointer { bytes + bytesUsed }

    /// Makes room at `free` and keeps what already stands there.
    @inline(__always)
    mutating func reserve(_ count: Int) {
        if bytesUsed &+ count > bytesCapacity { grow(count) }
    }

    @inline(never)
    private mutating func grow(_ count: Int) {
        let old = bytesCapacity
        while bytesUsed + count > bytesCapacity { bytesCapacity *= 2 }
        let fresh = UnsafeMutableRawPointer.allocate(byteCount: bytesCapacity, alignment: 8)
        fresh.copyMemory(from: bytes, byteCount: old)
        bytes.deallocate()
        bytes = fresh
    }

    /// Adds a field whose bytes stand elsewhere.
    @inline(__always)
    mutating func add(copying field: HPACKField) {
        if field.traits.pseudo != .none, !isRaw {
            count(field)
            if !isTooLarge { addPseudo(field) }
            return
        }
        // What will not fit is counted without being copied: one byte of a block may name an entry of four kilobytes.
        if listBytes &+ field.nameCount &+ field.valueCount &+ 32 > listBytesMax { return count(field) }
        reserve(field.nameCount &+ field.valueCount)
        let target = free
        target.copyMemory(from: field.name, byteCount: field.nameCount)
        (target + field.nameCount).copyMemory(from: field.value, byteCount: field.valueCount)
        add(inPlace: field)
    }

    /// Adds a field whose bytes stand at `free`.
    @inline(__always)
    mutating func add(inPlace field: HPACKField) {
        count(field)
        if isTooLarge { return }
        if field.traits.pseudo != .none, !isRaw { return addPseudo(field) }
        if !isRaw { judge(field.traits, UnsafeRawPointer(free) + field.nameCount, field.valueCount) }
        if fieldCount == fieldCapacity { growFields() }
        let nameStart = Int32(truncatingIfNeeded: bytesUsed)
        let nameCount = Int32(truncatingIfNeeded: field.nameCount)
        (fields + fieldCount).initialize(
            to: Headers.Field(
                nameStart: nameStart, nameCount: nameCount, valueStart: nameStart &+ nameCount, valueCount: Int32(truncatingIfNeeded: field.valueCount),
                known: field.traits.known, isSensitive: field.traits.isSensitive))
        fieldCount &+= 1
        bytesUsed &+= field.nameCount &+ field.valueCount
    }

    @inline(__always)
    private mutating func count(_ field: HPACKField) { listBytes &+= field.nameCount &+ field.valueCount &+ 32 }

    @inline(never)
    private mutating func growFields() {
        let fresh = UnsafeMutablePointer<Headers.Field>.allocate(capacity: fieldCapacity * 2)
        fresh.moveInitialize(from: fields, count: fieldCount)
        fields.deallocate()
        fields = fresh
        fieldCapacity *= 2
    }

    @inline(never)
    private mutating func broken(_ rule: StaticString) {
        if violation == nil { violation = rule }
    }

    // MARK: Rules of single fields

    @inline(__always)
    private mutating func judge(_ traits: HPACKTraits, _ value: UnsafeRawPointer, _ count: Int) {
        hasRegular = true
        if !traits.isNameValid { broken("a field name holds upper case or bytes outside of a token (RFC 9113 section 8.2.1)") }
        if !traits.isValueValid { broken("a field value holds a control byte, or white space at an end (RFC 9113 section 8.2.1)") }
        if traits.known != .other { judgeKnown(traits.known, UnsafeRawBufferPointer(start: value, count: count)) }
    }

    private mutating func judgeKnown(_ name: KnownName, _ value: UnsafeRawBufferPointer) {
        switch name {
        case .connection, .keepAlive, .proxyConnection, .transferEncoding, .upgrade:
            broken("a connection-specific field (RFC 9113 section 8.2.2)")
        case .te:
            if !(value.count == 8 && value.elementsEqual("trailers".utf8)) { broken("te says something other than trailers (RFC 9113 section 8.2.2)") }
        case .contentLength:
            if contentLength != nil { broken("content-length twice (RFC 9110 section 8.6)") }
            contentLength = parseLength(value)
            if contentLength == nil { broken("content-length is not a number (RFC 9110 section 8.6)") }
        case .host:
            if hostIndex >= 0 { broken("host twice (RFC 9110 section 7.2)") }
            hostIndex = fieldCount
        case .cookie: cookieCount &+= 1
        default: break
        }
    }

    private func parseLength(_ text: UnsafeRawBufferPointer) -> Int? {
        guard text.count > 0, text.count <= 18 else { return nil }
        var value = 0
        for byte in text {
            guard byte >= 48, byte <= 57 else { return nil }
            value = value * 10 + Int(byte - 48)
        }
        return value
    }

    // MARK: Pseudo-headers

    private mutating func addPseudo(_ field: HPACKField) {
        hasPseudo = true
        if hasRegular { return broken("a pseudo-header after a regular field (RFC 9113 section 8.3)") }
        if !field.traits.isValueValid { return broken(field.traits.pseudo.rule) }
        let isRepeated: Bool
        switch field.traits.pseudo {
        case .method:
            isRepeated = method != nil
            method = HTTPMethod(bytes: field.valueBytes)
        case .scheme:
            isRepeated = scheme != nil
            scheme = field.valueCount == 4 ? .http : .https
        case .authority:
            isRepeated = authority != nil
            if field.sequence == 0 || field.sequence != lastAuthority.sequence { lastAuthority = (field.sequence, HTTPText(field.valueBytes)) }
            authority = lastAuthority.text
        case .path:
            isRepeated = path != nil
            path = HTTPText(field.valueBytes)
            isAsterisk = field.value.load(as: UInt8.self) == UInt8(ascii: "*")
        case .status:
            isRepeated = status != nil
            let digits = field.valueBytes
            status = UInt16(digits[0] &- 48) &* 100 &+ UInt16(digits[1] &- 48) &* 10 &+ UInt16(digits[2] &- 48)
        case .protocol:
            isRepeated = tunnelProtocol != nil
            tunnelProtocol = String(decoding: field.valueBytes, as: UTF8.self)
        case .none, .unknown: return
        }
        if isRepeated { broken("a pseudo-header twice (RFC 9113 section 8.3)") }
    }

    // MARK: Whole messages

    var capacityBytes: Int { bytesCapacity + fieldCapacity * MemoryLayout<Headers.Field>.stride }

    /// The request that the block is, or nil with `violation` set.
    mutating func takeRequest(allowsExtendedConnect: Bool) -> RequestHead? {
        if hostIndex >= 0 { takeHost() }
        if status != nil { broken(":status in a request (RFC 9113 section 8.3)") }
        guard let method else {
            broken(":method is missing (RFC 9113 section 8.3.1)")
            return nil
        }
        if method == .connect && tunnelProtocol == nil {
            if scheme != nil || path != nil { broken(":scheme or :path in CONNECT (RFC 9113 section 8.5)") }
            if authority == nil { broken(":authority is missing in CONNECT (RFC 9113 section 8.5)") }
        } else {
            if tunnelProtocol != nil {
                if method != .connect { broken(":protocol without CONNECT (RFC 8441 section 4)") }
                if !allowsExtendedConnect { broken(":protocol was not offered (RFC 8441 section 3)") }
                if authority == nil { broken(":authority is missing in an extended CONNECT (RFC 8441 section 4)") }
            }
            if scheme == nil { broken(":scheme is missing (RFC 9113 section 8.3.1)") }
            if path == nil { broken(":path is missing (RFC 9113 section 8.3.1)") }
            if isAsterisk, method != .options { broken(":path is * without OPTIONS (RFC 9113 section 8.3.1)") }
        }
        if violation != nil { return nil }
        var head = RequestHead(
            method: method, scheme: scheme ?? .http, authority: authority.take() ?? "", path: path.take() ?? "", headers: takeHeaders(), version: .http2)
        if tunnelProtocol != nil { head.tunnelProtocol = tunnelProtocol }
        return head
    }

    /// The response that the block is, or nil with `violation` set.
    mutating func takeResponse() -> ResponseHead? {
        if method != nil || scheme != nil || path != nil || authority != nil || tunnelProtocol != nil { broken("a request's pseudo-header in a response (RFC 9113 section 8.3)") }
        guard let status else {
            broken(":status is missing (RFC 9113 section 8.3.2)")
            return nil
        }
        if status == 101 { broken("101 on HTTP/2 (RFC 9113 section 8.6)") }
        if violation != nil { return nil }
        return ResponseHead(status: status, headers: takeHeaders(), version: .http2)
    }

    /// The trailers that the block is, or nil with `violation` set.
    mutating func takeTrailers() -> Headers? {
        if hasPseudo { broken("a pseudo-header in trailers (RFC 9113 section 8.1)") }
        if violation != nil { return nil }
        // What frames, routes or asks means nothing behind a body, and to the next hop it must not seem to (RFC 9110 section 6.5.1).
        var kept = 0
        for i in 0..<fieldCount where !fields[i].known.isForbiddenInTrailers {
            fields[kept] = fields[i]
            kept += 1
        }
        fieldCount = kept
        return takeHeaders()
    }

    /// `:authority` and Host must agree; one of them is enough, and Host does not stay among the fields.
    private mutating func takeHost() {
        // The index points past the end when a rule was broken in between.
        guard violation == nil, hostIndex < fieldCount else { return }
        let field = fields[hostIndex]
        let value = UnsafeRawBufferPointer(start: bytes + Int(field.valueStart), count: Int(field.valueCount))
        if let authority {
            let isSame = authority.withUnsafeBytes { $0.count == value.count && zip($0, value).allSatisfy { lowercased($0) == lowercased($1) } }
            if !isSame { broken("host and :authority differ (RFC 9113 section 8.3.1)") }
        } else {
            authority = HTTPText(value)
            if !PseudoName.authority.accepts(value) { broken("host holds bytes outside of a host and port (RFC 9110 section 7.2)") }
        }
        for i in hostIndex..<fieldCount - 1 { fields[i] = fields[i + 1] }
        fieldCount -= 1
    }

    /// The fields as a value of their own.
    mutating func takeHeaders() -> Headers {
        if cookieCount > 1 { joinCookies() }
        return Headers(
            storage: [UInt8](UnsafeRawBufferPointer(start: bytes, count: bytesUsed)),
            fields: [Headers.Field](UnsafeBufferPointer(start: fields, count: fieldCount)))
    }

    /// Cookie crumbs become one field before they go on to other protocols (RFC 9113 section 8.2.3).
    private mutating func joinCookies() {
        var total = 0
        for i in 0..<fieldCount where fields[i].known == .cookie { total += Int(fields[i].valueCount) + 2 }
        reserve(total)
        let start = bytesUsed
        var kept = 0
        var first = -1
        for i in 0..<fieldCount {
            let field = fields[i]
            if field.known == .cookie {
                if first >= 0 {
                    free.storeBytes(of: UInt8(ascii: ";"), as: UInt8.self)
                    free.storeBytes(of: UInt8(ascii: " "), toByteOffset: 1, as: UInt8.self)
                    bytesUsed += 2
                }
                free.copyMemory(from: bytes + Int(field.valueStart), byteCount: Int(field.valueCount))
                bytesUsed += Int(field.valueCount)
                if first >= 0 {
                    fields[first].isSensitive = fields[first].isSensitive || field.isSensitive
                    continue
                }
                first = kept
            }
            fields[kept] = field
            kept += 1
        }
        fieldCount = kept
        fields[first].valueStart = Int32(start)
        fields[first].valueCount = Int32(bytesUsed - start)
    }
}

extension PseudoName {
    /// The value fits the grammar of this pseudo-header. Control bytes have been looked for already.
    func accepts(_ value: UnsafeRawBufferPointer) -> Bool {
        let tables = HPACKTables.shared
        switch self {
        case .method, .protocol:
            for byte in value where tables.nameBytes[Int(lowercased(byte))] == 0 { return false }
            return value.count > 0
        case .scheme: return HTTPScheme(bytes: value) != nil
        case .authority:
            return value.isEmpty || isAuthority(value)
        case .path: return isPath(value)
        case .status: return value.count == 3 && value.allSatisfy { $0 >= 48 && $0 <= 57 } && value[0] != 48
        case .none: return true
        case .unknown: return false
        }
    }

    /// A slash or an asterisk first, no white space; bytes above ASCII only as UTF-8.
    private func isPath(_ text: UnsafeRawBufferPointer) -> Bool {
        guard text.count > 0, text[0] == UInt8(ascii: "/") || text.count == 1 && text[0] == UInt8(ascii: "*") else { return false }
        var high: UInt8 = 0
        for byte in text {
            if byte <= 0x20 { return false }
            high |= byte
        }
        return high < 0x80 || String(validating: text, as: UTF8.self) != nil
    }

    /// What a value that is not accepted breaks.
    var rule: StaticString {
        switch self {
        case .none: ""
        case .method: ":method is not a token (RFC 9110 section 9.1)"
        case .scheme: ":scheme is neither http nor https (RFC 9113 section 8.3.1)"
        case .authority: ":authority holds user information or bytes outside of a host and port (RFC 9113 section 8.3.1)"
        case .path: ":path is empty, does not begin with a slash, or holds white space (RFC 9113 section 8.3.1)"
        case .status: ":status is not three digits from 100 on (RFC 9113 section 8.3.2)"
        case .protocol: ":protocol is not a token (RFC 8441 section 4)"
        case .unknown: "an undefined pseudo-header (RFC 9113 section 8.3)"
        }
    }
}

extension HTTPMethod {
    init(bytes: UnsafeRawBufferPointer) {
        if bytes.count == 3, bytes[0] == UInt8(ascii: "G"), bytes[1] == UInt8(ascii: "E"), bytes[2] == UInt8(ascii: "T") {
            self = .get
        } else {
            self.init(String(decoding: bytes, as: UTF8.self))
        }
    }
}

extension HTTPScheme {
    /// Schemes compare without regard to case (RFC 3986 section 3.1).
    init?(bytes: UnsafeRawBufferPointer) {
        func isScheme(_ text: StaticString) -> Bool {
            guard bytes.count == text.utf8CodeUnitCount else { return false }
            for i in 0..<bytes.count where lowercased(bytes[i]) != text.utf8Start[i] { return false }
            return true
        }
        if isScheme("http") { self = .http } else if isScheme("https") { self = .https } else { return nil }
    }
}
