// JSON by RFC 8259, as strict as it reads: no comments, no trailing commas, no byte-order mark, no bare control characters.
// A watch of a big cluster is millions of bytes of it, so the loops run over raw memory inside this file.
// Two decisions where the standard leaves a choice: a name that comes twice keeps its last value (as the API server's decoder
// does), and what Unicode cannot say (bad UTF-8, half a surrogate pair) is refused instead of replaced.

import OrderedCollections

extension Value {
    /// Reads one JSON text, whole. Source: RFC 8259.
    public init(json bytes: [UInt8], limits: DocumentLimits = DocumentLimits()) throws(DocumentError) {
        let result = bytes.withUnsafeBytes { raw in Result { () throws(DocumentError) in try Value(json: raw, limits: limits) } }
        self = try result.get()
    }

    /// The same from memory that the caller keeps alive for the call.
    public init(json bytes: UnsafeRawBufferPointer, limits: DocumentLimits = DocumentLimits()) throws(DocumentError) {
        guard bytes.count <= limits.textBytesMax else {
            throw DocumentError(line: 1, column: 1, reason: "the text has \(bytes.count) bytes, more than \(limits.textBytesMax)")
        }
        guard let base = bytes.baseAddress else { throw DocumentError(line: 1, column: 1, reason: "the text is empty") }
        var parser = JSONParser(base: base.assumingMemoryBound(to: UInt8.self), end: bytes.count, depthMax: limits.depthMax)
        do {
            self = try parser.document()
        } catch {
            throw DocumentError(offset: error.offset, in: bytes, reason: error.reason)
        }
    }
}

/// A broken rule at a byte offset; lines are counted only when they are asked for.
private struct JSONFault: Error {
    var offset: Int
    var reason: String
}

private struct JSONParser {
    let base: UnsafePointer<UInt8>
    let end: Int
    let depthMax: Int
    var at = 0
    var depth = 0

    init(base: UnsafePointer<UInt8>, end: Int, depthMax: Int) {
        self.base = base
        self.end = end
        self.depthMax = depthMax
    }

    @inline(never)
    func fault(_ reason: String, at offset: Int? = nil) -> JSONFault { JSONFault(offset: offset ?? at, reason: reason) }

    /// What stands at the cursor, as messages say it.
    func found() -> String {
        if at >= end { return "the end of the text" }
        let byte = base[at]
        if byte > 0x20 && byte < 0x7f { return "'\(Unicode.Scalar(byte))'" }
        let digits = String(byte, radix: 16)
        return "byte 0x" + (digits.utf8.count < 2 ? "0" : "") + digits
    }

    @inline(__always)
    mutating func skipSpace() {
        while at < end {
            let byte = base[at]
            if byte == 0x20 || byte == 0x0a || byte == 0x0d || byte == 0x09 { at += 1 } else { return }
        }
    }

    mutating func document() throws(JSONFault) -> Value {
        if end >= 3, base[0] == 0xef, base[1] == 0xbb, base[2] == 0xbf { throw fault("a JSON text does not begin with a byte-order mark") }
        skipSpace()
        if at == end { throw fault("the text is empty") }
        let value = try value()
        skipSpace()
        if at < end { throw fault("\(found()) after the end of the document") }
        return value
    }

    mutating func value() throws(JSONFault) -> Value {
        guard at < end else { throw fault("a value is missing at the end of the text") }
        switch base[at] {
        case 0x22: return .string(try string())
        case 0x7b: return try object()
        case 0x5b: return try array()
        case 0x2d, 0x30...0x39: return try number()
        case 0x74:
            try word("true")
            return .bool(true)
        case 0x66:
            try word("false")
            return .bool(false)
        case 0x6e:
            try word("null")
            return .null
        default: throw fault("\(found()) where a value should begin")
        }
    }

    mutating func word(_ word: StaticString) throws(JSONFault) {
        let length = word.utf8CodeUnitCount
        let start = at
        for i in 0..<length {
            guard at < end, base[at] == word.utf8Start[i] else { throw fault("a value that is neither true, false nor null", at: start) }
            at += 1
        }
    }

    mutating func descend() throws(JSONFault) {
        depth += 1
        if depth > depthMax { throw fault("nested deeper than \(depthMax) levels") }
        at += 1
        skipSpace()
    }

    mutating func array() throws(JSONFault) -> Value {
        try descend()
        var elements: [Value] = []
        if at < end, base[at] == 0x5d {
            at += 1
            depth -= 1
            return .array(elements)
        }
        while true {
            elements.append(try value())
            skipSpace()
            guard at < end else { throw fault("an array is not closed") }
            if base[at] == 0x2c {
                at += 1
                skipSpace()
            } else if base[at] == 0x5d {
                at += 1
                depth -= 1
                return .array(elements)
            } else {
                throw fault("\(found()) where ',' or ']' should be")
            }
        }
    }

    mutating func object() throws(JSONFault) -> Value {
        try descend()
        var members = Object()
        if at < end, base[at] == 0x7d {
            at += 1
            depth -= 1
            return .object(members)
        }
        while true {
            guard at < end, base[at] == 0x22 else { throw fault("\(found()) where a member's name in '\"' should begin") }
            let name = try string()
            skipSpace()
            guard at < end, base[at] == 0x3a else { throw fault("\(found()) where ':' should be") }
            at += 1
            skipSpace()
            members[name] = try value()
            skipSpace()
            guard at < end else { throw fault("an object is not closed") }
            if base[at] == 0x2c {
                at += 1
                skipSpace()
            } else if base[at] == 0x7d {
                at += 1
                depth -= 1
                return .object(members)
            } else {
                throw fault("\(found()) where ',' or '}' should be")
            }
        }
    }

    // MARK: Numbers

    mutating func number() throws(JSONFault) -> Value {
        let start = at
        let isNegative = base[at] == 0x2d
        if isNegative { at += 1 }
        guard at < end, base[at] >= 0x30, base[at] <= 0x39 else { throw fault("\(found()) where a digit should be") }
        var magnitude: UInt64 = 0
        var fits = true
        if base[at] == 0x30 {
            at += 1
            if at < end, base[at] >= 0x30, base[at] <= 0x39 { throw fault("a number does not begin with a zero before other digits") }
        } else {
            while at < end, base[at] >= 0x30, base[at] <= 0x39 {
                let (product, overflow) = magnitude.multipliedReportingOverflow(by: 10)
                let (sum, carry) = product.addingReportingOverflow(UInt64(base[at] - 0x30))
                if overflow || carry { fits = false }
                magnitude = sum
                at += 1
            }
        }
        var isWhole = true
        if at < end, base[at] == 0x2e {
            isWhole = false
            at += 1
            try digits()
        }
        if at < end, base[at] == 0x65 || base[at] == 0x45 {
            isWhole = false
            at += 1
            if at < end, base[at] == 0x2b || base[at] == 0x2d { at += 1 }
            try digits()
        }
        if isWhole, fits {
            if !isNegative, magnitude <= UInt64(Int64.max) { return .int(Int64(magnitude)) }
            if isNegative, magnitude <= UInt64(Int64.max) + 1 { return .int(Int64(truncatingIfNeeded: 0 &- magnitude)) }
        }
        let text = String(decoding: UnsafeBufferPointer(start: base + start, count: at - start), as: UTF8.self)
        guard let number = Double(text), number.isFinite else { throw fault("a number beyond what 64 bits can hold", at: start) }
        return .double(number)
    }

    mutating func digits() throws(JSONFault) {
        guard at < end, base[at] >= 0x30, base[at] <= 0x39 else { throw fault("\(found()) where a digit should be") }
        while at < end, base[at] >= 0x30, base[at] <= 0x39 { at += 1 }
    }

    // MARK: Strings

    mutating func string() throws(JSONFault) -> String {
        at += 1
        let start = at
        var bits: UInt8 = 0
        while at < end {
            let byte = base[at]
            bits |= byte
            if byte == 0x22 {
                // ASCII needs no validation, and is what nearly every string is.
                let text = bits < 0x80 ? String(decoding: UnsafeBufferPointer(start: base + start, count: at - start), as: UTF8.self) : try text(from: start, to: at)
                at += 1
                return text
            }
            if byte == 0x5c { return try escaped(from: start) }
            if byte < 0x20 { throw fault("\(found()) inside a string; it must be escaped") }
            at += 1
        }
        throw fault("a string is not closed", at: start - 1)
    }

    func text(from start: Int, to end: Int) throws(JSONFault) -> String {
        guard let text = String(validating: UnsafeBufferPointer(start: base + start, count: end - start), as: UTF8.self) else {
            throw fault("a string is not UTF-8", at: start + validPrefix(UnsafeRawBufferPointer(start: base + start, count: end - start)))
        }
        return text
    }

    /// A string with at least one escape: the cursor stands on the first.
    mutating func escaped(from start: Int) throws(JSONFault) -> String {
        var bytes: [UInt8] = []
        var runStart = start
        while at < end {
            let byte = base[at]
            if byte == 0x22 {
                bytes.append(contentsOf: UnsafeBufferPointer(start: base + runStart, count: at - runStart))
                guard let text = String(validating: bytes, as: UTF8.self) else {
                    throw fault("a string is not UTF-8", at: start + validPrefix(UnsafeRawBufferPointer(start: base + start, count: at - start)))
                }
                at += 1
                return text
            }
            if byte < 0x20 { throw fault("\(found()) inside a string; it must be escaped") }
            if byte == 0x5c {
                bytes.append(contentsOf: UnsafeBufferPointer(start: base + runStart, count: at - runStart))
                try escape(into: &bytes)
                runStart = at
            } else {
                at += 1
            }
        }
        throw fault("a string is not closed", at: start - 1)
    }

    mutating func escape(into bytes: inout [UInt8]) throws(JSONFault) {
        let start = at
        at += 1
        guard at < end else { throw fault("a string is not closed") }
        let letter = base[at]
        at += 1
        switch letter {
        case 0x22, 0x5c, 0x2f: bytes.append(letter)
        case 0x62: bytes.append(0x08)
        case 0x66: bytes.append(0x0c)
        case 0x6e: bytes.append(0x0a)
        case 0x72: bytes.append(0x0d)
        case 0x74: bytes.append(0x09)
        case 0x75:
            var code = try hexadecimal()
            if code & 0xfc00 == 0xdc00 { throw fault("the second half of a surrogate pair without the first", at: start) }
            if code & 0xfc00 == 0xd800 {
                guard at + 1 < end, base[at] == 0x5c, base[at + 1] == 0x75 else { throw fault("the first half of a surrogate pair without the second", at: start) }
                at += 2
                let second = try hexadecimal()
                guard second & 0xfc00 == 0xdc00 else { throw fault("the first half of a surrogate pair without the second", at: start) }
                code = 0x10000 + (code & 0x3ff) << 10 + second & 0x3ff
            }
            guard let scalar = Unicode.Scalar(code) else { throw fault("an escape that is no Unicode scalar", at: start) }
            bytes.append(contentsOf: UTF8.encode(scalar)!)
        default: throw fault("an escape that JSON does not have", at: start)
        }
    }

    mutating func hexadecimal() throws(JSONFault) -> UInt32 {
        var code: UInt32 = 0
        for _ in 0..<4 {
            guard at < end else { throw fault("a string is not closed") }
            let byte = base[at]
            switch byte {
            case 0x30...0x39: code = code << 4 | UInt32(byte - 0x30)
            case 0x41...0x46: code = code << 4 | UInt32(byte - 0x41 + 10)
            case 0x61...0x66: code = code << 4 | UInt32(byte - 0x61 + 10)
            default: throw fault("\(found()) where one of four hexadecimal digits should be")
            }
            at += 1
        }
        return code
    }
}

/// How many bytes from the start are well-formed UTF-8.
func validPrefix(_ bytes: UnsafeRawBufferPointer) -> Int {
    var decoder = UTF8()
    var iterator = bytes.makeIterator()
    var length = 0
    while case .scalarValue(let scalar) = decoder.decode(&iterator) { length += UTF8.width(scalar) }
    return length
}
