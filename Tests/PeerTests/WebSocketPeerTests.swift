// WebSocket as the `websockets` package speaks it at both ends, with the proxies as a tunnel after its upgrade.

import Base
import Documents
import Kube
import Testing

@testable import LocalCluster

@Suite @Mesh struct WebSocketPeerTests {
    @Test(arguments: HTTP1PeerTests.Callee.allCases) func `text, binary, fragments, pings, closes and refusals pass`(_ callee: HTTP1PeerTests.Callee) throws {
        let peers = try MeshPeers.shared()
        let pod = callee.pod(peers)
        try peers.serve(.socket, in: pod, "sockets.py", ["serve", "\(MeshPeers.Port.socket.rawValue)"])
        let result = try peers.run("sockets.py", ["call", "ws://\(peers.authority(pod, .socket))"], in: peers.near)
        #expect(result.status == 0, "\(result.errors)")
        let said = result.output.split(separator: "\n").compactMap { try? Value(json: Array($0.utf8)) }
        func fact(_ name: String) -> Value { said.first { $0.text("case") == name } ?? .null }
        #expect(fact("text").text("answer") == "grüße")
        #expect(fact("binary").number("size") == 1 << 20 && fact("binary").flag("same") == true)
        #expect(fact("empty").text("answer") == "")
        #expect(fact("large").flag("same") == true)
        #expect(fact("ping").flag("answered") == true)
        #expect(fact("many").flag("inOrder") == true)
        #expect(fact("closed by client").number("code") == 1000)
        #expect(fact("fragments sent").text("kind") == "str" && fact("fragments sent").number("size") == 13)
        #expect(fact("binary fragments sent").text("kind") == "bytes" && fact("binary fragments sent").number("size") == 140_000)
        #expect(fact("fragments received").number("count") ?? 0 >= 7 && fact("fragments received").text("answer") == "a message that comes back in pieces")
        #expect(fact("closed by server").number("code") == 4001 && fact("closed by server").text("reason") == "enough")
        #expect(fact("subprotocol").text("agreed") == "superchat")
        #expect(fact("refused").number("status") == 403 && fact("refused").text("body") == "not you\n")
        #expect(fact("side by side").flag("answers") == true)
    }
}
