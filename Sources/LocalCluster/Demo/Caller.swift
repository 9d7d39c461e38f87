// The calls of the demonstration as real programs make them: curl for HTTP, socat for bytes, both in the client's pod. What they say
// is checked here; who the server took them for is read from its log and from its proxy.

import Base
import Linux
import Platform
import Simulations

/// One call and what it took.
struct MadeCall {
    var record: CallRecord
    /// As curl measured it; for bytes, the life of the program.
    var seconds: Double
    /// Connections that the client opened for it.
    var connections: Int
}

struct DemoCaller {
    let cluster: MachineCluster
    let web: LocalPod
    let api: LocalPod

    /// Makes the calls of one step.
    func make(_ step: [DemoPlan.Call]) throws(LocalFailure) -> [MadeCall] {
        let before = ProxyMetrics(try cluster.metrics(of: api))
        let logged = accessLog().count
        var calls = step[0].kind == .bytes ? try converse(step[0]) : try curl(step)
        let after = ProxyMetrics(try cluster.metrics(of: api))
        if step[0].kind == .bytes {
            calls[0].record.isTLS = Self.secured(after, before, DemoPlan.bytesFamily) == 1
            calls[0].record.client = calls[0].record.isTLS ? DemoPlan.client : nil
        } else {
            let isTLS = Self.secured(after, before, DemoPlan.requestsFamily) == step.count
            // nginx writes its log after the answer.
            try cluster.wait("nginx to log \(step.count) requests") { accessLog().count >= logged + step.count }
            for (i, line) in accessLog().dropFirst(logged).enumerated() where i < calls.count {
                let words = line.split(separator: " ")
                calls[i].record.isTLS = isTLS
                if words.count == 4, words[3] != "-" { calls[i].record.client = String(words[3]) }
                if words.count < 3 || words[0] != step[i].kind.rawValue || words[1] != step[i].path { calls[i].record.failure = "nginx logged \(line)" }
            }
        }
        for i in calls.indices where calls[i].record.failure == nil { calls[i].record.failure = Self.complaint(calls[i], isLater: i > 0) }
        return calls
    }

    private static func secured(_ after: ProxyMetrics, _ before: ProxyMetrics, _ family: String) -> Int {
        after.sum(family, DemoPlan.securedLabels) - before.sum(family, DemoPlan.securedLabels)
    }

    private static func complaint(_ call: MadeCall, isLater: Bool) -> String? {
        if call.record.client != DemoPlan.client { return "the server took the client for \(call.record.client ?? "nobody")" }
        if !call.record.isTLS { return "the server's proxy did not take it from a TLS connection of that client" }
        if isLater, call.connections != 0 { return "the second request opened a connection of its own" }
        return nil
    }

    private func accessLog() -> [Substring] {
        guard let bytes = try? cluster.host.files.read("\(api.run)/nginx/access.log") else { return [] }
        return String(decoding: bytes, as: UTF8.self).split(separator: "\n")
    }

    // MARK: Programs

    private func curl(_ step: [DemoPlan.Call]) throws(LocalFailure) -> [MadeCall] {
        let path: String
        do throws(Refusal) { path = try Images.installed("curl", package: "curl") } catch { throw LocalFailure(error.reason) }
        var arguments = ["-sS", "--max-time", "10", "-w", "\\n@ %{http_code} %{size_download} %{time_total} %{num_connects}\\n"]
        if step[0].kind == .post { arguments += ["--data-binary", step[0].body] }
        arguments += step.map { "http://\(DemoPlan.host)\($0.path)" }
        let result = try cluster.run(ChildProgram(path: path, arguments: arguments, environment: [("PATH", ChildProcess.systemPath)]), in: web)
        guard result.status == 0 else { throw LocalFailure("curl in web ended with status \(result.status): \(result.errors)") }
        var answers: [(body: [Substring], words: [Substring])] = [([], [])]
        for line in result.output.split(separator: "\n", omittingEmptySubsequences: false) {
            if line.hasPrefix("@ ") {
                answers[answers.count - 1].words = line.split(separator: " ")
                answers.append(([], []))
            } else {
                answers[answers.count - 1].body.append(line)
            }
        }
        answers.removeLast()
        guard answers.count == step.count, answers.allSatisfy({ $0.words.count == 5 }) else { throw LocalFailure("curl said something else than asked: \(result.output)") }
        return zip(step, answers).map { call, answer in
            let text = answer.body.joined(separator: "\n")
            let bytes = Int(answer.words[2]) ?? -1
            var record = CallRecord(call: call.name, status: Int(answer.words[1]), bytes: bytes, client: nil, isTLS: false)
            let wanted = DemoPlan.answer(body: call.body, client: DemoPlan.client)
            if record.status != 200 { record.failure = "the status is \(answer.words[1])" } else if text != wanted || bytes != wanted.utf8.count { record.failure = "the body is \"\(text)\", not \"\(wanted)\"" }
            return MadeCall(record: record, seconds: Double(answer.words[3]) ?? 0, connections: Int(answer.words[4]) ?? -1)
        }
    }

    /// Says everything, half-closes, and hears until the end.
    private func converse(_ call: DemoPlan.Call) throws(LocalFailure) -> [MadeCall] {
        let path: String
        do throws(Refusal) { path = try Images.installed("socat", package: "socat") } catch { throw LocalFailure(error.reason) }
        let start = cluster.host.now
        let program = ChildProgram(path: path, arguments: ["-t", "5", "STDIO", "TCP4:\(DemoPlan.host):\(DemoPlan.bytesPort)"], environment: [("PATH", ChildProcess.systemPath)])
        let result = try cluster.run(program, in: web, input: call.body)
        guard result.status == 0 else { throw LocalFailure("socat in web ended with status \(result.status): \(result.errors)") }
        var record = CallRecord(call: call.name, status: nil, bytes: result.output.utf8.count, client: nil, isTLS: false)
        if result.output != call.body { record.failure = "heard \"\(result.output)\"" }
        return [MadeCall(record: record, seconds: Double((cluster.host.now - start).nanoseconds) / 1e9, connections: 1)]
    }
}
