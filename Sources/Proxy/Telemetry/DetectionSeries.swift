// How HTTP was told from other protocols, and how long that took. Source: linkerd2-proxy linkerd/http/detect metrics; facts 5.5.

import Base
import Platform

enum DetectionResult: String, CaseIterable {
    case notHTTP = "not_http"
    case http1 = "http/1"
    case http2 = "http/2"
    case timedOut = "read_timeout"
    /// The peer went away first.
    case error

    init(_ sniffed: HTTPSniff) {
        switch sniffed {
        case .http1: self = .http1
        case .http2: self = .http2
        case .notHTTP, .incomplete: self = .notHTTP
        }
    }
}

final class DetectionSeries {
    private let registry: MetricsRegistry
    private let families: Families.Detection
    private let labels: [(String, String)]
    private let duration: Histogram
    private var results: [(result: DetectionResult, metric: Metric)] = []

    init(_ registry: MetricsRegistry, _ families: Families.Detection, _ labels: [(String, String)]) {
        self.registry = registry
        self.families = families
        self.labels = labels
        duration = registry.histogram(families.duration, labels)
    }

    func count(_ result: DetectionResult, after time: Interval) {
        duration.observe(time.seconds)
        for entry in results where entry.result == result { return entry.metric.increment() }
        let made = registry.metric(families.results, [("result", result.rawValue)] + labels)
        results.append((result, made))
        made.increment()
    }
}
