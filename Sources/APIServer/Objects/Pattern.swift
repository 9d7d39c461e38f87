// Regular expressions of schemas, in the subset of RE2 that CustomResourceDefinitions use: matched by a set of states, so no
// text of any client takes more than length times pattern. Deliberately absent: back references and look-around, which RE2
// lacks too, and Unicode classes; a pattern that uses what is not known is not compiled and then does not judge.

struct Pattern {
    private indirect enum Node {
        case empty, start, end
        case one((UInt32) -> Bool)
        case sequence([Node])
        case choice([Node])
        case loop(Node, least: Int, most: Int?)
    }

    private enum Instruction {
        case one((UInt32) -> Bool)
        case split(Int, Int)
        case jump(Int)
        case start, end
        case match
    }

    private var program: [Instruction] = []
    /// Unit: instructions. Source: RE2 refuses programs of counted loops above 1000, too.
    private static let instructionsMax = 20_000

    init?(_ text: String) {
        var parser = Parser(Array(text.unicodeScalars))
        guard let node = parser.alternatives(), parser.isAtEnd, emit(node) else { return nil }
        program.append(.match)
    }

    // MARK: Matching

    /// The pattern occurs in the text.
    func matches(_ text: String) -> Bool {
        let scalars = Array(text.unicodeScalars)
        var current: [Int] = []
        var marks = [Int](repeating: -1, count: program.count)
        for i in 0...scalars.count {
            var next: [Int] = []
            add(0, &current, &marks, i, scalars.count)
            for pc in current {
                switch program[pc] {
                case .match: return true
                case .one(let accepts): if i < scalars.count, accepts(scalars[i].value) { next.append(pc + 1) }
                default: break
                }
            }
            current = []
            for pc in next { add(pc, &current, &marks, i + 1, scalars.count) }
        }
        return false
    }

    /// Follows everything that takes no character. `marks` says at which place an instruction was last added.
    private func add(_ first: Int, _ list: inout [Int], _ marks: inout [Int], _ place: Int, _ count: Int) {
        var stack = [first]
        while let pc = stack.popLast() {
            if marks[pc] == place { continue }
            marks[pc] = place
            switch program[pc] {
            case .jump(let target): stack.append(target)
            case .split(let a, let b):
                stack.append(b)
                stack.append(a)
            case .start: if place == 0 { stack.append(pc + 1) }
            case .end: if place == count { stack.append(pc + 1) }
            case .one, .match: list.append(pc)
            }
        }
    }

    // MARK: Compiling

    private mutating func emit(_ node: Node) -> Bool {
        guard program.count < Self.instructionsMax else { return false }
        switch node {
        case .empty: return true
        case .start: program.append(.start)
        case .end: program.append(.end)
        case .one(let accepts): program.append(.one(accepts))
        case .sequence(let nodes): for node in nodes { guard emit(node) else { return false } }
        case .choice(let nodes):
            var jumps: [Int] = []
            for (i, node) in nodes.enumerated() {
                if i + 1 < nodes.count {
                    let split = program.count
                    program.append(.jump(0))
                    guard emit(node) else { return false }
                    jumps.append(program.count)
                    program.append(.jump(0))
                    program[split] = .split(split + 1, program.count)
                } else {
                    guard emit(node) else { return false }
                }
            }
            for jump in jumps { program[jump] = .jump(program.count) }
        case .loop(let node, let least, let most):
            for _ in 0..<least { guard emit(node) else { return false } }
            if let most {
                for _ in least..<max(least, most) {
                    let split = program.count
                    program.append(.jump(0))
                    guard emit(node) else { return false }
                    program[split] = .split(split + 1, program.count)
                }
            } else {
                let split = program.count
                program.append(.jump(0))
                guard emit(node) else { return false }
                program.append(.jump(split))
                program[split] = .split(split + 1, program.count)
            }
        }
        return true
    }

    private struct Parser {
        let text: [UnicodeScalar]
        var at = 0
        var depth = 0

        init(_ text: [UnicodeScalar]) { self.text = text }

        var isAtEnd: Bool { at == text.count }
        var current: UnicodeScalar? { at < text.count ? text[at] : nil }

        mutating func take(_ scalar: UnicodeScalar) -> Bool {
            guard current == scalar else { return false }
            at += 1
            return true
        }

        mutating func alternatives() -> Node? {
            depth += 1
            defer { depth -= 1 }
            guard depth < 100 else { return nil }
            var nodes: [Node] = []
            repeat {
                guard let node = sequence() else { return nil }
                nodes.append(node)
            } while take("|")
            return nodes.count == 1 ? nodes[0] : .choice(nodes)
        }

        mutating func sequence() -> Node? {
            var nodes: [Node] = []
            while let scalar = current, scalar != "|", scalar != ")" {
                guard var node = atom() else { return nil }
                while let loop = loop() {
                    guard loop.isKnown else { return nil }
                    node = .loop(node, least: loop.least, most: loop.most)
                }
                nodes.append(node)
            }
            return nodes.isEmpty ? .empty : .sequence(nodes)
        }

        mutating func loop() -> (least: Int, most: Int?, isKnown: Bool)? {
            var result: (least: Int, most: Int?, isKnown: Bool)
            switch current {
            case "*": result = (0, nil, true)
            case "+": result = (1, nil, true)
            case "?": result = (0, 1, true)
            case "{":
                let begin = at
                at += 1
                guard let least = number() else {
                    at = begin
                    return nil
                }
                var most: Int? = least
                if take(",") { most = number() }
                guard current == "}" else {
                    at = begin
                    return nil
                }
                result = (least, most, least <= 1000 && (most ?? 0) <= 1000)
            default: return nil
            }
            at += 1
            // Laziness changes what is captured, not whether it matches.
            _ = take("?")
            return result
        }

        mutating func number() -> Int? {
            var digits = ""
            while let scalar = current, ("0"..."9").contains(scalar), digits.count < 5 {
                digits.unicodeScalars.append(scalar)
                at += 1
            }
            return Int(digits)
        }

        mutating func atom() -> Node? {
            guard let scalar = current else { return nil }
            at += 1
            switch scalar {
            case "^": return .start
            case "$": return .end
            case ".": return .one { $0 != 10 }
            case "[": return characterClass()
            case "(":
                if take("?") {
                    guard take(":") || skipName() else { return nil }
                }
                guard let node = alternatives(), take(")") else { return nil }
                return node
            case "\\":
                guard let escape = current else { return nil }
                at += 1
                if escape == "A" { return .start }
                if escape == "z" { return .end }
                return Self.escaped(escape).map { .one($0) }
            case "*", "+", "?": return nil
            default:
                let value = scalar.value
                return .one { $0 == value }
            }
        }

        /// `P<name>` of a named group.
        mutating func skipName() -> Bool {
            _ = take("P")
            guard take("<") else { return false }
            while let scalar = current {
                at += 1
                if scalar == ">" { return true }
            }
            return false
        }

        static func escaped(_ scalar: UnicodeScalar) -> ((UInt32) -> Bool)? {
            func isDigit(_ c: UInt32) -> Bool { c >= 48 && c <= 57 }
            func isWord(_ c: UInt32) -> Bool { isDigit(c) || c >= 65 && c <= 90 || c >= 97 && c <= 122 || c == 95 }
            func isSpace(_ c: UInt32) -> Bool { c == 32 || c >= 9 && c <= 13 }
            switch scalar {
            case "d": return isDigit
            case "D": return { !isDigit($0) }
            case "w": return isWord
            case "W": return { !isWord($0) }
            case "s": return isSpace
            case "S": return { !isSpace($0) }
            case "n": return { $0 == 10 }
            case "t": return { $0 == 9 }
            case "r": return { $0 == 13 }
            default:
                let value = scalar.value
                // Letters and digits have meanings of their own that are not known here.
                return isWord(value) ? nil : { $0 == value }
            }
        }

        mutating func characterClass() -> Node? {
            let isNegated = take("^")
            var parts: [(UInt32) -> Bool] = []
            var isFirst = true
            while let scalar = current, isFirst || scalar != "]" {
                isFirst = false
                at += 1
                var low = scalar.value
                if scalar == "[", current == ":" { return nil }
                if scalar == "\\" {
                    guard let escape = current, let accepts = Self.escaped(escape) else { return nil }
                    at += 1
                    if "dDwWsSntr".unicodeScalars.contains(escape) {
                        parts.append(accepts)
                        continue
                    }
                    low = escape.value
                }
                if current == "-", at + 1 < text.count, text[at + 1] != "]" {
                    at += 1
                    var high = text[at].value
                    if text[at] == "\\" {
                        at += 1
                        guard at < text.count else { return nil }
                        high = text[at].value
                    }
                    at += 1
                    guard low <= high else { return nil }
                    parts.append { $0 >= low && $0 <= high }
                } else {
                    parts.append { $0 == low }
                }
            }
            guard take("]") else { return nil }
            return .one { c in parts.contains { $0(c) } != isNegated }
        }
    }
}
