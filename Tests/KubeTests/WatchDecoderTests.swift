// Watch streams as bytes: the same events in every split, and what is no event is told and passed over.

import Base
import Documents
import Kube
import Testing

private func line(_ type: String, _ name: String, _ version: String) -> String {
    #"{"type":"\#(type)","object":{"kind":"Pod","apiVersion":"v1","metadata":{"name":"\#(name)","namespace":"shop","resourceVersion":"\#(version)"}}}"# + "\n"
}

private func describe(_ event: KubeWatchEvent) -> String {
    switch event {
    case .added(let object): "added \(object.key) \(object.resourceVersion)"
    case .modified(let object): "modified \(object.key) \(object.resourceVersion)"
    case .deleted(let object): "deleted \(object.key) \(object.resourceVersion)"
    case .bookmark(let version): "bookmark \(version)"
    case .error(let status): "error \(status.code) \(status.reason)"
    case .undecodable(let reason): "skipped: \(reason)"
    }
}

private func read(_ bytes: [UInt8], pieces: [Range<Int>], limits: KubeLimits = KubeLimits()) -> [String] {
    let decoder = WatchDecoder(resource: .pods, limits: limits)
    var events: [String] = []
    for piece in pieces {
        let part = Array(bytes[piece])
        decoder.receive(part.span.bytes)
        while let event = decoder.next() { events.append(describe(event)) }
    }
    return events
}

@Suite struct `A watch stream` {
    private let text =
        line("ADDED", "a", "1") + "\n" + line("MODIFIED", "a", "2") + #"{"type":"BOOKMARK","object":{"kind":"Pod","metadata":{"resourceVersion":"7"}}}"# + "\r\n"
        + #"{"type":"NEWS","object":{}}"# + "\n" + line("DELETED", "ä", "8") + #"{"type":"ERROR","object":{"kind":"Status","code":410,"reason":"Expired","message":"too old"}}"# + "\n"
    private let expected = ["added shop/a 1", "modified shop/a 2", "bookmark 7", "deleted shop/ä 8", "error 410 expired"]

    @Test func `gives the same events however it is split`() {
        let bytes = Array(text.utf8)
        #expect(read(bytes, pieces: [0..<bytes.count]) == expected)
        #expect(read(bytes, pieces: bytes.indices.map { $0..<$0 + 1 }) == expected)
        for cut in 1..<bytes.count { #expect(read(bytes, pieces: [0..<cut, cut..<bytes.count]) == expected) }
    }

    @Test func `holds back an event that is not whole`() {
        let bytes = Array(line("ADDED", "a", "1").utf8.dropLast())
        #expect(read(bytes, pieces: [0..<bytes.count]).isEmpty)
    }

    @Test(arguments: [
        "nonsense\n", "{}\n", "{\"type\":\"ADDED\"}\n", "[1]\n", "{\"type\":\"ADDED\",\"object\":7}\n", #"{"type":"MODIFIED","object":{"metadata":{"name":"x"}}}"# + "\n",
        #"{"type":"DELETED","object":{"metadata":{"resourceVersion":"3"}}}"# + "\n", #"{"type":"BOOKMARK","object":{}}"# + "\n",
    ]) func `passes over a line that is no event, and goes on`(_ text: String) {
        let bytes = Array((line("ADDED", "a", "1") + text + line("ADDED", "b", "2")).utf8)
        let whole = read(bytes, pieces: [0..<bytes.count])
        #expect(whole.count == 3 && whole[0] == "added shop/a 1" && whole[1].hasPrefix("skipped: ") && whole[2] == "added shop/b 2")
        #expect(read(bytes, pieces: bytes.indices.map { $0..<$0 + 1 }) == whole)
    }

    @Test func `passes over an event that is longer than the limit, and goes on`() {
        var limits = KubeLimits()
        limits.watchEventBytesMax = 150
        let short = Array(line("ADDED", "a", "1").utf8)
        #expect(short.count <= 150 && read(short, pieces: [0..<short.count], limits: limits) == ["added shop/a 1"])
        let long = Array((line("ADDED", String(repeating: "n", count: 200), "1") + line("ADDED", "b", "2")).utf8)
        let whole = read(long, pieces: [0..<long.count], limits: limits)
        #expect(whole.count == 2 && whole[0].contains("longer than 150") && whole[1] == "added shop/b 2")
        #expect(read(long, pieces: long.indices.map { $0..<$0 + 1 }, limits: limits) == whole)
        for cut in 1..<long.count { #expect(read(long, pieces: [0..<cut, cut..<long.count], limits: limits) == whole) }
    }
}
