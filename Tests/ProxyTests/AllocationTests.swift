// What a request costs in calls of the heap inside the proxies: the whole hop through both of them over TLS in the simulated world, counted
// while a turn of one of their processes runs. The client, the application and the world itself are not counted.

import Base
import CAllocations
import HTTP
import Simulator
import Testing

@testable import Proxy

@Suite struct ProxyAllocationTests {
    /// Calls of the heap for each request in both proxies together, and what is left behind after each. Unit: calls and bytes.
    private func measure(_ version: HTTPVersion, bodyBytes: Int, rounds: Int = 300) throws -> (calls: Double, left: Double) {
        let pair = try Pair(target: Pair.balanced, policy: Pair.open)
        let body = [UInt8](repeating: 0x2e, count: bodyBytes)
        let head = RequestHead(
            method: bodyBytes > 0 ? .post : .get, authority: "api.demo", path: "/steady", headers: bodyBytes > 0 ? ["content-length": "\(bodyBytes)", "accept": "*/*"] : ["accept": "*/*"], version: version)
        for _ in 0..<rounds { #expect(pair.send(head, body: body, version: version).head?.status == 200) }
        allocations_reset()
        let proxies = pair.proxies
        pair.world.onTurn = { process, isBeginning in if proxies.contains(where: { $0 === process }) { allocations_set_counting(isBeginning ? 1 : 0) } }
        for _ in 0..<rounds { _ = pair.send(head, body: body, version: version) }
        pair.world.onTurn = nil
        allocations_set_counting(0)
        let result = (Double(allocations_count()) / Double(rounds), Double(allocations_live()) / Double(rounds))
        let verdict = pair.end()
        #expect(verdict.passes, "\(verdict)")
        return result
    }

    @Test(arguments: [(HTTPVersion.http11, 0), (.http11, 1000), (.http2, 0), (.http2, 1000)]) func `a request through both proxies`(_ version: HTTPVersion, _ bodyBytes: Int) throws {
        let (calls, left) = try measure(version, bodyBytes: bodyBytes)
        print("allocations \(version) with \(bodyBytes) bytes through two proxies: \(calls), \(left) bytes left behind")
        #expect(calls <= (_isDebugAssertConfiguration() ? 110 : 60))
        #expect(left < 200, "nothing grows with each request")
    }
}
