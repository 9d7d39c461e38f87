// What a request says of the trace that it belongs to, in any of the three spellings that are about, and how it is said to the next hop:
// the same trace, with our span as the parent. The proxy never begins a trace by itself.
// Source: W3C Trace Context level 1; OpenZipkin b3-propagation; OpenCensus BinaryEncoding; facts 7.1.

import Base
import HTTP

struct TraceContext: Equatable {
    enum Family: Equatable {
        case w3c
        /// `grpc-trace-bin`.
        case binary
        case b3
    }

    var family: Family
    /// 16 bytes.
    var trace: (high: UInt64, low: UInt64)
    /// The span that asked.
    var parent: UInt64
    var flags: UInt8
    var isSampled: Bool

    static func == (a: TraceContext, b: TraceContext) -> Bool {
        a.family == b.family && a.trace == b.trace && a.parent == b.parent && a.flags == b.flags && a.isSampled == b.isSampled
    }

    var traceBytes: [UInt8] {
        var bytes: [UInt8] = []
        for word in [trace.high, trace.low] { withUnsafeBytes(of: word.bigEndian) { bytes += $0 } }
        return bytes
    }

    /// The first spelling that can be read, in Linkerd's order.
    static func read(_ headers: Headers) -> TraceContext? {
        headers.first("traceparent").flatMap { w3c($0) } ?? headers.first("grpc-trace-bin").flatMap { binary($0) } ?? b3(headers)
    }

    /// Makes `span` the parent of whatever comes next.
    func write(span: UInt64, into headers: inout Headers) {
        switch family {
        case .w3c: headers.set("traceparent", "00-\(Self.hex(trace.high))\(Self.hex(trace.low))-\(Self.hex(span))-\(Self.hex(flags))")
        case .binary:
            var bytes: [UInt8] = [0, 0]
            bytes += traceBytes
            bytes.append(1)
            withUnsafeBytes(of: span.bigEndian) { bytes += $0 }
            bytes += [2, flags]
            headers.set("grpc-trace-bin", base64Encoded(bytes))
        case .b3: headers.set("x-b3-spanid", Self.hex(span))
        }
    }

    /// `00-<trace>-<parent>-<flags>`; shorter ids stand for what is padded with zeros.
    private static func w3c(_ text: String) -> TraceContext? {
        let parts = text.split(separator: "-", omittingEmptySubsequences: false)
        guard parts.count == 4, parts[0] == "00", let trace = wide(parts[1]), let parent = word(parts[2]), parts[3].utf8.count == 2, let flags = word(parts[3]).map({ UInt8(truncatingIfNeeded: $0) }), parent != 0 else { return nil }
        return TraceContext(family: .w3c, trace: trace, parent: parent, flags: flags, isSampled: flags & 1 == 1)
    }

    /// Version 0, then fields: 0 is the trace (16 bytes), 1 the span (8), 2 the options (1). An unknown field ends the reading.
    private static func binary(_ text: String) -> TraceContext? {
        guard text.utf8.count <= 128, let bytes = base64Decoded(text), bytes.first == 0 else { return nil }
        var rest = bytes.dropFirst()
        var trace: (UInt64, UInt64)?
        var parent: UInt64?
        var flags: UInt8 = 0
        func number(_ slice: ArraySlice<UInt8>) -> UInt64 { slice.reduce(0) { $0 << 8 | UInt64($1) } }
        reading: while let field = rest.popFirst() {
            switch field {
            case 0 where rest.count >= 16:
                trace = (number(rest.prefix(8)), number(rest.dropFirst(8).prefix(8)))
                rest = rest.dropFirst(16)
            case 1 where rest.count >= 8:
                parent = number(rest.prefix(8))
                rest = rest.dropFirst(8)
            case 2 where rest.count >= 1: flags = rest.removeFirst()
            default: break reading
            }
        }
        guard let trace, let parent, trace != (0, 0), parent != 0 else { return nil }
        return TraceContext(family: .binary, trace: trace, parent: parent, flags: flags, isSampled: flags & 1 == 1)
    }

    private static func b3(_ headers: Headers) -> TraceContext? {
        guard let trace = headers.first("x-b3-traceid").flatMap({ wide($0[...]) }), let parent = headers.first("x-b3-spanid").flatMap({ word($0[...]) }), parent != 0 else { return nil }
        let isSampled = headers.first("x-b3-sampled") == "1"
        return TraceContext(family: .b3, trace: trace, parent: parent, flags: isSampled ? 1 : 0, isSampled: isSampled)
    }

    /// Up to 32 hexadecimal digits, not all zero.
    private static func wide(_ text: Substring) -> (UInt64, UInt64)? {
        guard (1...32).contains(text.utf8.count), let low = word(text.suffix(16)), let high = text.utf8.count > 16 ? word(text.dropLast(16)) : 0, (high, low) != (0, 0) else { return nil }
        return (high, low)
    }

    private static func word(_ text: Substring) -> UInt64? {
        guard (1...16).contains(text.utf8.count), text.utf8.allSatisfy({ (48...57).contains($0) || (97...102).contains($0) || (65...70).contains($0) }) else { return nil }
        return UInt64(text, radix: 16)
    }

    static func hex(_ value: some FixedWidthInteger & UnsignedInteger) -> String {
        let digits = String(value, radix: 16)
        return String(repeating: "0", count: value.bitWidth / 4 - digits.utf8.count) + digits
    }
}
