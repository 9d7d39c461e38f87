// Spellings that objects and flags use: durations, quantities, service profiles, HTTP/2 parameters.

import Base
import ControlPlane
import Documents
import Kube
import MeshAPI
import Testing

@Suite struct ReadingTests {
    @Test(arguments: [
        ("24h0m0s", 86_400_000), ("1.5s", 1_500), ("500ms", 500), ("1h30m", 5_400_000), ("0", 0), ("-2s", -2_000), ("+.5m", 30_000),
    ]) func `durations are Go's`(_ text: String, _ milliseconds: Int64) { #expect(goDuration(text) == .milliseconds(milliseconds)) }

    @Test(arguments: ["", "5", "s", "1x", "1.s.", "9999999999h", "1 s", "-", "1h-3m"]) func `what is no duration is refused`(_ text: String) { #expect(goDuration(text) == nil) }

    @Test(arguments: [("1", 1000), ("500m", 500), ("0.5", 500), ("1k", 1_000_000), ("2Ki", 2_048_000), ("1.0005", 1001), ("100u", 1), (".1", 100)])
    func `quantities are Kubernetes'`(_ text: String, _ milli: Int64) { #expect(quantityMilli(text) == milli) }

    @Test(arguments: ["", "m", "-1", "1e3", "x", "99999999999999999999", "1.2.3"]) func `what is no quantity is refused`(_ text: String) { #expect(quantityMilli(text) == nil) }

    @Test func `HTTP/2 parameters are read as the chart writes them`() throws {
        let read = try Mesh.Destination.Http2ClientParams(flag: #"{"keep_alive":{"interval":{"seconds":10},"timeout":{"seconds":3},"while_idle":true}}"#)
        #expect(Interval(read.keepAlive.interval) == .seconds(10) && Interval(read.keepAlive.timeout) == .seconds(3) && read.keepAlive.whileIdle)
        for text in ["", "[]", "{"] { #expect(throws: Refusal.self) { try Mesh.Destination.Http2ClientParams(flag: text) } }
    }
}
