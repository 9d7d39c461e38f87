// Random documents and random bytes from named seeds: reading what we print gives the same document, and nothing crashes.

import Base
import Documents
import Fuzzing
import OrderedCollections
import Testing

private struct Chance {
    var random: Random

    /// Text with a bias to what parsers and printers treat specially.
    mutating func text() -> String {
        let pieces = [
            "a", "b", "yes", "null", "~", "1", "0", "-", ":", " ", "\n", "#", "'", "\"", "\\", "{", "}", "[", "]", ",", "&", "*", "!", "|", ">", "%", "@", "`", "?", "\t", "\r", "\0", "é", "😀", "\u{85}",
            "\u{2028}", "\u{feff}", ".", "e", "+", "_", "---", "...", "<<", "=", "0x", "0b", "2001-01-01", "\u{7f}", "\u{301}", "T", ": ", "- ", " #", "\u{e000}",
        ]
        var text = ""
        for _ in 0..<random.below(7) { text += pieces[random.below(pieces.count)] }
        return text
    }

    mutating func value(depth: Int) -> Value {
        switch random.below(depth > 0 ? 9 : 6) {
        case 0: return .null
        case 1: return .bool(random.chance(1, in: 2))
        case 2: return .int(Int64(bitPattern: random.next()) >> Int64(random.below(64)))
        case 3:
            let number = Double(bitPattern: random.next())
            return .double(number.isFinite ? number : 0.5)
        case 4, 5: return .string(text())
        case 6: return .array((0..<random.below(5)).map { _ in value(depth: depth - 1) })
        default:
            var object = Object()
            for _ in 0..<random.below(5) { object[text()] = value(depth: depth - 1) }
            return .object(object)
        }
    }
}

@Suite struct `Documents under fuzzing` {
    @Test func `what is printed is read back the same`() {
        fuzz("documents", executions: 4000) { (random) throws in
            var chance = Chance(random: random)
            let value = chance.value(depth: 4)
            #expect(try Value(json: Array(value.json().utf8)) == value)
            #expect(try Value(json: Array(value.json(indent: 2).utf8)) == value)
            let yaml = YAML.print([value, value])
            do {
                let documents = try YAML.parse(Array(yaml.utf8))
                #expect(documents.map(\.value) == [value, value], "\(value.json()) was printed as\n\(yaml)")
            } catch {
                Issue.record("\(value.json()) was printed as\n\(yaml)\(error)")
            }
        }
    }

    @Test func `random bytes never crash a parser, and what is accepted survives printing`() {
        let alphabet = Array("{}[]:,\"\\'ntfu0123456789-+.eE \n\t#&*!|>%@?<~abué".utf8)
        var accepted = 0
        let done = fuzz("document-bytes", executions: 30_000) { (random) throws in
            var bytes = [UInt8](repeating: 0, count: random.below(40))
            let isAnything = random.chance(1, in: 4)
            for i in bytes.indices { bytes[i] = isAnything ? UInt8(truncatingIfNeeded: random.next()) : alphabet[random.below(alphabet.count)] }
            if let value = try? Value(json: bytes) {
                accepted += 1
                #expect(try Value(json: Array(value.json().utf8)) == value)
            }
            if let documents = try? YAML.parse(bytes), !documents.isEmpty {
                accepted += 1
                let values = documents.map(\.value)
                let printed = YAML.print(values)
                #expect((try? YAML.parse(Array(printed.utf8)).map(\.value)) == values, "\(bytes) was printed as\n\(printed)")
            }
        }
        #expect(isFuzzingLong || accepted > done / 30)
    }

    @Test func `a document broken at any byte is refused or read, and what is read survives printing`() {
        let tokens = [": ", "- ", "\n", "\n  ", "&a ", "*a", "!!str ", "|\n", ">-\n", "---\n", "...\n", "<<: *a", "? ", "\"", "'", "{", "]", "\\u", "#"].map { Array($0.utf8) }
        fuzz("document-damage", executions: 800) { (random) throws in
            var chance = Chance(random: random.fork("document"))
            let value = chance.value(depth: 4)
            for _ in 0..<3 {
                let json = mutated(Array(value.json().utf8), tokens: tokens, &random)
                if let read = try? Value(json: json) { #expect(try Value(json: Array(read.json().utf8)) == read) }
                let yaml = mutated(Array(YAML.print([value]).utf8), tokens: tokens, &random)
                if let read = try? YAML.parse(yaml).map(\.value) {
                    let printed = YAML.print(read)
                    #expect((try? YAML.parse(Array(printed.utf8)).map(\.value)) == read, "\(String(decoding: yaml, as: UTF8.self).debugDescription) was printed as\n\(printed)")
                }
            }
        }
    }
}
