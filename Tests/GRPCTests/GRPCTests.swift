// Framing in every split, statuses, timeouts and the verdict over response heads.

import Base
import GRPC
import Testing

@Suite struct FramingTests {
    /// Messages and the error, if any, that a reader gives when fed in pieces of these lengths.
    private func read(_ bytes: [UInt8], splits: [Int], limits: GRPCLimits = GRPCLimits()) -> (messages: [[UInt8]], error: PeerError?) {
        var reader = GRPCMessageReader(limits: limits)
        var messages: [[UInt8]] = []
        var start = 0
        do {
            for end in splits + [bytes.count] {
                reader.receive(bytes[start..<end].span.bytes)
                start = end
                while let message = try reader.next() { messages.append(message) }
            }
            try reader.finish()
            return (messages, nil)
        } catch { return (messages, error) }
    }

    @Test func `messages come out the same however the bytes are split`() {
        let messages: [[UInt8]] = [[1, 2, 3], [], Array(repeating: 7, count: 300), [9]]
        let bytes = messages.flatMap { GRPCMessage.frame($0) }
        #expect(read(bytes, splits: []).messages == messages)
        #expect(read(bytes, splits: Array(1..<bytes.count)).messages == messages)
        for split in 0...bytes.count {
            let result = read(bytes, splits: [split])
            #expect(result.messages == messages)
            #expect(result.error == nil)
        }
    }

    @Test(arguments: [
        ([1, 0, 0, 0, 0], GRPCStatus.Code.internal, "compressed"),
        ([2, 0, 0, 0, 0], .internal, "neither 0 nor 1"),
        ([0, 0, 0, 0, 9], .resourceExhausted, "longer than 8"),
        ([0, 255, 255, 255, 255], .resourceExhausted, "longer than 8"),
        ([0, 0, 0, 0, 8, 1], .internal, "inside"),
        ([0, 0], .internal, "inside"),
    ] as [([UInt8], GRPCStatus.Code, String)])
    func `a message that breaks the rules is named, in every split`(_ tail: [UInt8], _ code: GRPCStatus.Code, _ words: String) {
        var limits = GRPCLimits()
        limits.messageBytesMax = 8
        let bytes = GRPCMessage.frame([5]) + tail
        for split in 0...bytes.count {
            let result = read(bytes, splits: [split], limits: limits)
            #expect(result.messages == [[5]])
            #expect(result.error?.code == code.rawValue)
            #expect(result.error?.rule.contains(words) == true)
        }
    }

    @Test func `an error comes again and nothing is kept after it`() {
        var reader = GRPCMessageReader()
        reader.receive(([9, 0, 0, 0, 0] as [UInt8]).span.bytes)
        #expect(throws: PeerError.self) { try reader.next() }
        reader.receive(GRPCMessage.frame([1]).span.bytes)
        #expect(throws: PeerError.self) { try reader.next() }
    }
}

@Suite struct StatusTests {
    @Test func `the seventeen codes have the names and numbers of the specification`() {
        #expect(GRPCStatus.Code.allCases.map(\.rawValue) == Array(0...16))
        #expect(GRPCStatus.Code.failedPrecondition.name == "FAILED_PRECONDITION" && GRPCStatus.Code.failedPrecondition.rawValue == 9)
        #expect(GRPCStatus.Code.unavailable.name == "UNAVAILABLE" && GRPCStatus.Code.unavailable.rawValue == 14)
        #expect(Set(GRPCStatus.Code.allCases.map(\.name)).count == 17)
    }

    @Test(arguments: [
        ("plain text ~", "plain text ~"), ("100%", "100%25"), ("a\nb", "a%0Ab"), ("é", "%C3%A9"), ("\u{7f}", "%7F"), ("", ""),
    ])
    func `a message is percent-encoded and decoded`(_ text: String, _ encoded: String) {
        #expect(GRPCStatus(.unknown, text).encodedMessage == encoded)
        #expect(GRPCStatus(statusValue: "2", messageValue: encoded).message == text)
    }

    @Test(arguments: [("%", "%"), ("%4", "%4"), ("%zz", "%zz"), ("%41%", "A%"), ("%4g", "%4g"), ("%ff", "\u{fffd}")])
    func `a malformed escape stands for itself`(_ encoded: String, _ text: String) {
        #expect(GRPCStatus(statusValue: "2", messageValue: encoded).message == text)
    }

    @Test(arguments: [("0", GRPCStatus.Code.ok), ("16", .unauthenticated), ("17", .unknown), ("", .unknown), ("-1", .unknown), ("+1", .unknown), ("x", .unknown), ("99999999999999", .unknown)])
    func `a status that is none of ours is unknown`(_ value: String, _ code: GRPCStatus.Code) {
        #expect(GRPCStatus(statusValue: value, messageValue: nil).code == code)
    }

    @Test func `a long message is cut`() {
        #expect(GRPCStatus(statusValue: "2", messageValue: String(repeating: "a", count: 10_000)).message.utf8.count == GRPCLimits().statusMessageBytesMax)
    }

    @Test func `HTTP statuses and resets map as the specification says`() {
        let http: [(UInt16, GRPCStatus.Code)] = [(400, .internal), (401, .unauthenticated), (403, .permissionDenied), (404, .unimplemented), (429, .unavailable), (500, .unknown), (502, .unavailable), (503, .unavailable), (504, .unavailable)]
        for (status, code) in http { #expect(GRPCStatus(httpStatus: status).code == code) }
        let resets: [(UInt32, GRPCStatus.Code)] = [(0, .internal), (1, .internal), (7, .unavailable), (8, .cancelled), (11, .resourceExhausted), (12, .permissionDenied), (99, .unknown)]
        for (error, code) in resets { #expect(GRPCStatus(http2ErrorCode: error).code == code) }
    }
}

@Suite struct FieldTests {
    @Test(arguments: [("1H", Interval.hours(1)), ("5M", .minutes(5)), ("10S", .seconds(10)), ("100m", .milliseconds(100)), ("7u", .microseconds(7)), ("99999999n", .nanoseconds(99_999_999))])
    func `a timeout is read`(_ text: String, _ interval: Interval) { #expect(GRPCTimeout.parse(text) == interval) }

    @Test(arguments: ["", "S", "1", "1s", "-1S", "+1S", "1 S", "123456789S", "1.5S", "0x1S"])
    func `a malformed timeout is refused`(_ text: String) { #expect(GRPCTimeout.parse(text) == nil) }

    @Test func `a timeout is written in eight digits, never too short`() {
        #expect(GRPCTimeout.format(.seconds(10)) == "10000000u")
        #expect(GRPCTimeout.format(.nanoseconds(100_000_001)) == "100001u")
        #expect(GRPCTimeout.format(.zero) == "0n")
        #expect(GRPCTimeout.format(.nanoseconds(-5)) == "0n")
        for interval in [Interval.nanoseconds(1), .milliseconds(99_999), .days(3), .days(100_000)] {
            #expect(GRPCTimeout.parse(GRPCTimeout.format(interval))! >= interval)
        }
        #expect(GRPCTimeout.parse("99999999H") == Interval(nanoseconds: .max))
    }

    @Test func `te and content-type come before metadata`() {
        let fields = GRPCFields.request(timeout: .seconds(1), metadata: [("a", "b")])
        #expect(fields.map(\.name) == ["te", "content-type", "grpc-timeout", "a"])
        #expect(GRPCFields.trailersOnly(GRPCStatus(.notFound, "no")).map(\.value) == ["application/grpc", "5", "no"])
    }

    @Test func `content types of gRPC are told from others`() {
        for value in ["application/grpc", "application/grpc+proto", "application/grpc;charset=utf-8"] { #expect(GRPCFields.isGRPC(contentType: value)) }
        for value in ["application/grpc-web", "application/json", "", "application/grp"] { #expect(!GRPCFields.isGRPC(contentType: value)) }
        #expect(!GRPCFields.isGRPC(contentType: nil))
    }

    @Test func `a response head is judged`() {
        func verdict(_ status: UInt16, _ endStream: Bool, _ fields: [String: String]) -> GRPCStatus.Code? {
            GRPCFields.verdict(httpStatus: status, endStream: endStream) { fields[$0] }?.code
        }
        #expect(verdict(200, false, ["content-type": "application/grpc"]) == nil)
        #expect(verdict(200, true, ["content-type": "application/grpc", "grpc-status": "5"]) == .notFound)
        #expect(verdict(200, true, ["content-type": "application/grpc", "grpc-status": "0"]) == .ok)
        #expect(verdict(200, true, ["content-type": "application/grpc"]) == .unknown)
        #expect(verdict(200, false, ["content-type": "text/html"]) == .unknown)
        #expect(verdict(503, false, [:]) == .unavailable)
        #expect(verdict(503, true, ["grpc-status": "8"]) == .resourceExhausted)
        #expect(GRPCFields.status { _ in nil }.code == .unknown)
        #expect(GRPCFields.status { ["grpc-status": "7"][$0] }.code == .permissionDenied)
    }
}
