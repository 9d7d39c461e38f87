// The syntax of `RegularExpression`: what RE2 and Rust's regex share. Every refusal names the byte and what is wrong there.

struct RegularExpressionParser {
    /// What was read.
    indirect enum Node: Equatable {
        case empty
        case scalar([ClosedRange<UInt32>])
        case check(RegularExpression.Assertion)
        case sequence([Node])
        case choice([Node])
        /// `most` nil: any number of times.
        case repetition(Node, least: Int, most: Int?)
    }

    /// What `(?i)` and its like turn on.
    private struct Flags {
        var ignoresCase = false
        var dotTakesNewline = false
        var isMultiline = false
    }

    private typealias Ranges = [ClosedRange<UInt32>]

    private let scalars: [Unicode.Scalar]
    /// Byte at which each scalar begins, and the end.
    private var offsets: [Int] = []
    private var next = 0
    private var flags = Flags()
    private var depth = 0

    init(_ source: String) throws(Refusal) {
        scalars = Array(source.unicodeScalars)
        var offset = 0
        for scalar in scalars {
            offsets.append(offset)
            offset += UTF8.width(scalar)
        }
        offsets.append(offset)
    }

    mutating func whole() throws(Refusal) -> Node {
        let node = try choice()
        if peek != nil { throw refusal("a group is closed that was not opened") }
        return node
    }

    private var peek: Unicode.Scalar? { next < scalars.count ? scalars[next] : nil }

    private func refusal(_ text: String) -> Refusal { Refusal("at byte \(offsets[min(next, scalars.count)]): \(text)") }

    private mutating func take(_ scalar: Unicode.Scalar) -> Bool {
        guard peek == scalar else { return false }
        next += 1
        return true
    }

    private mutating func take(_ text: String) -> Bool {
        let wanted = Array(text.unicodeScalars)
        guard next + wanted.count <= scalars.count, scalars[next..<(next + wanted.count)].elementsEqual(wanted) else { return false }
        next += wanted.count
        return true
    }

    // MARK: Structure

    private mutating func choice() throws(Refusal) -> Node {
        var parts = [try sequence()]
        while take("|") { parts.append(try sequence()) }
        return parts.count == 1 ? parts[0] : .choice(parts)
    }

    private mutating func sequence() throws(Refusal) -> Node {
        var parts: [Node] = []
        while let scalar = peek, scalar != "|", scalar != ")" {
            var node = try atom()
            if let (least, most) = try quantifier() { node = .repetition(node, least: least, most: most) }
            if node != .empty { parts.append(node) }
        }
        return parts.count == 1 ? parts[0] : parts.isEmpty ? .empty : .sequence(parts)
    }

    private mutating func quantifier() throws(Refusal) -> (least: Int, most: Int?)? {
        let found: (Int, Int?)
        if take("*") {
            found = (0, nil)
        } else if take("+") {
            found = (1, nil)
        } else if take("?") {
            found = (0, 1)
        } else if peek == "{" {
            next += 1
            let least = try number()
            var most: Int? = least
            if take(",") { most = peek == "}" ? nil : try number() }
            guard take("}") else { throw refusal("a repetition is {n}, {n,} or {n,m}") }
            if let most, most < least { throw refusal("a repetition's bounds are the wrong way round") }
            found = (least, most)
        } else {
            return nil
        }
        // Whether as much or as little as possible is taken makes no difference to whether all is.
        _ = take("?")
        return found
    }

    private mutating func number() throws(Refusal) -> Int {
        var value = 0
        let start = next
        while let digit = peek.flatMap({ Int(String($0)) }), peek?.isASCII == true {
            value = value * 10 + digit
            next += 1
            if value > RegularExpressionLimits.repetitionMax { throw refusal("a repetition may count to \(RegularExpressionLimits.repetitionMax)") }
        }
        if next == start { throw refusal("a repetition is {n}, {n,} or {n,m}") }
        return value
    }

    private mutating func atom() throws(Refusal) -> Node {
        guard let scalar = peek else { return .empty }
        switch scalar {
        case "(": return try group()
        case "[":
            next += 1
            return .scalar(folded(try bracketed()))
        case ".":
            next += 1
            return .scalar(flags.dotTakesNewline ? [0...0x10ffff] : Self.complement([10...10]))
        case "^":
            next += 1
            return .check(flags.isMultiline ? .lineStart : .textStart)
        case "$":
            next += 1
            return .check(flags.isMultiline ? .lineEnd : .textEnd)
        case "*", "+", "?", "{": throw refusal("there is nothing to repeat; a repetition of a repetition needs a group")
        case "\\":
            next += 1
            for (letter, assertion) in [("A", .textStart), ("z", .textEnd), ("b", .wordBoundary), ("B", .noWordBoundary)] as [(Unicode.Scalar, RegularExpression.Assertion)] where take(letter) {
                return .check(assertion)
            }
            return .scalar(folded(try escape()))
        default:
            next += 1
            return .scalar(folded([scalar.value...scalar.value]))
        }
    }

    private mutating func group() throws(Refusal) -> Node {
        next += 1
        depth += 1
        if depth > RegularExpressionLimits.depthMax { throw refusal("groups are nested more than \(RegularExpressionLimits.depthMax) deep") }
        let outer = flags
        if take("?") {
            if take("P<") || (peek == "<" && next + 1 < scalars.count && scalars[next + 1] != "=" && scalars[next + 1] != "!" && take("<")) {
                while let scalar = peek, scalar != ">" {
                    guard scalar.properties.isAlphabetic || scalar == "_" || scalar.properties.numericType != nil else { throw refusal("a group's name has letters, digits and _") }
                    next += 1
                }
                guard take(">") else { throw refusal("a group's name is not closed") }
            } else if try flagged() {
                depth -= 1
                return .empty
            }
        }
        let node = try choice()
        guard take(")") else { throw refusal("a group is not closed") }
        flags = outer
        depth -= 1
        return node
    }

    /// The flags after `(?`. True: they stand alone, `(?i)`, and hold until the surrounding group ends.
    private mutating func flagged() throws(Refusal) -> Bool {
        var isOn = true
        while let scalar = peek {
            next += 1
            switch scalar {
            case "i": flags.ignoresCase = isOn
            case "s": flags.dotTakesNewline = isOn
            case "m": flags.isMultiline = isOn
            // Swaps which repetitions take much, and says that text is Unicode: neither makes a difference here.
            case "U", "u": break
            case "-" where isOn: isOn = false
            case ":": return false
            case ")": return true
            case "=", "!", "<":
                next -= 1
                throw refusal("look-around cannot be matched in linear time")
            default:
                next -= 1
                throw refusal("(?\(scalar) is not supported; there are (?:…), (?P<name>…) and the flags i, s and m")
            }
        }
        throw refusal("a group is not closed")
    }

    // MARK: Sets of scalars

    /// After a backslash.
    private mutating func escape() throws(Refusal) -> [ClosedRange<UInt32>] {
        guard let scalar = peek else { throw refusal("a backslash at the end escapes nothing") }
        next += 1
        switch scalar {
        case "d": return Self.digits
        case "D": return Self.complement(Self.digits)
        case "w": return Self.word
        case "W": return Self.complement(Self.word)
        case "s": return Self.space
        case "S": return Self.complement(Self.space)
        case "t": return [9...9]
        case "n": return [10...10]
        case "v": return [11...11]
        case "f": return [12...12]
        case "r": return [13...13]
        case "a": return [7...7]
        case "x", "u", "U":
            let value = try hexadecimal(digits: scalar == "x" ? 2 : scalar == "u" ? 4 : 8)
            return [value...value]
        case "p", "P":
            next -= 1
            throw refusal("Unicode classes (\\p) are not supported; name the characters in brackets")
        case "0"..."9":
            next -= 1
            throw refusal("back-references cannot be matched in linear time")
        default:
            guard scalar.isASCII, !scalar.properties.isAlphabetic else {
                next -= 1
                throw refusal("\\\(scalar) means nothing")
            }
            return [scalar.value...scalar.value]
        }
    }

    private mutating func hexadecimal(digits: Int) throws(Refusal) -> UInt32 {
        let isBraced = take("{")
        var text = ""
        while let scalar = peek, scalar.properties.isASCIIHexDigit, text.utf8.count < (isBraced ? 8 : digits) {
            text.unicodeScalars.append(scalar)
            next += 1
        }
        guard isBraced ? take("}") && !text.isEmpty : text.utf8.count == digits, let value = UInt32(text, radix: 16), Unicode.Scalar(value) != nil else {
            throw refusal("an escape by number needs \(digits) hexadecimal digits, or some in braces, of a character that there is")
        }
        return value
    }

    /// After the opening bracket.
    private mutating func bracketed() throws(Refusal) -> [ClosedRange<UInt32>] {
        let isNegated = take("^")
        var ranges: Ranges = []
        var isFirst = true
        while true {
            guard let scalar = peek else { throw refusal("a bracket is not closed") }
            if scalar == "]", !isFirst { break }
            isFirst = false
            if scalar == "[", next + 1 < scalars.count, scalars[next + 1] == ":" {
                ranges += try named()
                continue
            }
            // What Rust gives a meaning of sets, RE2 does not; neither is wanted by accident.
            for operation in ["&&", "--", "~~"] where scalars[next...].starts(with: Array(operation.unicodeScalars)) { throw refusal("operations on sets are not supported; escape \(operation) to mean it") }
            let low = try member()
            guard peek == "-", next + 1 < scalars.count, scalars[next + 1] != "]" else {
                ranges += low
                continue
            }
            next += 1
            let high = try member()
            guard low.count == 1, high.count == 1, low[0].count == 1, high[0].count == 1 else { throw refusal("a range has a character at each end") }
            guard low[0].lowerBound <= high[0].lowerBound else { throw refusal("a range's ends are the wrong way round") }
            ranges.append(low[0].lowerBound...high[0].lowerBound)
        }
        next += 1
        let set = Self.ordered(flags.ignoresCase ? Self.bothCases(ranges) : ranges)
        return isNegated ? Self.complement(set) : set
    }

    private mutating func member() throws(Refusal) -> [ClosedRange<UInt32>] {
        guard let scalar = peek else { throw refusal("a bracket is not closed") }
        next += 1
        return scalar == "\\" ? try escape() : [scalar.value...scalar.value]
    }

    /// `[:alpha:]`, within brackets.
    private mutating func named() throws(Refusal) -> [ClosedRange<UInt32>] {
        let names: [(String, Ranges)] = [
            ("alpha", [0x41...0x5a, 0x61...0x7a]), ("digit", Self.digits), ("alnum", [0x30...0x39, 0x41...0x5a, 0x61...0x7a]), ("upper", [0x41...0x5a]), ("lower", [0x61...0x7a]),
            ("space", [9...13, 32...32]), ("blank", [9...9, 32...32]), ("punct", [0x21...0x2f, 0x3a...0x40, 0x5b...0x60, 0x7b...0x7e]), ("xdigit", [0x30...0x39, 0x41...0x46, 0x61...0x66]),
            ("word", Self.word), ("cntrl", [0...31, 127...127]), ("print", [32...126]), ("graph", [33...126]), ("ascii", [0...127]),
        ]
        for (name, ranges) in names {
            if take("[:\(name):]") { return ranges }
            if take("[:^\(name):]") { return Self.complement(ranges) }
        }
        throw refusal("no class has that name; there are [:alpha:], [:digit:], [:alnum:] and the others of POSIX")
    }

    private func folded(_ ranges: [ClosedRange<UInt32>]) -> [ClosedRange<UInt32>] { flags.ignoresCase ? Self.ordered(Self.bothCases(ranges)) : Self.ordered(ranges) }

    /// With the other case of each ASCII letter, and of a single letter beyond.
    private static func bothCases(_ ranges: [ClosedRange<UInt32>]) -> [ClosedRange<UInt32>] {
        var all = ranges
        for range in ranges {
            for (letters, distance) in [(0x41...0x5a, 32), (0x61...0x7a, -32)] as [(ClosedRange<UInt32>, Int32)] {
                let part = max(range.lowerBound, letters.lowerBound)...max(max(range.lowerBound, letters.lowerBound), min(range.upperBound, letters.upperBound))
                if range.overlaps(letters) { all.append(UInt32(Int32(part.lowerBound) + distance)...UInt32(Int32(part.upperBound) + distance)) }
            }
            if range.count == 1, range.lowerBound > 127, let scalar = Unicode.Scalar(range.lowerBound) {
                for text in [scalar.properties.lowercaseMapping, scalar.properties.uppercaseMapping] {
                    if text.unicodeScalars.count == 1, let other = text.unicodeScalars.first { all.append(other.value...other.value) }
                }
            }
        }
        return all
    }

    private static let digits: Ranges = [0x30...0x39]
    private static let word: Ranges = [0x30...0x39, 0x41...0x5a, 0x5f...0x5f, 0x61...0x7a]
    private static let space: Ranges = [9...13, 32...32]

    /// In order, without overlaps or neighbours.
    private static func ordered(_ ranges: Ranges) -> Ranges {
        var result: Ranges = []
        for range in ranges.sorted(by: { $0.lowerBound < $1.lowerBound }) {
            if let last = result.last, range.lowerBound <= last.upperBound + 1 { result[result.count - 1] = last.lowerBound...max(last.upperBound, range.upperBound) } else { result.append(range) }
        }
        return result
    }

    private static func complement(_ ranges: Ranges) -> Ranges {
        var result: Ranges = []
        var start: UInt32 = 0
        for range in ordered(ranges) {
            if range.lowerBound > start { result.append(start...(range.lowerBound - 1)) }
            start = range.upperBound + 1
        }
        if start <= 0x10ffff { result.append(start...0x10ffff) }
        return result
    }
}
