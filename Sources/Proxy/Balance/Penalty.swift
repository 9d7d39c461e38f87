// A failure as load: an endpoint that answers 503 in a millisecond would else look like the fastest of all and get every request. How
// long it says to leave it alone counts, within a bound. Source: linkerd2-proxy 2.20, PenaltyPeakEwma; shared facts on the data plane 2.10.

import Base
import GRPC
import HTTP
import Platform

extension HTTPEndpoint {
    /// A head came from the endpoint. Nothing happens unless it tells of a failure.
    func penalize(_ head: ResponseHead, _ code: GRPCStatus.Code?) {
        guard let penalty, Self.isFailure(head.status, code) else { return }
        let asked = Self.hint(head, code, at: wall)
        load.penalize(max(penalty.time, min(asked ?? .zero, penalty.hintMax)), now: now)
    }

    private static func isFailure(_ status: UInt16, _ code: GRPCStatus.Code?) -> Bool {
        switch code {
        case .unknown, .deadlineExceeded, .resourceExhausted, .internal, .unavailable, .dataLoss: true
        case nil: status == 429 || (500...599).contains(status)
        default: false
        }
    }

    /// `retry-after` of a 429 or 503 (RFC 9110 section 10.2.3), `grpc-retry-pushback-ms` of a failed call.
    static func hint(_ head: ResponseHead, _ code: GRPCStatus.Code?, at wall: WallTime) -> Interval? {
        if code != nil { return head.headers.first("grpc-retry-pushback-ms").flatMap { Int64($0) }.flatMap { $0 > 0 && $0 < 1_000_000_000 ? .milliseconds($0) : nil } }
        guard head.status == 429 || head.status == 503, let text = head.headers.first("retry-after") else { return nil }
        if let seconds = Int64(text) { return seconds > 0 && seconds < 1_000_000 ? .seconds(seconds) : nil }
        return WallTime(httpDate: text).map { $0 - wall }
    }
}

extension WallTime {
    /// `Sun, 06 Nov 1994 08:49:37 GMT`, the one form that senders may use (RFC 9110 section 5.6.7).
    init?(httpDate text: String) {
        let words = text.split(separator: " ")
        guard words.count == 6, words[0].utf8.count == 4, words[0].hasSuffix(","), words[5] == "GMT",
            let day = Int64(words[1]), let year = Int64(words[3]),
            let month = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"].firstIndex(of: String(words[2]))
        else { return nil }
        let time = words[4].split(separator: ":").map { Int64($0) }
        guard time.count == 3, let hour = time[0], let minute = time[1], let second = time[2] else { return nil }
        self.init(year: year, month: Int64(month) + 1, day: day, hour: hour, minute: minute, second: second)
    }
}
