// The body of a request, kept while it streams so that another attempt can be given the same. What exceeds the bound is let go,
// and with it the chance of another attempt.

import Base
import HTTP

struct ReplayBody: ~Copyable {
    private let bytesMax: Int
    private(set) var isOverflowed: Bool
    private(set) var bytes = ByteBuffer()
    private(set) var trailers: Headers?

    /// `expected`: the content length if the request says one; above the bound nothing is kept from the start.
    init(bytesMax: Int, expected: Int?) {
        self.bytesMax = bytesMax
        isOverflowed = (expected ?? 0) > bytesMax
    }

    mutating func append(_ more: RawSpan) {
        if isOverflowed || more.byteCount == 0 { return }
        guard bytes.count + more.byteCount <= bytesMax else {
            isOverflowed = true
            bytes.release()
            return
        }
        bytes.append(more)
    }

    mutating func end(_ trailers: Headers) { self.trailers = trailers }

    mutating func release() { bytes.release() }
}
