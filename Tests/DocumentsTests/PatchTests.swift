// JSON Pointer, JSON Patch and merge patch: the examples of their RFCs as facts, and errors that name the operation.

import Base
import Documents
import Fuzzing
import OrderedCollections
import Testing

private func patched(_ document: String, _ patch: String) throws -> String { try JSONPatch(parse(patch)).apply(to: parse(document)).json() }

private func refused(_ document: String, _ patch: String) -> String? {
    do { _ = try patched(document, patch) } catch let error as JSONPatchError { return error.description } catch { return "\(error)" }
    return nil
}

@Test func `a pointer names a place`() throws {
    let document = try parse(#"{"foo":["bar","baz"],"":0,"a/b":1,"m~n":8," ":7,"o":{"01":2}}"#)
    let cases: [(String, Value?)] = [
        ("", document), ("/foo", .array([.string("bar"), .string("baz")])), ("/foo/0", .string("bar")), ("/", .int(0)), ("/a~1b", .int(1)), ("/m~0n", .int(8)), ("/ ", .int(7)),
        ("/foo/2", nil), ("/foo/-", nil), ("/foo/00", nil), ("/foo/x", nil), ("/foo/0/1", nil), ("/o/01", .int(2)), ("/foo/99999999999999999999", nil), ("/none", nil),
    ]
    for (text, value) in cases {
        let pointer = try #require(JSONPointer(parsing: text))
        #expect(document[pointer] == value, "\(text)")
        #expect(pointer.description == text)
    }
    #expect(JSONPointer(parsing: "foo") == nil && JSONPointer(parsing: "/a~2") == nil && JSONPointer(parsing: "/a~") == nil)
    #expect(JSONPointer(["~1", "/"]).description == "/~01/~1" && JSONPointer(parsing: "/~01/~1") == JSONPointer(["~1", "/"]))
}

@Test(arguments: [
    (#"{"foo":"bar"}"#, #"[{"op":"add","path":"/baz","value":"qux"}]"#, #"{"foo":"bar","baz":"qux"}"#),
    (#"{"foo":["bar","baz"]}"#, #"[{"op":"add","path":"/foo/1","value":"qux"}]"#, #"{"foo":["bar","qux","baz"]}"#),
    (#"{"foo":["bar"]}"#, #"[{"op":"add","path":"/foo/-","value":["abc","def"]}]"#, #"{"foo":["bar",["abc","def"]]}"#),
    (#"{"foo":["bar"]}"#, #"[{"op":"add","path":"/foo/1","value":1}]"#, #"{"foo":["bar",1]}"#),
    (#"{"baz":"qux","foo":"bar"}"#, #"[{"op":"remove","path":"/baz"}]"#, #"{"foo":"bar"}"#),
    (#"{"foo":["bar","qux","baz"]}"#, #"[{"op":"remove","path":"/foo/1"}]"#, #"{"foo":["bar","baz"]}"#),
    (#"{"baz":"qux","foo":"bar"}"#, #"[{"op":"replace","path":"/baz","value":"boo"}]"#, #"{"baz":"boo","foo":"bar"}"#),
    (#"{"foo":{"bar":"baz","waldo":"fred"},"qux":{"corge":"grault"}}"#, #"[{"op":"move","from":"/foo/waldo","path":"/qux/thud"}]"#, #"{"foo":{"bar":"baz"},"qux":{"corge":"grault","thud":"fred"}}"#),
    (#"{"foo":["all","grass","cows","eat"]}"#, #"[{"op":"move","from":"/foo/1","path":"/foo/3"}]"#, #"{"foo":["all","cows","eat","grass"]}"#),
    (#"{"baz":"qux","foo":["a",2,"c"]}"#, #"[{"op":"test","path":"/baz","value":"qux"},{"op":"test","path":"/foo/1","value":2.0}]"#, #"{"baz":"qux","foo":["a",2,"c"]}"#),
    (#"{"foo":"bar"}"#, #"[{"op":"add","path":"/child","value":{"grandchild":{}},"xyz":1}]"#, #"{"foo":"bar","child":{"grandchild":{}}}"#),
    (#"{"a":{"b":1}}"#, #"[{"op":"copy","from":"/a","path":"/a/c"}]"#, #"{"a":{"b":1,"c":{"b":1}}}"#), (#"{"a":1}"#, #"[{"op":"replace","path":"","value":[1]}]"#, "[1]"),
    (#"{"a":1}"#, #"[{"op":"add","path":"","value":null}]"#, "null"), (#"{"a":1}"#, #"[{"op":"move","from":"/a","path":"/a"}]"#, #"{"a":1}"#), ("{}", "[]", "{}"),
    (#"{"a":{"y":1,"x":2}}"#, #"[{"op":"test","path":"/a","value":{"x":2,"y":1}}]"#, #"{"a":{"y":1,"x":2}}"#),
]) func `an operation changes the document`(document: String, patch: String, result: String) throws { #expect(try patched(document, patch) == result) }

@Test(arguments: [
    ("{}", "{}", "operation 0: a patch is an array of operations"), ("{}", "[1]", "operation 0: an operation is an object"), ("{}", #"[{"path":"/a"}]"#, "operation 0: 'op' is missing or not a string"),
    ("{}", #"[{"op":"spam","path":"/a"}]"#, "operation 0: 'spam' is not an operation"), ("{}", #"[{"op":"add","path":"/a"}]"#, "operation 0: 'value' is missing"),
    ("{}", #"[{"op":"add","path":"a","value":1}]"#, "operation 0: 'a' is not a JSON pointer"), ("{}", #"[{"op":"move","path":"/a"}]"#, "operation 0: 'from' is missing or not a string"),
    (#"{"a":1}"#, #"[{"op":"add","path":"/b","value":1},{"op":"test","path":"/a","value":2}]"#, "operation 1: the value at '/a' is another"),
    ("{}", #"[{"op":"add","path":"/a/b","value":1}]"#, "operation 0: there is nothing at '/a/b'"), ("{}", #"[{"op":"remove","path":"/a"}]"#, "operation 0: there is nothing at '/a'"),
    ("{}", #"[{"op":"replace","path":"/a","value":1}]"#, "operation 0: there is nothing at '/a'"), ("[1]", #"[{"op":"add","path":"/3","value":1}]"#, "operation 0: '/3' is not an index of its array"),
    ("[1]", #"[{"op":"add","path":"/01","value":1}]"#, "operation 0: '/01' is not an index of its array"), ("[1]", #"[{"op":"remove","path":"/1"}]"#, "operation 0: '/1' is not an index of its array"),
    ("[1]", #"[{"op":"remove","path":"/-"}]"#, "operation 0: '/-' is not an index of its array"), (#"{"a":1}"#, #"[{"op":"add","path":"/a/b","value":1}]"#, "operation 0: there is nothing at '/a/b'"),
    (#"{"a":{}}"#, #"[{"op":"move","from":"/a","path":"/a/b"}]"#, "operation 0: '/a' cannot move into itself"), ("{}", #"[{"op":"copy","from":"/a","path":"/b"}]"#, "operation 0: there is nothing at '/a'"),
    ("{}", #"[{"op":"test","path":"/a","value":null}]"#, "operation 0: there is nothing at '/a'"), (#"{"a":"1"}"#, #"[{"op":"test","path":"/a","value":1}]"#, "operation 0: the value at '/a' is another"),
]) func `an operation that does not fit is refused by its index`(document: String, patch: String, reason: String) { #expect((refused(document, patch) ?? "") == reason) }

@Test func `copies cannot make a document of any size`() throws {
    let copies = JSONPatch((0..<64).map { .copy(from: JSONPointer(), to: JSONPointer(["a\($0)"])) })
    #expect(throws: JSONPatchError.self) { try copies.apply(to: parse(#"{"x":"yyyyyyyyyyyyyyyy"}"#)) }
    let nested = JSONPatch((0..<600).map { .add(JSONPointer([String](repeating: "a", count: $0 + 1)), .object([:])) })
    #expect(throws: JSONPatchError(index: 511, reason: .tooBig)) { try nested.apply(to: .object([:])) }
    let many = JSONPatch([JSONPatch.Operation](repeating: .test(JSONPointer(), .null), count: 10_001))
    #expect(throws: JSONPatchError(index: 10_000, reason: .tooBig)) { try many.apply(to: .null) }
}

@Suite struct `Patches under fuzzing` {
    @Test func `the patch between two documents turns one into the other, and survives its own document`() {
        fuzz("patches", executions: 3000) { (random) throws in
            func value(_ depth: Int) -> Value {
                switch random.below(depth > 0 ? 5 : 3) {
                case 0: return .int(Int64(random.below(3)))
                case 1: return .string(["a", "b~", "c/"][random.below(3)])
                case 2: return .null
                case 3: return .array((0..<random.below(4)).map { _ in value(depth - 1) })
                default:
                    var object = Object()
                    for _ in 0..<random.below(4) { object[["a", "b~", "c/", ""][random.below(4)]] = value(depth - 1) }
                    return .object(object)
                }
            }
            let (old, new) = (value(4), value(4))
            let patch = JSONPatch(from: old, to: new)
            #expect(try JSONPatch(patch.value) == patch)
            let result = try patch.apply(to: old)
            #expect(result.canonical == new.canonical, "\(old.json()) and \(patch.value.json()) gave \(result.json()) instead of \(new.json())")
            #expect(JSONPatch(from: old, to: old).isEmpty)
        }
    }
}

@Test(arguments: [
    (#"{"a":"b"}"#, #"{"a":"c"}"#, #"{"a":"c"}"#), (#"{"a":"b"}"#, #"{"b":"c"}"#, #"{"a":"b","b":"c"}"#), (#"{"a":"b"}"#, #"{"a":null}"#, "{}"), (#"{"a":["b"]}"#, #"{"a":"c"}"#, #"{"a":"c"}"#),
    (#"{"a":{"b":"c"}}"#, #"{"a":{"b":"d","c":null}}"#, #"{"a":{"b":"d"}}"#), (#"{"a":[{"b":"c"}]}"#, #"{"a":[1]}"#, #"{"a":[1]}"#), (#"["a","b"]"#, #"["c","d"]"#, #"["c","d"]"#), (#"{"a":"b"}"#, #"["c"]"#, #"["c"]"#),
    (#"{"a":"foo"}"#, "null", "null"), (#"{"e":null}"#, #"{"a":1}"#, #"{"e":null,"a":1}"#), ("[1,2]", #"{"a":"b","c":null}"#, #"{"a":"b"}"#), ("{}", #"{"a":{"bb":{"ccc":null}}}"#, #"{"a":{"bb":{}}}"#),
]) func `a merge patch merges objects and replaces the rest`(document: String, patch: String, result: String) throws {
    #expect(try parse(document).merged(with: parse(patch)).json() == result)
}
