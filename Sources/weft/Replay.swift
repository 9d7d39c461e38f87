// `weft replay FILE.pcap`: reads a capture, says its HTTP/1 conversations again through a simulated mesh, and prints what was answered
// then and what now. This file only knows arguments, output and exit codes; the work is Capture's and Rehearsal's.

import ArgumentParser
import Base
import Capture
import Glibc
import Rehearsal

struct Replay: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "replay",
        abstract: "Drive a capture's HTTP/1.1 conversations through a simulated two-proxy mesh.",
        discussion: """
            Reads pcap and pcapng (- is standard input), reassembles TCP, and sends every captured request again at its time from a meshed
            client to a meshed responder that answers what the capture answered. Prints each request with its status then and now.
            A request whose answer was not captured has no status then, and is answered 504 now. Requests on one connection wait for
            each other. The same file and seed print the same bytes.

            Examples:
              weft replay traffic.pcap
              weft replay traffic.pcapng --json | jq '.requests[] | select(.statusThen != .statusNow)'
              tcpdump -w - -c 1000 tcp port 80 | weft replay -
              weft replay traffic.pcap --seed 7 --trace

            Exit status: 0 all of the file was replayed; 65 the file is damaged, and what could be read was replayed;
            66 the file cannot be opened or is not a capture; 70 the simulation itself failed.
            """)

    @Argument(help: "A pcap or pcapng file; - reads standard input.")
    var file: String

    @Flag(help: "Print one JSON object: file, packets, flows, requests (time, method, target, statusThen, statusNow, ...).")
    var json = false

    @Option(help: "Seed of the simulated world.")
    var seed: UInt64 = 1

    @Flag(help: "Print the simulated world's events to standard error.")
    var trace = false

    func run() throws {
        let report: CaptureReport
        do throws(CaptureFailure) {
            report = try CaptureReport(path: file)
        } catch {
            // libpcap names the file only when the system call failed.
            complain(error.reason.hasPrefix(file) ? error.reason : "\(file): \(error.reason)")
            throw ExitCode(66)
        }
        let outcome: ReplayOutcome
        do throws(Refusal) {
            outcome = try replay(ReplayPlan(report), seed: seed, build: Version.build, wantsTrace: trace)
        } catch {
            complain(error.reason)
            throw ExitCode(70)
        }
        for line in outcome.trace { writeError(line + "\n") }
        print(json ? outcome.report.json + "\n" : outcome.report.text, terminator: "")
        if let damage = report.damage {
            complain("\(file): \(damageLine(outcome.report.plan, damage))")
            throw ExitCode(65)
        }
    }

    private func complain(_ line: String) { writeError("weft replay: \(line)\n") }
}
