// Regular expressions of routes, matched in time linear in the text whatever the expression: a path that a stranger sends must not be able
// to hold a proxy up, as it could with an engine that backtracks. The syntax is what RE2 and Rust's regex share, which is what Linkerd's
// users write. Deliberately absent: captures, Unicode classes (\p), and anything that cannot be matched in linear time (back-references,
// look-around).
// Source: Thompson's construction and its simulation by sets of states; Rust regex syntax 1.x for meanings.

/// A compiled expression.
public struct RegularExpression: Sendable, Equatable {
    public let source: String
    private let program: [Instruction]
    /// Every text that matches begins with these bytes.
    public let prefix: [UInt8]
    /// The prefix is all there is: it alone matches.
    public let isLiteral: Bool

    /// Where one state leads. Targets are indices into the program.
    enum Instruction: Equatable, Sendable {
        /// One scalar of these ranges, which are in order and do not touch.
        case scalar([ClosedRange<UInt32>])
        case split(Int, Int)
        case jump(Int)
        case check(Assertion)
        case match
    }

    enum Assertion: Equatable, Sendable { case textStart, textEnd, lineStart, lineEnd, wordBoundary, noWordBoundary }

    /// Refused with the byte at which the expression cannot be understood, or when it grows too large.
    public init(_ source: String) throws(Refusal) {
        self.source = source
        var parser = try RegularExpressionParser(source)
        let node = try parser.whole()
        var compiler = Compiler()
        try compiler.emit(node)
        try compiler.add(.match)
        program = compiler.program
        (prefix, isLiteral) = Self.prefix(program)
    }

    public static func == (a: RegularExpression, b: RegularExpression) -> Bool { a.source == b.source }

    /// The scalars that must come first: the program's beginning up to its first choice. What a loop leads back to lies behind its choice.
    private static func prefix(_ program: [Instruction]) -> ([UInt8], Bool) {
        var bytes: [UInt8] = []
        var i = 0
        while case .scalar(let ranges) = program[i], ranges.count == 1, ranges[0].lowerBound == ranges[0].upperBound, let scalar = Unicode.Scalar(ranges[0].lowerBound) {
            bytes += Array(String(scalar).utf8)
            i += 1
        }
        return (bytes, program[i] == .match)
    }

    // MARK: Matching

    /// The expression takes the text from its beginning to its end. Time: scalars of the text times instructions, at most.
    public func matchesWhole(_ text: Substring) -> Bool {
        if isLiteral { return text.utf8.elementsEqual(prefix) }
        guard text.utf8.starts(with: prefix) else { return false }
        let count = program.count
        // Two sets of states, each as its members and where each member stands, and a stack.
        return withUnsafeTemporaryAllocation(of: UInt16.self, capacity: 6 * count + 2) { memory in
            memory.initialize(repeating: 0)
            func part(_ i: Int, _ size: Int) -> UnsafeMutableBufferPointer<UInt16> { UnsafeMutableBufferPointer(rebasing: memory[(i * count)..<(i * count + size)]) }
            var now = States(members: part(0, count), places: part(1, count))
            var next = States(members: part(2, count), places: part(3, count))
            let stack = part(4, 2 * count + 2)
            var scalars = text.unicodeScalars.makeIterator()
            var current = scalars.next()?.value
            add(0, to: &now, stack, before: nil, after: current)
            while let scalar = current {
                if now.count == 0 { return false }
                let after = scalars.next()?.value
                next.count = 0
                for i in 0..<now.count {
                    let state = Int(now.members[i])
                    if case .scalar(let ranges) = program[state], Self.contains(ranges, scalar) { add(state + 1, to: &next, stack, before: scalar, after: after) }
                }
                swap(&now, &next)
                current = after
            }
            return (0..<now.count).contains { program[Int(now.members[$0])] == .match }
        }
    }

    /// A set of states that is emptied by forgetting its count.
    private struct States {
        let members: UnsafeMutableBufferPointer<UInt16>
        let places: UnsafeMutableBufferPointer<UInt16>
        var count = 0

        mutating func insert(_ state: Int) -> Bool {
            let place = Int(places[state])
            if place < count, Int(members[place]) == state { return false }
            members[count] = UInt16(state)
            places[state] = UInt16(count)
            count += 1
            return true
        }
    }

    /// Adds a state and all that can be reached from it without a scalar.
    private func add(_ state: Int, to states: inout States, _ stack: UnsafeMutableBufferPointer<UInt16>, before: UInt32?, after: UInt32?) {
        var depth = 1
        stack[0] = UInt16(state)
        while depth > 0 {
            depth -= 1
            let state = Int(stack[depth])
            guard states.insert(state) else { continue }
            switch program[state] {
            case .scalar, .match: break
            case .jump(let target):
                stack[depth] = UInt16(target)
                depth += 1
            case .split(let a, let b):
                stack[depth] = UInt16(b)
                stack[depth + 1] = UInt16(a)
                depth += 2
            case .check(let assertion):
                if Self.holds(assertion, before, after) {
                    stack[depth] = UInt16(state + 1)
                    depth += 1
                }
            }
        }
    }

    private static func contains(_ ranges: [ClosedRange<UInt32>], _ scalar: UInt32) -> Bool {
        for range in ranges {
            if scalar < range.lowerBound { return false }
            if scalar <= range.upperBound { return true }
        }
        return false
    }

    private static func holds(_ assertion: Assertion, _ before: UInt32?, _ after: UInt32?) -> Bool {
        func isWord(_ scalar: UInt32?) -> Bool {
            switch scalar {
            case (0x30...0x39)?, (0x41...0x5a)?, (0x61...0x7a)?, 0x5f?: true
            default: false
            }
        }
        return switch assertion {
        case .textStart: before == nil
        case .textEnd: after == nil
        case .lineStart: before == nil || before == 10
        case .lineEnd: after == nil || after == 10
        case .wordBoundary: isWord(before) != isWord(after)
        case .noWordBoundary: isWord(before) == isWord(after)
        }
    }

    // MARK: Compiling

    private struct Compiler {
        var program: [Instruction] = []

        mutating func add(_ instruction: Instruction) throws(Refusal) {
            guard program.count < RegularExpressionLimits.instructionsMax else { throw Refusal("the expression is too large: more than \(RegularExpressionLimits.instructionsMax) steps") }
            program.append(instruction)
        }

        mutating func emit(_ node: RegularExpressionParser.Node) throws(Refusal) {
            switch node {
            case .empty: break
            case .scalar(let ranges): try add(.scalar(ranges))
            case .check(let assertion): try add(.check(assertion))
            case .sequence(let parts): for part in parts { try emit(part) }
            case .choice(let parts):
                var ends: [Int] = []
                for (i, part) in parts.enumerated() {
                    let split = program.count
                    let isLast = i == parts.count - 1
                    if !isLast { try add(.split(split + 1, 0)) }
                    try emit(part)
                    if !isLast {
                        ends.append(program.count)
                        try add(.jump(0))
                        program[split] = .split(split + 1, program.count)
                    }
                }
                for end in ends { program[end] = .jump(program.count) }
            case .repetition(let part, let least, let most):
                for _ in 0..<least { try emit(part) }
                guard let most else {
                    let start = program.count
                    try add(.split(start + 1, 0))
                    try emit(part)
                    try add(.jump(start))
                    program[start] = .split(start + 1, program.count)
                    return
                }
                var splits: [Int] = []
                for _ in least..<max(least, most) {
                    splits.append(program.count)
                    try add(.split(program.count + 1, 0))
                    try emit(part)
                }
                for split in splits { program[split] = .split(split + 1, program.count) }
            }
        }
    }
}

/// What an expression may cost.
enum RegularExpressionLimits {
    /// Of a compiled expression; refused beyond. Unit: instructions. Bounds the time of a match: a path of 8 KiB takes at most eight
    /// million steps. Source: ours; expressions of routes have tens.
    static let instructionsMax = 1000
    /// Groups within groups; refused beyond. Bounds the stack of the parser.
    static let depthMax = 100
    /// The largest count of a repetition; refused beyond. Source: RE2.
    static let repetitionMax = 1000
}
