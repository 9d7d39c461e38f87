// Linkerd's transport header near valid ones: a prefix never says other than the whole, and what is read is written as the same.

import Base
import Fuzzing
import Testing

@testable import Transport

@Suite struct `The transport header under fuzzing` {
    @Test func `a damaged header is incomplete, invalid or one that is written as the same`() {
        var accepted = 0
        let done = fuzz("transport-header", executions: 3000) { (random) throws in
            let header = TransportHeader(
                port: UInt16(1 + random.below(65_535)), name: [nil, "web.shop.svc.cluster.local:80", "x"][random.below(3)], sessionProtocol: [nil, .http1, .http2][random.below(3)])
            let valid = header.encoded() + [UInt8](repeating: 9, count: random.below(5))
            let bytes = mutated(valid, tokens: [[0, 0, 0, 0], [0x80], [0x08, 0x50], [0xff, 0xff, 0xff, 0xff, 0x0f]], &random)
            let whole = TransportHeader.read(bytes)
            if bytes == valid { #expect(whole == .header(header, length: header.encoded().count)) }
            for _ in 0..<4 {
                let part = TransportHeader.read(Array(bytes.prefix(random.below(bytes.count + 1))))
                #expect(part == .incomplete || part == whole, "\(bytes)")
            }
            guard case .header(let read, let length) = whole else { return }
            accepted += 1
            #expect(length <= bytes.count)
            let again = read.encoded()
            #expect(TransportHeader.read(again) == .header(read, length: again.count), "\(bytes)")
        }
        #expect(isFuzzingLong || accepted > done / 10)
    }
}
