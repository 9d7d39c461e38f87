// Metrics as Prometheus reads them, their bound, and how forgotten series leave.

import Base
import Platform
import Testing

@Suite struct `Metrics` {
    @Test func `are exposed in the order of their birth, with everything that a scraper wants`() {
        let registry = MetricsRegistry()
        registry.counter("requests_total", help: "Requests.", [("direction", "in")]).increment()
        registry.gauge("open", help: "Connections now.").value = 2.5
        registry.counter("requests_total", help: "Requests.", [("direction", "out"), ("tls", "true")]).increment(by: 3)
        registry.counter("requests_total", help: "Requests.", [("direction", "in")]).increment()
        let latency = registry.histogram("latency_ms", help: "Time.", bounds: [1, 10], [("class", "success")])
        for value in [0.5, 1, 2, 11] { latency.observe(value) }
        #expect(
            registry.exposition() == """
                # HELP requests_total Requests.
                # TYPE requests_total counter
                requests_total{direction="in"} 2
                requests_total{direction="out",tls="true"} 3
                # HELP open Connections now.
                # TYPE open gauge
                open 2.5
                # HELP latency_ms Time.
                # TYPE latency_ms histogram
                latency_ms_bucket{class="success",le="1"} 2
                latency_ms_bucket{class="success",le="10"} 3
                latency_ms_bucket{class="success",le="+Inf"} 4
                latency_ms_sum{class="success"} 14.5
                latency_ms_count{class="success"} 4
                # EOF

                """)
    }

    @Test func `escape what would end a label`() {
        let registry = MetricsRegistry()
        registry.counter("c", help: "C.", [("path", "a\"b\\c\nd")]).increment()
        #expect(registry.exposition().contains(#"c{path="a\"b\\c\nd"} 1"#))
    }

    @Test func `without labels have no braces`() {
        let registry = MetricsRegistry()
        registry.histogram("h", help: "H.", bounds: [0.25]).observe(1)
        let text = registry.exposition()
        for line in [#"h_bucket{le="0.25"} 0"#, #"h_bucket{le="+Inf"} 1"#, "h_sum 1", "h_count 1"] { #expect(text.contains(line + "\n")) }
    }

    @Test func `beyond the bound count for their holder alone`() {
        var limits = PlatformLimits()
        limits.metricSeriesMax = 2
        let registry = MetricsRegistry(limits: limits)
        let held = (0..<4).map { registry.counter("c", help: "C.", [("n", "\($0)")]) }
        for metric in held { metric.increment() }
        #expect(registry.seriesCount == 2 && registry.refusedCount == 2)
        #expect(!registry.exposition().contains("n=\"2\""))
        #expect(held[3].value == 1)
        #expect(registry.counter("c", help: "C.", [("n", "0")]) === held[0], "what is known stays known")
    }

    @Test func `that nobody holds and that rest are swept, and make room`() {
        let registry = MetricsRegistry()
        let held = registry.counter("c", help: "C.", [("n", "held")])
        registry.counter("c", help: "C.", [("n", "left")]).increment()
        registry.histogram("h", help: "H.", bounds: [1], [("n", "left")]).observe(1)
        func sweep(_ second: Int64) { registry.sweep(now: .zero + .seconds(second), idle: .seconds(10)) }
        sweep(0)
        sweep(9)
        #expect(registry.seriesCount == 3, "none rests long enough")
        registry.counter("c", help: "C.", [("n", "left")]).increment()
        sweep(10)
        #expect(registry.seriesCount == 2, "the counter moved, the histogram rested")
        sweep(20)
        #expect(registry.seriesCount == 1)
        held.increment()
        #expect(registry.counter("c", help: "C.", [("n", "held")]) === held)
        registry.counter("c", help: "C.", [("n", "left")]).increment()
        #expect(registry.exposition().contains("c{n=\"held\"} 1\nc{n=\"left\"} 1\n"))
    }
}
