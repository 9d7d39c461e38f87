// How two worlds are compared, and how proxies' metrics are read: a difference that went unseen would make the demonstration worthless.

import Base
import Documents
import Simulations
import Testing

@testable import LocalCluster

@Suite struct RecordTests {
    private let record = CallRecord(call: "GET /a", status: 200, bytes: 5, client: "web", isTLS: true)

    @Test func `equal records agree, and every kind of difference is told`() {
        #expect(CallRecord.differences([record, record], [record, record]) == [])
        let changes: [(String, (inout CallRecord) -> Void)] = [
            ("call", { $0.call = "GET /b" }), ("status", { $0.status = 503 }), ("status", { $0.status = nil }), ("bytes", { $0.bytes = 6 }), ("client", { $0.client = nil }),
            ("client", { $0.client = "api" }), ("TLS", { $0.isTLS = false }),
        ]
        for (what, change) in changes {
            var other = record
            change(&other)
            let found = CallRecord.differences([record, record], [record, other])
            #expect(found.count == 1 && found[0].contains(what), "\(what): \(found)")
        }
        #expect(CallRecord.differences([record], [record, record]).count == 1)
        #expect(CallRecord.differences([record], []).count == 1)
    }

    @Test func `a record survives its way between processes`() throws {
        var failed = record
        failed.failure = "no \"answer\""
        failed.status = nil
        failed.client = nil
        for record in [record, failed] { #expect(CallRecord(try Value(json: Array(record.json.json().utf8))) == record) }
        #expect(CallRecord(.object([:])) == nil)
    }

    @Test func `metrics are summed over the labels asked for and no others`() {
        let metrics = ProxyMetrics(
            """
            # HELP request_total x
            request_total{direction="inbound",tls="true",client_id="web"} 2
            request_total{direction="inbound",tls="true",client_id="web-2"} 30
            request_total{direction="outbound",tls="true",client_id="web"} 400
            request_total{direction="inbound",not_tls="true",client_id="web"} 5000
            request_totals{direction="inbound",tls="true",client_id="web"} 60000
            up 1
            """)
        #expect(metrics.sum("request_total", ["direction": "inbound", "tls": "true", "client_id": "web"]) == 2)
        #expect(metrics.sum("request_total", ["client_id": "web"]) == 5402)
        #expect(metrics.sum("request_total") == 5432)
        #expect(metrics.sum("up") == 1)
        #expect(metrics.sum("down") == 0)
    }

    @Test func `a plan's phrases are its own, and each call holds one`() {
        let plan = DemoPlan(token: "abcdefghijklmnop")
        #expect(plan.phrases.count == plan.calls.count)
        #expect(plan.phrases.allSatisfy { $0.contains("abcdefghijklmnop") })
        #expect(Set(plan.phrases).count == plan.phrases.count)
        #expect(plan.calls.allSatisfy { !$0.name.contains("abcdefghijklmnop") })
    }

    @Test func `images are known by their last name`() {
        for (image, name) in [("nginx:1.27-alpine", "nginx"), ("alpine/socat:1.8.0.3", "socat"), ("registry.example:5000/curlimages/curl@sha256:aa", "curl"), ("nginx", "nginx"), ("", "")] {
            #expect(Images.name(image) == name)
        }
    }
}
