// JSON: what RFC 8259 accepts and refuses, where errors point, and that printing and reading are inverse.

import Base
import Documents
import OrderedCollections
import Testing

func parse(_ text: String, _ limits: DocumentLimits = DocumentLimits()) throws(DocumentError) -> Value { try Value(json: Array(text.utf8), limits: limits) }

func failure(_ bytes: [UInt8]) -> DocumentError? {
    do throws(DocumentError) {
        _ = try Value(json: bytes)
        return nil
    } catch { return error }
}

@Test func `every kind of value is read`() throws {
    let value = try parse(#" {"n":null,"t":true,"f":false,"i":-7,"d":2.5,"s":"a\u00e9\n","a":[1,[],{}],"o":{"z":1,"a":2}} "#)
    #expect(
        value
            == .object([
                "n": .null, "t": .bool(true), "f": .bool(false), "i": .int(-7), "d": .double(2.5), "s": .string("aé\n"),
                "a": .array([.int(1), .array([]), .object([:])]), "o": .object(["z": .int(1), "a": .int(2)]),
            ]))
    #expect(value.json() == #"{"n":null,"t":true,"f":false,"i":-7,"d":2.5,"s":"aé\n","a":[1,[],{}],"o":{"z":1,"a":2}}"#)
}

@Test(arguments: [
    ("0", Value.int(0)), ("-0", .int(0)), ("9223372036854775807", .int(.max)), ("-9223372036854775808", .int(.min)),
    ("9223372036854775808", .double(9223372036854775808)), ("-9223372036854775809", .double(-9223372036854775808)),
    ("18446744073709551616", .double(18446744073709551616)), ("1.0", .double(1)), ("1e3", .double(1000)), ("-1.5E-2", .double(-0.015)), ("1E+2", .double(100)),
    ("0.1", .double(0.1)), ("5e-324", .double(.leastNonzeroMagnitude)), ("1e-400", .double(0)),
]) func `a number keeps its value`(text: String, value: Value) throws { #expect(try parse(text) == value) }

@Test(arguments: [
    "", " ", "nul", "nullx", "tru", "True", "[", "]", "[1,]", "[,1]", "[1 2]", "[1", "{", "{\"a\"}", "{\"a\":}", "{\"a\":1,}", "{a:1}", "{'a':1}", "{\"a\" 1}",
    "{\"a\":1 \"b\":2}", "{1:1}", "{\"a\":1", "1 2", "01", "-", "+1", ".5", "1.", "1.e3", "1e", "1e+", "-01", "0x1", "NaN", "-Infinity", "1e400", "--1", "1_000",
    "\"", "\"a", "\"\\", "\"\\x\"", "\"\\u12\"", "\"\\u12G4\"", "\"\\ud800\"", "\"\\ud800a\"", "\"\\ud800\\n\"", "\"\\ud800\\ud800\"", "\"\\udc00\"", "\"\t\"", "\"\n\"",
    "\"\u{0}\"", "\"\\u\"", "[1]x", "// c\n1", "/**/1", "[1/**/]", "\u{feff}1", "\u{a0}1", "\u{c}1", "'a'", "[\"a\",\n4\n,1,", "{\"a\":\"b\"}#", "{,}", "[}", "{]", "\"\\a\"",
    "\"\\u00A\"", "\"\\UD834\"",
]) func `a text that is not JSON is refused`(text: String) { #expect(failure(Array(text.utf8)) != nil) }

@Test(arguments: [
    #""\"\\\/\b\f\n\r\t""#: "\"\\/\u{8}\u{c}\n\r\t", #""\u0000\u001f""#: "\0\u{1f}", #""\uD83D\uDE00é""#: "😀é", "\"\u{7f}\u{2028}\"": "\u{7f}\u{2028}", #""\uFFFD\uE000""#: "\u{fffd}\u{e000}",
]) func `escapes are read`(text: String, string: String) throws { #expect(try parse(text) == .string(string)) }

@Test(arguments: [
    [0x22, 0xff, 0x22], [0x22, 0xc0, 0xaf, 0x22], [0x22, 0xed, 0xa0, 0x80, 0x22], [0x22, 0xf4, 0x90, 0x80, 0x80, 0x22], [0x22, 0xe2, 0x82, 0x22], [0x22, 0x5c, 0x6e, 0x80, 0x22],
    [0xff], [0xff, 0xfe, 0x31, 0x00], [0x5b, 0xc3, 0xa9, 0x5d],
] as [[UInt8]]) func `text that is not UTF-8 is refused`(bytes: [UInt8]) { #expect(failure(bytes) != nil) }

@Test func `an error says where and why`() {
    #expect(failure(Array("{\n  \"é\": tru\n}".utf8))?.description == "line 2, column 8: a value that is neither true, false nor null")
    #expect(failure(Array("[1,\n2,\n]".utf8))?.description == "line 3, column 1: ']' where a value should begin")
    #expect(failure([0x22, 0x61, 0xff, 0x22])?.description == "line 1, column 3: a string is not UTF-8")
}

@Test func `a name that comes twice keeps its place and its last value`() throws {
    #expect(try parse(#"{"a":1,"b":2,"a":3}"#) == .object(["a": .int(3), "b": .int(2)]))
}

@Test func `depth and size are bounded`() throws {
    var limits = DocumentLimits()
    limits.depthMax = 3
    limits.textBytesMax = 20
    #expect(throws: Never.self) { try parse("[[[1]],[[1]]]", limits) }
    #expect(throws: DocumentError(line: 1, column: 4, reason: "nested deeper than 3 levels")) { try parse("[[[[1]]]]", limits) }
    #expect(throws: DocumentError.self) { try parse("[{\"a\":[[1]]}]", limits) }
    #expect(throws: DocumentError.self) { try parse("[1,2,3,4,5,6,7,8,9,10]", limits) }
    #expect(failure([UInt8](repeating: 0x5b, count: 1_000_000)) != nil)
    let deep = String(repeating: "[", count: 512) + String(repeating: "]", count: 512)
    #expect(try parse(deep).json() == deep)
}

@Test func `indented JSON has a member a line`() throws {
    #expect(try parse(#"{"a":[1,{"b":[]}],"c":{}}"#).json(indent: 2) == "{\n  \"a\": [\n    1,\n    {\n      \"b\": []\n    }\n  ],\n  \"c\": {}\n}")
}

@Test func `printing appends to bytes and buffers`() throws {
    var bytes: [UInt8] = [0x20]
    var buffer = ByteBuffer()
    try parse("[1]").json(into: &bytes)
    try parse("[1]").json(into: &buffer)
    #expect(bytes == Array(" [1]".utf8) && buffer.text() == "[1]")
}

@Test func `canonical values are equal when documents mean the same`() throws {
    #expect(try parse(#"{"a":{"c":1,"b":2.0}}"#) != parse(#"{"a":{"b":2,"c":1}}"#))
    #expect(try parse(#"{"a":{"c":1,"b":2.0}}"#).canonical == parse(#"{"a":{"b":2,"c":1}}"#).canonical)
    #expect(try parse("[1,2]").canonical != parse("[2,1]").canonical)
}
