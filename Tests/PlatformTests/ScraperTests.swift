// What scrapers read is judged by somebody else's reader: the parsers of Prometheus' Python client, the strict one for OpenMetrics among
// them. The system's own python3 is asked, where Debian's package is.

import Base
import Foundation
import Platform
import Testing

/// What the program prints; a failure to run it is a failure of the test.
func python(_ program: String, _ input: [UInt8]) throws -> String {
    let process = Process()
    process.executableURL = URL(fileURLWithPath: "/usr/bin/python3")
    process.arguments = ["-c", program]
    let (input, output) = (input, Pipe())
    let source = FileManager.default.temporaryDirectory.appendingPathComponent("weft-scrape-\(UUID().uuidString)")
    try Data(input).write(to: source)
    defer { try? FileManager.default.removeItem(at: source) }
    process.standardInput = try FileHandle(forReadingFrom: source)
    process.standardOutput = output
    try process.run()
    let said = output.fileHandleForReading.readDataToEndOfFile()
    process.waitUntilExit()
    #expect(process.terminationStatus == 0)
    return String(decoding: said, as: UTF8.self)
}

@Suite struct `A scraper` {
    private func registry() -> MetricsRegistry {
        let registry = MetricsRegistry()
        registry.counter("odd_total_ms", help: "A counter named otherwise.", [("a", "b")]).increment(by: 2)
        registry.metric(MetricFamily("request_total", .counter, "Requests.", labels: ["direction"], isFirst: true), [("direction", "in\"\\\nbound")]).increment(by: 41)
        registry.gauge("open", help: "Connections now.").value = 2.5
        let latency = registry.histogram("wait_seconds", help: "Time.", bounds: [0.05, 1, 10], [("class", "success")])
        for value in [0.5, 1, 2, 11] { latency.observe(value) }
        return registry
    }

    private static let listing = """
        for f in families:
            for s in f.samples:
                print(f.type, s.name, sorted(s.labels.items()), float(s.value))
        """

    @Test func `reads the text format, the first families first`() throws {
        let said = try python(
            "import sys\nfrom prometheus_client.parser import text_string_to_metric_families as parse\nfamilies = parse(sys.stdin.read())\n" + Self.listing, registry().snapshot().exposition(.text))
        let lines = said.split(separator: "\n").map(String.init)
        #expect(lines.first == #"counter request_total [('direction', 'in"\\\nbound')] 41.0"#)
        #expect(lines.contains("gauge open [] 2.5") && lines.contains("histogram wait_seconds_bucket [('class', 'success'), ('le', '1')] 2.0"))
        #expect(lines.contains("histogram wait_seconds_sum [('class', 'success')] 14.5"))
    }

    @Test func `reads OpenMetrics by its strict rules`() throws {
        let said = try python(
            "import sys\nfrom prometheus_client.openmetrics.parser import text_string_to_metric_families as parse\nfamilies = parse(sys.stdin.read())\n" + Self.listing,
            registry().snapshot().exposition(.openMetrics))
        let lines = said.split(separator: "\n").map(String.init)
        #expect(lines.first == #"counter request_total [('direction', 'in"\\\nbound')] 41.0"#)
        #expect(lines.contains("unknown odd_total_ms [('a', 'b')] 2.0") && lines.contains("histogram wait_seconds_bucket [('class', 'success'), ('le', '1.0')] 2.0"))
    }

    @Test func `inflates what was compressed for it`() throws {
        var random = Random(seed: 7)
        let text = (0..<1000).map { "tcp_open_total{direction=\"inbound\",peer=\"src\",target_addr=\"10.0.0.\($0 % 250):8080\",n=\"\($0)\"} \($0 * 7)\n" }.joined()
        let noise = (0..<40_000).map { _ in UInt8(random.below(256)) }
        let runs = [UInt8](repeating: 0x61, count: 50_000) + [UInt8](repeating: 0xf0, count: 300)
        for input in [[], [1], [1, 2], [1, 2, 3], Array(text.utf8), noise, runs, Array(text.utf8) + noise + Array(text.utf8)] {
            let compressed = Gzip.compress(input)
            let said = try python("import sys, gzip, hashlib\nprint(hashlib.sha256(gzip.decompress(sys.stdin.buffer.read())).hexdigest())", compressed)
            let expected = try python("import sys, hashlib\nprint(hashlib.sha256(sys.stdin.buffer.read()).hexdigest())", input)
            #expect(said == expected, "\(input.count) bytes")
        }
        #expect(Gzip.compress(Array(text.utf8)).count * 7 < text.utf8.count)
    }
}

@Suite struct `Metrics of several loops` {
    private let requests = MetricFamily("request_total", .counter, "Requests.", labels: ["direction", "dst_*"])
    private let times = MetricFamily("wait_seconds", .histogram, "Time.", bounds: [1])
    private let expiry = MetricFamily("expiry_seconds", .gauge, "When.", merging: .greatest)

    @Test func `are added up, but for times`() {
        let (a, b) = (MetricsRegistry(), MetricsRegistry())
        a.metric(requests, [("direction", "in")]).increment(by: 3)
        b.metric(requests, [("direction", "out"), ("dst_pod", "x")]).increment(by: 5)
        b.metric(requests, [("direction", "in")]).increment(by: 4)
        for (registry, value) in [(a, 0.5), (b, 0.25), (b, 7)] { registry.histogram(times).observe(value) }
        for (registry, value) in [(a, 10.0), (b, 9)] { registry.metric(expiry).value = value }
        b.counter("alone_total", help: "Of one loop.").increment()
        var sum = a.snapshot()
        sum.merge(b.snapshot())
        let text = String(decoding: sum.exposition(.text), as: UTF8.self)
        for line in [
            "request_total{direction=\"in\"} 7", "request_total{direction=\"out\",dst_pod=\"x\"} 5", "wait_seconds_bucket{le=\"1\"} 2", "wait_seconds_bucket{le=\"+Inf\"} 3", "wait_seconds_sum 7.75",
            "wait_seconds_count 3", "expiry_seconds 10", "alone_total 1",
        ] { #expect(text.contains(line + "\n"), "\(line) in \(text)") }
        #expect(text.ranges(of: "# TYPE request_total").count == 1)
    }

    @Test func `have a bound for each family`() {
        var limits = PlatformLimits()
        limits.metricFamilySeriesMax = 2
        let registry = MetricsRegistry(limits: limits)
        for i in 0..<4 { registry.metric(requests, [("dst_pod", "\(i)")]).increment() }
        registry.histogram(times).observe(1)
        #expect(registry.seriesCount == 3 && registry.refusedCount == 2)
    }
}
