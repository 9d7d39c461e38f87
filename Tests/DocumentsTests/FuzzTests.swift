// Random documents and random bytes from named seeds: reading what we print gives the same document, and nothing crashes.

import Base
import Documents
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

@Test func `what is printed is read back the same`() throws {
    var chance = Chance(random: Random(seed: 1).fork("documents"))
    for _ in 0..<4000 {
        let value = chance.value(depth: 4)
        #expect(try Value(json: Array(value.json().utf8)) == value)
        #expect(try Value(json: Array(value.json(indent: 2).utf8)) == value)
        let yaml = YAML.print([value, value])
        do {
            let documents = try YAML.parse(Array(yaml.utf8))
            if documents.map(\.value) != [value, value] {
                Issue.record("\(value.json()) was printed as\n\(yaml)")
                return
            }
        } catch {
            Issue.record("\(value.json()) was printed as\n\(yaml)\(error)")
            return
        }
    }
}

@Test func `random bytes never crash a parser, and what is accepted survives printing`() throws {
    var random = Random(seed: 2).fork("bytes")
    let alphabet = Array("{}[]:,\"\\'ntfu0123456789-+.eE \n\t#&*!|>%@?<~abué".utf8)
    var accepted = 0
    for round in 0..<30_000 {
        var bytes = [UInt8](repeating: 0, count: random.below(40))
        for i in bytes.indices { bytes[i] = round % 4 == 0 ? UInt8(truncatingIfNeeded: random.next()) : alphabet[random.below(alphabet.count)] }
        if let value = try? Value(json: bytes) {
            accepted += 1
            #expect(try Value(json: Array(value.json().utf8)) == value)
        }
        if let documents = try? YAML.parse(bytes), !documents.isEmpty {
            accepted += 1
            let values = documents.map(\.value)
            let printed = YAML.print(values)
            if (try? YAML.parse(Array(printed.utf8)).map(\.value)) != values { Issue.record("\(String(decoding: bytes, as: UTF8.self)) was printed as\n\(printed)") }
        }
    }
    #expect(accepted > 1000)
}

@Test func `a document broken at any byte is refused or read, never worse`() throws {
    var random = Random(seed: 3).fork("mutations")
    var chance = Chance(random: Random(seed: 3).fork("documents"))
    for _ in 0..<500 {
        let value = chance.value(depth: 4)
        var json = Array(value.json().utf8)
        var yaml = Array(YAML.print([value]).utf8)
        for _ in 0..<4 {
            json[random.below(json.count)] = UInt8(truncatingIfNeeded: random.next())
            yaml[random.below(yaml.count)] = UInt8(truncatingIfNeeded: random.next())
            _ = try? Value(json: json)
            _ = try? YAML.parse(yaml)
            _ = try? YAML.parse(Array(yaml.prefix(random.below(yaml.count + 1))))
        }
    }
}
