// What users and API servers send as text: selectors, watch lines, and quantities of both; read the same in every split, printed so
// that they are read back the same.

import Base
import Documents
import Fuzzing
import Testing

@testable import Kube

@Suite struct `Kubernetes texts under fuzzing` {
    @Test func `a label selector that is read is printed as the same`() {
        let seeds = ["a=b,c==d,e!=f", "g in (h,i),j notin (k)", "l,!m", "app.kubernetes.io/name in (web)", " a , b "]
        let tokens = [",", "=", "==", "!=", "!", " in ", " notin ", "(", ")", "()", "in", "notin", " ", "a/b", ".", "-"].map { Array($0.utf8) }
        var accepted = 0
        let done = fuzz("label-selector", executions: 6000) { (random) throws in
            let text = String(decoding: mutated(Array(seeds[random.below(seeds.count)].utf8), tokens: tokens, &random), as: UTF8.self)
            guard let selector = try? LabelSelector(parsing: text) else { return }
            accepted += 1
            #expect(try LabelSelector(parsing: selector.description).description == selector.description, "\(text.debugDescription)")
        }
        #expect(isFuzzingLong || accepted > done / 10 && accepted < done)
    }

    @Test func `a field selector that is read is printed as the same`() {
        let tokens = [",", "=", "==", "!=", "\\", "\\,", "\\=", "\\\\", "!"].map { Array($0.utf8) }
        fuzz("field-selector", executions: 6000) { (random) throws in
            let text = String(decoding: mutated(Array("metadata.name=a,spec.nodeName!=b,x==y".utf8), tokens: tokens, &random), as: UTF8.self)
            guard let selector = try? FieldSelector(parsing: text) else { return }
            #expect(try FieldSelector(parsing: selector.description) == selector, "\(text.debugDescription)")
        }
    }

    @Test func `a watch gives the same events however its bytes are cut`() {
        let lines = [
            #"{"type":"ADDED","object":{"kind":"Pod","metadata":{"name":"a","namespace":"shop","resourceVersion":"1"}}}"#, #"{"type":"BOOKMARK","object":{"metadata":{"resourceVersion":"7"}}}"#,
            #"{"type":"ERROR","object":{"kind":"Status","code":410,"reason":"Expired"}}"#, #"{"type":"NEWS","object":{}}"#, "",
        ]
        let tokens = ["\n", "\r\n", "{", "}", "\"", "\\u", "null", "\"type\"", "\"object\":1"].map { Array($0.utf8) }
        func read(_ parts: [[UInt8]]) -> String {
            let decoder = WatchDecoder(resource: .pods, limits: { var limits = KubeLimits(); limits.watchEventBytesMax = 200; return limits }())
            var said = ""
            for part in parts {
                decoder.receive(part.span.bytes)
                while let event = decoder.next() { said += "\(event)\n" }
            }
            return said
        }
        fuzz("watch-stream", executions: 1500) { (random) throws in
            let valid = (0..<random.below(5)).map { _ in lines[random.below(lines.count)] + "\n" }.joined()
            let bytes = mutated(Array(valid.utf8), tokens: tokens, &random)
            #expect(read([bytes]) == read(pieces(bytes, &random)), "\(String(decoding: bytes, as: UTF8.self).debugDescription)")
        }
    }
}
