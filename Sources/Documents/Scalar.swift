// What a plain YAML scalar means. Kubernetes reads YAML by go-yaml version 2, which keeps YAML 1.1's many words for booleans,
// its octal and binary numbers and underscores in numbers, and takes dates for strings. Source: go-yaml v2.4 resolve.go.

enum Scalar {
    struct Fault: Error { var reason: String }

    /// `tag` is the full tag or nil.
    static func resolve(_ text: String, isPlain: Bool, tag: String?) throws(Fault) -> Value {
        guard let tag, tag != "!" else { return isPlain && tag == nil ? try plain(text) : .string(text) }
        switch tag {
        case "tag:yaml.org,2002:str", "tag:yaml.org,2002:timestamp": return .string(text)
        case "tag:yaml.org,2002:bool":
            if case .bool(let flag)? = word(text) { return .bool(flag) }
        case "tag:yaml.org,2002:null":
            if case .null? = word(text) { return .null }
        case "tag:yaml.org,2002:int":
            if let number = try integer(text) { return number }
        case "tag:yaml.org,2002:float":
            switch try plain(text) {
            case .int(let number): return .double(Double(number))
            case .double(let number): return .double(number)
            default: break
            }
        case "tag:yaml.org,2002:binary": throw Fault(reason: "binary data cannot be part of a document")
        default: return .string(text)
        }
        throw Fault(reason: "'\(text)' is not what its tag says")
    }

    /// The meaning of a scalar without quotes and tag.
    static func plain(_ text: String) throws(Fault) -> Value {
        guard let first = text.utf8.first else { return .null }
        if let word = word(text) { return word }
        switch first {
        case 0x2e, 0x2b, 0x2d, 0x30...0x39:
            if notFinite(text) { throw Fault(reason: "'\(text)' is a number that is not finite") }
            if first != 0x2e, let number = try integer(text) { return number }
            if let number = try fraction(text) { return .double(number) }
            return .string(text)
        default: return .string(text)
        }
    }

    /// Whether a string must be quoted to stay one. What only YAML 1.1 takes for a number (1:30) or a date counts too.
    static func isAmbiguous(_ text: String) -> Bool {
        if text == "<<" || isSexagesimal(text) || isDate(text) { return true }
        do throws(Fault) {
            if case .string = try plain(text) { return false }
            return true
        } catch {
            return true
        }
    }

    private static func word(_ text: String) -> Value? {
        switch text {
        case "y", "Y", "yes", "Yes", "YES", "true", "True", "TRUE", "on", "On", "ON": .bool(true)
        case "n", "N", "no", "No", "NO", "false", "False", "FALSE", "off", "Off", "OFF": .bool(false)
        case "", "~", "null", "Null", "NULL": .null
        default: nil
        }
    }

    private static func notFinite(_ text: String) -> Bool {
        switch text {
        case ".nan", ".NaN", ".NAN", ".inf", ".Inf", ".INF", "+.inf", "+.Inf", "+.INF", "-.inf", "-.Inf", "-.INF": true
        default: false
        }
    }

    /// Decimal, 0x, 0o, 0b or a leading zero for octal; underscores anywhere.
    private static func integer(_ text: String) throws(Fault) -> Value? {
        var digits = text.utf8.filter { $0 != 0x5f }[...]
        let isNegative = digits.first == 0x2d
        if isNegative || digits.first == 0x2b { digits = digits.dropFirst() }
        var radix: UInt64 = 10
        if digits.first == 0x30, digits.count > 1 {
            switch digits[digits.startIndex + 1] | 0x20 {
            case 0x78: (radix, digits) = (16, digits.dropFirst(2))
            case 0x6f: (radix, digits) = (8, digits.dropFirst(2))
            case 0x62: (radix, digits) = (2, digits.dropFirst(2))
            default: (radix, digits) = (8, digits.dropFirst())
            }
        }
        if digits.isEmpty { return nil }
        var magnitude: UInt64 = 0
        var fits = true
        for byte in digits {
            let digit: UInt64
            switch byte {
            case 0x30...0x39: digit = UInt64(byte - 0x30)
            case 0x61...0x66: digit = UInt64(byte - 0x61 + 10)
            case 0x41...0x46: digit = UInt64(byte - 0x41 + 10)
            default: return nil
            }
            if digit >= radix { return nil }
            let (product, overflow) = magnitude.multipliedReportingOverflow(by: radix)
            let (sum, carry) = product.addingReportingOverflow(digit)
            if overflow || carry { fits = false }
            magnitude = sum
        }
        // Beyond 64 bits a decimal number is still a floating one; in other bases it is text.
        guard fits else { return nil }
        if !isNegative { return magnitude <= UInt64(Int64.max) ? .int(Int64(magnitude)) : .double(Double(magnitude)) }
        if magnitude <= UInt64(Int64.max) + 1 { return .int(Int64(truncatingIfNeeded: 0 &- magnitude)) }
        return nil
    }

    /// `[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?`
    private static func fraction(_ text: String) throws(Fault) -> Double? {
        let bytes = text.utf8.filter { $0 != 0x5f }
        var at = 0
        func digits() -> Int {
            let start = at
            while at < bytes.count, bytes[at] >= 0x30, bytes[at] <= 0x39 { at += 1 }
            return at - start
        }
        if at < bytes.count, bytes[at] == 0x2b || bytes[at] == 0x2d { at += 1 }
        let whole = digits()
        if at < bytes.count, bytes[at] == 0x2e {
            at += 1
            if digits() == 0, whole == 0 { return nil }
        } else if whole == 0 {
            return nil
        }
        if at < bytes.count, bytes[at] | 0x20 == 0x65 {
            at += 1
            if at < bytes.count, bytes[at] == 0x2b || bytes[at] == 0x2d { at += 1 }
            if digits() == 0 { return nil }
        }
        guard at == bytes.count else { return nil }
        guard let number = Double(String(decoding: bytes, as: UTF8.self)), number.isFinite else { return nil }
        return number
    }

    /// `[-+]?[0-9][0-9_]*(:[0-5]?[0-9])+(\.[0-9_]*)?`, loosely: digits and signs with a colon between.
    private static func isSexagesimal(_ text: String) -> Bool {
        guard let first = text.utf8.first, first == 0x2b || first == 0x2d || first >= 0x30 && first <= 0x39, text.utf8.contains(0x3a) else { return false }
        return text.utf8.dropFirst().allSatisfy { $0 >= 0x30 && $0 <= 0x39 || $0 == 0x3a || $0 == 0x2e || $0 == 0x5f }
    }

    /// Four digits, a hyphen, one or two digits, a hyphen, one or two digits, then the end or a time.
    private static func isDate(_ text: String) -> Bool {
        let bytes = Array(text.utf8.prefix(12))
        var at = 0
        func digits(_ count: ClosedRange<Int>) -> Bool {
            let start = at
            while at < bytes.count, at - start < count.upperBound, bytes[at] >= 0x30, bytes[at] <= 0x39 { at += 1 }
            return at - start >= count.lowerBound
        }
        func hyphen() -> Bool {
            guard at < bytes.count, bytes[at] == 0x2d else { return false }
            at += 1
            return true
        }
        guard digits(4...4), hyphen(), digits(1...2), hyphen(), digits(1...2) else { return false }
        return at == bytes.count || bytes[at] == 0x54 || bytes[at] == 0x74 || bytes[at] == 0x20
    }
}
