// What was answered then and what now, as values, as text for people and as one JSON object for programs. Both orders are the
// capture's, so two runs of the same file and seed print the same bytes.

import Base
import Capture

/// What became of one replayed request.
public struct ReplayAnswer: Sendable {
    /// nil: nothing was answered; `problem` says why.
    public var status: UInt16?
    /// From the request's first byte to the answer's last, in simulated time.
    public var latency: Interval?
    public var bodyBytes: Int
    public var problem: String?

    public init(status: UInt16? = nil, latency: Interval? = nil, bodyBytes: Int = 0, problem: String? = nil) {
        self.status = status
        self.latency = latency
        self.bodyBytes = bodyBytes
        self.problem = problem
    }
}

/// A plan and its answers.
public struct ReplayReport: Sendable {
    public var plan: ReplayPlan
    /// By request id less one.
    public var answers: [ReplayAnswer]

    public init(plan: ReplayPlan, answers: [ReplayAnswer]) {
        invariant(answers.count == plan.requestCount, "every request has an answer or a reason why not")
        self.plan = plan
        self.answers = answers
    }

    public func answer(to request: ReplayRequest) -> ReplayAnswer { answers[request.id - 1] }

    /// Requests answered as in the capture, otherwise, and those for which the capture knows no answer.
    public var tally: (alike: Int, different: Int, unknown: Int) {
        var result = (alike: 0, different: 0, unknown: 0)
        for conversation in plan.conversations {
            for request in conversation.requests {
                guard let then = request.statusThen else {
                    result.unknown += 1
                    continue
                }
                if then == answer(to: request).status { result.alike += 1 } else { result.different += 1 }
            }
        }
        return result
    }

    /// For people: a line for the file, a block for each conversation, a line for the sum.
    public var text: String {
        var lines = ["\(plan.file): \(counted(plan.packets, "packet")) (\(plan.linkType)), \(counted(plan.flows, "TCP flow")), \(counted(plan.requestCount, "HTTP/1 request"))"]
        for conversation in plan.conversations {
            lines.append("")
            lines.append("\(conversation.client) -> \(conversation.server), \(counted(conversation.requests.count, "request"))")
            for request in conversation.requests { lines.append(line(request)) }
            for problem in conversation.problems { lines.append("  ! \(printable(problem.description))") }
        }
        lines.append("")
        let tally = tally
        lines.append(
            "\(counted(plan.requestCount, "request")): \(tally.alike) answered as captured, \(tally.different) otherwise, \(tally.unknown) without a captured answer")
        if plan.answersWithoutRequest > 0 { lines.append("\(counted(plan.answersWithoutRequest, "answer")) in the capture without a request, not replayed") }
        if plan.pausesShortened > 0 { lines.append("\(counted(plan.pausesShortened, "pause")) over \(Limits.pauseMax) shortened") }
        if plan.requestsLeftOut > 0 { lines.append("\(counted(plan.requestsLeftOut, "request")) beyond the bound of \(Limits.requestsMax) left out") }
        if let damage = plan.damage { lines.append(damageLine(plan, damage)) }
        return lines.map { $0 + "\n" }.joined()
    }

    private func line(_ request: ReplayRequest) -> String {
        let now = answer(to: request)
        let target = printable(request.target)
        let shown = target.count > 60 ? target.prefix(57) + "..." : Substring(target)
        let what = "\(printable(request.method)) \(shown)"
        let mark = request.statusThen == nil || request.statusThen == now.status ? " " : "*"
        let time = "+\(request.time)"
        var text = "\(mark) \(column(time, 13)) \(column(what, 64)) then \(request.statusThen.map { "\($0)" } ?? "-  ")  now \(now.status.map { "\($0)" } ?? "-  ")"
        if let latency = now.latency { text += "  \(latency)" }
        let remarks = (request.problems + (now.problem.map { ["now: " + $0] } ?? [])).map(printable)
        if !remarks.isEmpty { text += "  (\(remarks.joined(separator: "; ")))" }
        return text
    }

    /// For programs: `file, packets, flows, requests` and for each request `time` (seconds), `method, target, statusThen, statusNow`
    /// (null where there was none) and what else is known. One line.
    public var json: String {
        var writer = JSONLine()
        writer.open("{")
        writer.field("file", plan.file)
        writer.field("packets", plan.packets)
        writer.field("flows", plan.flows)
        writer.field("linkType", plan.linkType)
        writer.field("answersWithoutRequest", plan.answersWithoutRequest)
        writer.key("damage")
        if let damage = plan.damage {
            writer.open("{")
            writer.field("packet", damage.packet)
            writer.field("reason", damage.reason)
            writer.close("}")
        } else {
            writer.raw("null")
        }
        writer.key("requests")
        writer.open("[")
        for (index, conversation) in plan.conversations.enumerated() {
            for request in conversation.requests {
                let now = answer(to: request)
                writer.element()
                writer.open("{")
                writer.key("time")
                writer.raw(seconds(request.time))
                writer.field("conversation", index + 1)
                writer.field("client", "\(conversation.client)")
                writer.field("server", "\(conversation.server)")
                writer.field("method", request.method)
                writer.field("target", request.target)
                writer.field("statusThen", request.statusThen.map(Int.init))
                writer.field("statusNow", now.status.map(Int.init))
                writer.field("bodyBytesThen", request.response?.message.bodyBytes)
                writer.field("bodyBytesNow", now.status == nil ? nil : now.bodyBytes)
                writer.key("latencyNow")
                writer.raw(now.latency.map(seconds) ?? "null")
                writer.key("problems")
                writer.open("[")
                for problem in request.problems + (now.problem.map { [$0] } ?? []) {
                    writer.element()
                    writer.string(problem)
                }
                writer.close("]")
                writer.close("}")
            }
        }
        writer.close("]")
        writer.close("}")
        return writer.text
    }
}

/// One line that says what is wrong with a file, where, and what could be used.
public func damageLine(_ plan: ReplayPlan, _ damage: CaptureFailure) -> String {
    "damaged at packet \(damage.packet): \(printable(damage.reason)); used the \(counted(plan.packets, "packet")) before it, \(counted(plan.requestCount, "request")) in them"
}

private func counted(_ n: Int, _ noun: String) -> String { "\(n) \(noun)\(n == 1 ? "" : "s")" }

private func column(_ text: String, _ width: Int) -> String { text.count >= width ? text : text + String(repeating: " ", count: width - text.count) }

/// Captured text must not steer a terminal: control characters are written as escapes.
func printable(_ text: String) -> String {
    var out = ""
    for scalar in text.unicodeScalars {
        if scalar.value < 32 || (127..<160).contains(scalar.value) { out += "\\x" + String(scalar.value + 256, radix: 16).dropFirst() } else { out.unicodeScalars.append(scalar) }
    }
    return out
}

/// Decimal seconds with nine places, exact.
private func seconds(_ interval: Interval) -> String {
    let magnitude = interval.nanoseconds.magnitude
    return (interval.nanoseconds < 0 ? "-" : "") + "\(magnitude / 1_000_000_000)." + String(magnitude % 1_000_000_000 + 1_000_000_000).dropFirst()
}

/// Writes one JSON text piece by piece (RFC 8259), so that a hundred thousand requests need no tree.
private struct JSONLine {
    private(set) var text = ""
    private var needsComma = false

    mutating func open(_ bracket: String) {
        text += bracket
        needsComma = false
    }

    mutating func close(_ bracket: String) {
        text += bracket
        needsComma = true
    }

    mutating func element() {
        if needsComma { text += "," }
        needsComma = false
    }

    mutating func key(_ name: String) {
        element()
        text += "\"\(name)\":"
    }

    mutating func raw(_ value: String) {
        text += value
        needsComma = true
    }

    mutating func string(_ value: String) {
        text += "\""
        for scalar in value.unicodeScalars {
            switch scalar {
            case "\"": text += "\\\""
            case "\\": text += "\\\\"
            default:
                if scalar.value < 32 || scalar.value == 127 { text += "\\u00" + String(scalar.value + 256, radix: 16).dropFirst() } else { text.unicodeScalars.append(scalar) }
            }
        }
        text += "\""
        needsComma = true
    }

    mutating func field(_ name: String, _ value: String) {
        key(name)
        string(value)
    }

    mutating func field(_ name: String, _ value: Int?) {
        key(name)
        raw(value.map { "\($0)" } ?? "null")
    }
}
