// The gRPC interoperability tests by our channel and server, as grpc/doc/interop-test-descriptions.md has them.

import Base
import GRPC
import HTTP
import Platform
import Testing
import Transport

enum TestService {
    private static func method<Q, A>(_ name: String, client: Bool = false, server: Bool = false, _ q: @escaping @Sendable (Q) -> [UInt8], _ dq: @escaping @Sendable ([UInt8]) -> Q?, _ a: @escaping @Sendable (A) -> [UInt8], _ da: @escaping @Sendable ([UInt8]) -> A?) -> GRPCMethod<Q, A> {
        GRPCMethod(path: "/grpc.testing.\(name)", isServerStreaming: server, isClientStreaming: client, encodeRequest: q, decodeRequest: dq, encodeResponse: a, decodeResponse: da)
    }

    static let emptyCall = method("TestService/EmptyCall", { (_: WireFields) in [] }, { WireFields($0) }, { (_: WireFields) in [] }, { WireFields($0) })
    static let unaryCall = method("TestService/UnaryCall", { (q: InteropRequest) in q.simple }, { InteropRequest(simple: $0) }, { (a: InteropPayload) in a.encoded }, { InteropPayload($0) })
    static let streamingOutputCall = method(
        "TestService/StreamingOutputCall", server: true, { (q: InteropRequest) in q.streaming }, { InteropRequest(streaming: $0) }, { (a: InteropPayload) in a.encoded }, { InteropPayload($0) })
    static let streamingInputCall = method(
        "TestService/StreamingInputCall", client: true, { (q: InteropPayload) in q.encoded }, { InteropPayload($0) }, { (a: InteropSum) in a.encoded }, { InteropSum($0) })
    static let fullDuplexCall = method(
        "TestService/FullDuplexCall", client: true, server: true, { (q: InteropRequest) in q.streaming }, { InteropRequest(streaming: $0) }, { (a: InteropPayload) in a.encoded }, { InteropPayload($0) })
    static let halfDuplexCall = method(
        "TestService/HalfDuplexCall", client: true, server: true, { (q: InteropRequest) in q.streaming }, { InteropRequest(streaming: $0) }, { (a: InteropPayload) in a.encoded }, { InteropPayload($0) })
    static let unimplementedCall = method("TestService/UnimplementedCall", { (_: WireFields) in [] }, { WireFields($0) }, { (_: WireFields) in [] }, { WireFields($0) })
    static let unimplementedService = method("UnimplementedService/UnimplementedCall", { (_: WireFields) in [] }, { WireFields($0) }, { (_: WireFields) in [] }, { WireFields($0) })

    static let initial = "x-grpc-test-echo-initial"
    static let trailing = "x-grpc-test-echo-trailing-bin"
}

/// The service on our server.
struct InteropService {
    let host: any Host

    func register(on server: GRPCServer) {
        server.register(TestService.emptyCall, unary: { _, _, answer in answer(.success(WireFields())) })
        server.register(TestService.unaryCall, streaming: { request, caller, answers in
            Self.echo(caller, answers)
            if Self.end(request, answers) { return }
            answers.send(InteropPayload(bytes: request.responseBytes))
            answers.finish(.ok)
        })
        server.register(TestService.streamingOutputCall, streaming: { request, _, answers in
            if Self.end(request, answers) { return }
            let outputs = Outputs(host, answers)
            outputs.add(request.wanted)
            outputs.end()
        })
        server.register(TestService.streamingInputCall, duplex: { _, answers in
            var sum = 0
            return GRPCRequests(received: { sum += $0.bytes }, ended: {
                answers.send(InteropSum(bytes: sum))
                answers.finish(.ok)
            })
        })
        server.register(TestService.fullDuplexCall, duplex: { caller, answers in
            Self.echo(caller, answers)
            let outputs = Outputs(host, answers)
            return GRPCRequests(received: { if !Self.end($0, answers) { outputs.add($0.wanted) } }, ended: { outputs.end() })
        })
        server.register(TestService.halfDuplexCall, duplex: { _, answers in
            var wanted: [InteropRequest.Wanted] = []
            return GRPCRequests(received: { wanted += $0.wanted }, ended: {
                let outputs = Outputs(host, answers)
                outputs.add(wanted)
                outputs.end()
            })
        })
    }

    private static func echo(_ caller: GRPCCaller, _ answers: ResponseStream<InteropPayload>) {
        if let value = caller.metadata.first(TestService.initial) { answers.initialMetadata = [(TestService.initial, value)] }
        if let value = caller.metadata.first(TestService.trailing) { answers.trailingMetadata = [(TestService.trailing, value)] }
    }

    private static func end(_ request: InteropRequest, _ answers: ResponseStream<InteropPayload>) -> Bool {
        guard let status = request.status, status.code != 0 else { return false }
        answers.finish(GRPCStatus(GRPCStatus.Code(rawValue: UInt32(status.code)) ?? .unknown, status.message))
        return true
    }

    /// Answers in their order, each after its wait.
    private final class Outputs {
        private let host: any Host
        private let answers: ResponseStream<InteropPayload>
        private var waiting: [InteropRequest.Wanted] = []
        private var isEnded = false
        private var isWaiting = false

        init(_ host: any Host, _ answers: ResponseStream<InteropPayload>) {
            self.host = host
            self.answers = answers
        }

        func add(_ wanted: [InteropRequest.Wanted]) {
            waiting += wanted
            go()
        }

        func end() {
            isEnded = true
            go()
        }

        private func go() {
            while !isWaiting, let next = waiting.first {
                if next.microseconds > 0 {
                    isWaiting = true
                    waiting[0].microseconds = 0
                    host.after(.microseconds(Int64(next.microseconds))) {
                        self.isWaiting = false
                        self.go()
                    }
                } else {
                    waiting.removeFirst()
                    answers.send(InteropPayload(bytes: next.size))
                }
            }
            if isEnded, !isWaiting { answers.finish(.ok) }
        }
    }
}

/// The cases as our channel makes them, one after the other.
struct InteropClient {
    let host: any Host
    let channel: GRPCChannel
    let drive: (_ what: Comment, _ until: () -> Bool) -> Void

    /// What became of one call.
    final class Outcome<Answer> {
        var answers: [Answer] = []
        var status: GRPCStatus?
        var writable = 0
    }

    static let pings = [(31_415, 27_182), (9, 8), (2_653, 1_828), (58_979, 45_904)]

    func one<Q, A>(_ method: GRPCMethod<Q, A>, _ request: Q, metadata: [(name: String, value: String)] = [], timeout: Interval? = nil) -> (outcome: Outcome<A>, call: GRPCCall) {
        let outcome = Outcome<A>()
        let call = channel.call(method, request, metadata: metadata, timeout: timeout, onMessage: { outcome.answers.append($0) }, onEnd: { outcome.status = $0 })
        return (outcome, call)
    }

    func many<Q, A>(_ method: GRPCMethod<Q, A>, metadata: [(name: String, value: String)] = [], timeout: Interval? = nil) -> (outcome: Outcome<A>, requests: GRPCRequestStream<Q>) {
        let outcome = Outcome<A>()
        let requests = channel.stream(method, metadata: metadata, timeout: timeout, onWritable: { outcome.writable += 1 }, onMessage: { outcome.answers.append($0) }, onEnd: { outcome.status = $0 })
        return (outcome, requests)
    }

    private func end<A>(_ outcome: Outcome<A>, _ what: Comment) { drive("\(what) ends") { outcome.status != nil } }

    func emptyUnary() {
        let (outcome, _) = one(TestService.emptyCall, WireFields())
        end(outcome, "empty_unary")
        #expect(outcome.status == .ok && outcome.answers.map(\.fields.count) == [0])
    }

    func largeUnary() {
        let (outcome, _) = one(TestService.unaryCall, InteropRequest(payloadBytes: 271_828, responseBytes: 314_159))
        end(outcome, "large_unary")
        #expect(outcome.status == .ok && outcome.answers == [InteropPayload(bytes: 314_159)])
    }

    func clientStreaming() {
        let (outcome, requests) = many(TestService.streamingInputCall)
        for size in [27_182, 8, 1_828, 45_904] { requests.send(InteropPayload(bytes: size)) }
        requests.finish()
        end(outcome, "client_streaming")
        #expect(outcome.status == .ok && outcome.answers == [InteropSum(bytes: 74_922)])
    }

    func serverStreaming() {
        let (outcome, _) = one(TestService.streamingOutputCall, InteropRequest(wanted: [31_415, 9, 2_653, 58_979].map { .init(size: $0) }))
        end(outcome, "server_streaming")
        #expect(outcome.status == .ok && outcome.answers.map(\.bytes) == [31_415, 9, 2_653, 58_979])
    }

    func pingPong() {
        let (outcome, requests) = many(TestService.fullDuplexCall)
        for (number, (size, body)) in Self.pings.enumerated() {
            requests.send(InteropRequest(payloadBytes: body, wanted: [.init(size: size)]))
            drive("ping \(number) is answered") { outcome.answers.count > number || outcome.status != nil }
        }
        requests.finish()
        end(outcome, "ping_pong")
        #expect(outcome.status == .ok && outcome.answers.map(\.bytes) == Self.pings.map(\.0))
    }

    func emptyStream() {
        let (outcome, requests) = many(TestService.fullDuplexCall)
        requests.finish()
        end(outcome, "empty_stream")
        #expect(outcome.status == .ok && outcome.answers.isEmpty)
    }

    func halfDuplex() {
        let (outcome, requests) = many(TestService.halfDuplexCall)
        for (size, body) in Self.pings { requests.send(InteropRequest(payloadBytes: body, wanted: [.init(size: size)])) }
        requests.finish()
        end(outcome, "half_duplex")
        #expect(outcome.status == .ok && outcome.answers.map(\.bytes) == Self.pings.map(\.0))
    }

    func customMetadata() {
        let metadata = [(TestService.initial, "test_initial_metadata_value"), (TestService.trailing, base64Encoded([0xab, 0xab, 0xab]))].map { (name: $0.0, value: $0.1) }
        let (unary, call) = one(TestService.unaryCall, InteropRequest(payloadBytes: 271_828, responseBytes: 314_159), metadata: metadata)
        end(unary, "custom_metadata, unary")
        let (duplex, requests) = many(TestService.fullDuplexCall, metadata: metadata)
        requests.send(InteropRequest(payloadBytes: 271_828, wanted: [.init(size: 314_159)]))
        requests.finish()
        end(duplex, "custom_metadata, duplex")
        for (status, call) in [(unary.status, call), (duplex.status, requests.call)] {
            #expect(status == .ok)
            #expect(call.responseHead?.first(TestService.initial) == "test_initial_metadata_value")
            // With or without padding (grpc/doc/PROTOCOL-HTTP2.md).
            #expect(call.responseTrailers?.first(TestService.trailing)?.filter { $0 != "=" } == "q6ur")
        }
    }

    func statuses() {
        let special = "\t\ntest with whitespace\r\nand Unicode BMP ☺ and non-BMP 😈\t\n"
        for (code, message) in [(2, "test status message"), (2, special)] + GRPCStatus.Code.allCases.filter({ $0 != .ok }).map({ (Int($0.rawValue), "50% of \($0.name)") }) {
            let wanted = GRPCStatus(GRPCStatus.Code(rawValue: UInt32(code))!, message)
            let (unary, _) = one(TestService.unaryCall, InteropRequest(status: EchoStatus(code: code, message: message)))
            end(unary, "status \(code), unary")
            #expect(unary.status == wanted)
            let (duplex, requests) = many(TestService.fullDuplexCall)
            requests.send(InteropRequest(status: EchoStatus(code: code, message: message)))
            requests.finish()
            end(duplex, "status \(code), duplex")
            #expect(duplex.status == wanted)
        }
    }

    func unimplemented() {
        for method in [TestService.unimplementedCall, TestService.unimplementedService] {
            let (outcome, _) = one(method, WireFields())
            end(outcome, "unimplemented")
            #expect(outcome.status?.code == .unimplemented)
        }
    }

    func cancellation() {
        let (begun, first) = many(TestService.streamingInputCall)
        first.call.cancel()
        #expect(first.call.isOver && begun.status == nil)
        let (outcome, second) = many(TestService.fullDuplexCall)
        second.send(InteropRequest(payloadBytes: 27_182, wanted: [.init(size: 31_415)]))
        drive("the first answer comes") { !outcome.answers.isEmpty || outcome.status != nil }
        second.call.cancel()
        #expect(second.call.isOver && outcome.status == nil && outcome.answers.map(\.bytes) == [31_415])
    }

    func deadlines() {
        let (sleeping, requests) = many(TestService.fullDuplexCall, timeout: .milliseconds(1))
        requests.send(InteropRequest(payloadBytes: 27_182))
        end(sleeping, "timeout_on_sleeping_server")
        #expect(sleeping.status?.code == .deadlineExceeded)
        let begun = host.now
        let (slow, _) = one(TestService.streamingOutputCall, InteropRequest(wanted: [.init(size: 1), .init(size: 1, microseconds: 5_000_000)]), timeout: .milliseconds(300))
        end(slow, "a deadline on a slow answer")
        #expect(slow.status?.code == .deadlineExceeded && slow.answers.count == 1 && host.now - begun < .seconds(3))
    }

    func muchBothWays() {
        let (outcome, requests) = many(TestService.fullDuplexCall)
        var sent = 0
        while sent < 200 {
            while sent < 200, requests.isWritable {
                requests.send(InteropRequest(payloadBytes: 50_000, wanted: [.init(size: 50_000)]))
                sent += 1
            }
            let before = outcome.writable
            if sent < 200 { drive("there is room again") { outcome.writable > before || outcome.status != nil } }
        }
        requests.finish()
        end(outcome, "much both ways")
        #expect(outcome.status == .ok && outcome.answers == [InteropPayload](repeating: InteropPayload(bytes: 50_000), count: 200))
    }

    func slowReader() {
        let (outcome, call) = one(TestService.streamingOutputCall, InteropRequest(wanted: [InteropRequest.Wanted](repeating: .init(size: 100_000), count: 60)))
        drive("the first answer comes") { !outcome.answers.isEmpty || outcome.status != nil }
        call.isPaused = true
        let before = outcome.answers.count
        let begun = host.now
        drive("a while passes") { host.now - begun > .milliseconds(200) }
        #expect(outcome.answers.count == before && outcome.status == nil)
        call.isPaused = false
        end(outcome, "a slow reader")
        #expect(outcome.status == .ok && outcome.answers.count == 60)
    }

    func manyAtOnce() {
        let sizes = stride(from: 0, to: 30_000, by: 150).map { $0 }
        let calls = sizes.map { one(TestService.unaryCall, InteropRequest(payloadBytes: $0, responseBytes: $0)) }
        drive("all calls end") { calls.allSatisfy { $0.outcome.status != nil } }
        #expect(calls.map { $0.outcome.answers.first?.bytes } == sizes)
    }

    func compressedAnswerRefused() {
        let (outcome, _) = one(TestService.unaryCall, InteropRequest(payloadBytes: 100, responseBytes: 314_159, isCompressionWanted: true))
        end(outcome, "a compressed answer")
        // We announce no encoding, so a server that keeps the rules sends none; one that does not is refused with INTERNAL.
        #expect(outcome.status == .ok && outcome.answers.map(\.bytes) == [314_159] || outcome.status?.code == .internal && outcome.answers.isEmpty, "\(String(describing: outcome.status))")
    }

    func tooLongRefused() {
        let (outcome, _) = one(TestService.unaryCall, InteropRequest(responseBytes: 5 << 20))
        end(outcome, "an answer of more than 4 MiB")
        #expect(outcome.status?.code == .resourceExhausted)
    }

    func all() {
        emptyUnary()
        largeUnary()
        clientStreaming()
        serverStreaming()
        pingPong()
        emptyStream()
        halfDuplex()
        customMetadata()
        statuses()
        unimplemented()
        cancellation()
        deadlines()
        muchBothWays()
        slowReader()
        manyAtOnce()
    }
}
