// Watch streams as bytes: the same events in every split, and an end with a reason when they are none.

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
    }
}

private func read(_ bytes: [UInt8], pieces: [Range<Int>], limits: KubeLimits = KubeLimits()) -> (events: [String], error: String?) {
    let decoder = WatchDecoder(resource: .pods, limits: limits)
    var events: [String] = []
    do {
        for piece in pieces {
            let part = Array(bytes[piece])
            decoder.receive(part.span.bytes)
            while let event = try decoder.next() { events.append(describe(event)) }
        }
    } catch { return (events, "\(error)") }
    return (events, nil)
}

@Suite struct `A watch stream` {
    private let text =
        line("ADDED", "a", "1") + "\n" + line("MODIFIED", "a", "2") + #"{"type":"BOOKMARK","object":{"kind":"Pod","metadata":{"resourceVersion":"7"}}}"# + "\r\n"
        + #"{"type":"NEWS","object":{}}"# + "\n" + line("DELETED", "ä", "8") + #"{"type":"ERROR","object":{"kind":"Status","code":410,"reason":"Expired","message":"too old"}}"# + "\n"
    private let expected = ["added shop/a 1", "modified shop/a 2", "bookmark 7", "deleted shop/ä 8", "error 410 expired"]

    @Test func `gives the same events however it is split`() {
        let bytes = Array(text.utf8)
        #expect(read(bytes, pieces: [0..<bytes.count]).events == expected)
        #expect(read(bytes, pieces: bytes.indices.map { $0..<$0 + 1 }).events == expected)
        for cut in 1..<bytes.count { #expect(read(bytes, pieces: [0..<cut, cut..<bytes.count]).events == expected) }
    }

    @Test func `holds back an event that is not whole`() {
        let bytes = Array(line("ADDED", "a", "1").utf8.dropLast())
        #expect(read(bytes, pieces: [0..<bytes.count]).events.isEmpty)
    }

    @Test(arguments: ["nonsense\n", "{}\n", "{\"type\":\"ADDED\"}\n", "[1]\n"]) func `ends when a line is no event`(_ text: String) {
        let bytes = Array((line("ADDED", "a", "1") + text).utf8)
        let whole = read(bytes, pieces: [0..<bytes.count])
        #expect(whole.events == ["added shop/a 1"] && whole.error != nil)
        #expect(read(bytes, pieces: bytes.indices.map { $0..<$0 + 1 }).error == whole.error)
    }

    @Test func `ends when an event is longer than the limit, complete or not`() {
        var limits = KubeLimits()
        limits.watchEventBytesMax = 150
        let short = Array(line("ADDED", "a", "1").utf8)
        #expect(short.count <= 150 && read(short, pieces: [0..<short.count], limits: limits).error == nil)
        let long = Array(line("ADDED", String(repeating: "n", count: 200), "1").utf8)
        for bytes in [long, Array(long.dropLast())] {
            #expect(read(bytes, pieces: [0..<bytes.count], limits: limits).error?.contains("longer than 150") == true)
            #expect(read(bytes, pieces: bytes.indices.map { $0..<$0 + 1 }, limits: limits).error?.contains("longer than 150") == true)
        }
    }
}
