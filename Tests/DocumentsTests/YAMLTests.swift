// YAML: what Kubernetes' reader makes of it, where errors point, what is bounded, and how documents are printed.

import Documents
import OrderedCollections
import Testing

private func yaml(_ text: String, _ limits: DocumentLimits = DocumentLimits()) throws(DocumentError) -> [YAMLDocument] { try YAML.parse(Array(text.utf8), limits: limits) }

private func one(_ text: String) throws -> Value {
    let documents = try yaml(text)
    #expect(documents.count == 1)
    return documents[0].value
}

private func failure(_ text: String, _ limits: DocumentLimits = DocumentLimits()) -> String? {
    do throws(DocumentError) {
        _ = try yaml(text, limits)
        return nil
    } catch { return error.description }
}

@Test(arguments: [
    ("yes", Value.bool(true)), ("On", .bool(true)), ("y", .bool(true)), ("TRUE", .bool(true)), ("no", .bool(false)), ("OFF", .bool(false)), ("n", .bool(false)), ("yEs", .string("yEs")),
    ("~", .null), ("Null", .null), ("nUll", .string("nUll")), ("12", .int(12)), ("-12", .int(-12)), ("+12", .int(12)), ("0x1F", .int(31)), ("0o17", .int(15)), ("017", .int(15)), ("0b101", .int(5)),
    ("08", .double(8)), ("1_000", .int(1000)), ("1.5", .double(1.5)), (".5", .double(0.5)), ("1.", .double(1)), ("1e3", .double(1000)), ("-1.5e-3", .double(-0.0015)), ("1.2.3", .string("1.2.3")), ("0x", .string("0x")),
    ("18446744073709551615", .double(18446744073709551616)), ("99999999999999999999", .double(1e20)), ("100m", .string("100m")), ("1:30", .string("1:30")), ("2001-01-01", .string("2001-01-01")),
    ("2001-12-14t21:59:43.10-05:00", .string("2001-12-14t21:59:43.10-05:00")), ("-", .array([.null])), ("'12'", .string("12")), ("\"yes\"", .string("yes")), ("!!str 12", .string("12")), ("!!int \"3\"", .int(3)),
    ("!!float 3", .double(3)), ("!!bool yes", .bool(true)), ("! 12", .string("12")), ("!custom 12", .string("12")), ("|\n  a\n  b\n", .string("a\nb\n")), ("|-\n  a\n", .string("a")), (">\n  a\n  b\n", .string("a b\n")),
    ("{a: 1, 'b': [x, z]}", .object(["a": .int(1), "b": .array([.string("x"), .string("z")])])), ("\"\\u00e9\\x41\"", .string("éA")), ("a b", .string("a b")), ("a:", .object(["a": .null])), ("null", .null),
]) func `a scalar means what go-yaml takes it for`(text: String, value: Value) throws { #expect(try one(text) == value) }

@Test func `names become strings`() throws {
    #expect(try one("1: a\nyes: b\n1.5: c\n'2': d\nx y: e") == .object(["1": .string("a"), "true": .string("b"), "1.5": .string("c"), "2": .string("d"), "x y": .string("e")]))
    #expect(failure("~: a") == "line 1, column 1: null cannot be a mapping's name")
    #expect(failure("[a]: b") == "line 1, column 1: a mapping's name must be a scalar")
    #expect(failure("- ? {a: b}\n  : c") == "line 1, column 5: a mapping's name must be a scalar")
}

@Test func `every document has its value and its line`() throws {
    let documents = try yaml("# first\n\na: 1\n---\n---\n# c\nb: 2\n...\n---\n- x\n")
    #expect(documents.map(\.value) == [.object(["a": .int(1)]), .null, .object(["b": .int(2)]), .array([.string("x")])])
    #expect(documents.map(\.line) == [3, 5, 7, 10])
    #expect(try yaml("") == [] && yaml("# nothing\n") == [])
}

@Test func `aliases repeat what they name, and merges give way to explicit members`() throws {
    #expect(try one("a: &x [1, 2]\nb: *x") == .object(["a": .array([.int(1), .int(2)]), "b": .array([.int(1), .int(2)])]))
    #expect(try one("a: &x n1\n*x : b") == .object(["a": .string("n1"), "n1": .string("b")]))
    let base = "base: &b {p: 1, q: 2}\nother: &o {q: 3, r: 4}\n"
    func members(_ text: String) throws -> Value? { if case .object(let object) = try one(base + text) { object["m"]?.canonical } else { nil } }
    #expect(try members("m:\n  <<: *b\n  q: 9") == .object(["p": .int(1), "q": .int(9)]))
    #expect(try members("m:\n  q: 9\n  <<: *b") == .object(["p": .int(1), "q": .int(9)]))
    #expect(try members("m:\n  <<: [*b, *o]") == .object(["p": .int(1), "q": .int(2), "r": .int(4)]))
    #expect(try members("m:\n  '<<': 1") == .object(["<<": .int(1)]))
    #expect(failure("a:\n  <<: 3") == "line 2, column 7: only mappings can be merged by '<<'")
    #expect(failure("a: *nowhere") == "line 1, column 4: the alias 'nowhere' has no anchor before it")
    #expect(failure("a: &x 1\n---\nb: *x") == "line 3, column 4: the alias 'x' has no anchor before it")
    #expect(failure("&a [*a]") == "line 1, column 5: the alias 'a' has no anchor before it")
}

@Test func `a billion laughs end at the bound`() throws {
    var text = "a0: &a0 [lol, lol, lol, lol, lol, lol, lol, lol, lol]\n"
    for i in 1...40 { text += "a\(i): &a\(i) [\((0..<9).map { _ in "*a\(i - 1)" }.joined(separator: ","))]\n" }
    #expect(failure(text)?.contains("aliases make the document bigger than 10485760 nodes and bytes") == true)
    var limits = DocumentLimits()
    limits.aliasWeightMax = 8
    #expect(throws: Never.self) { try yaml("a: &x abc\nb: *x\nc: *x", limits) }
    #expect(failure("a: &x abc\nb: *x\nc: [*x, *x]", limits)?.hasPrefix("line 3, column 9: ") == true)
}

@Test func `depth is bounded, through aliases too`() {
    var limits = DocumentLimits()
    limits.depthMax = 4
    #expect(failure("[[[[1]]]]", limits) == nil)
    #expect(failure("[[[[[1]]]]]", limits) == "line 1, column 5: nested deeper than 4 levels")
    #expect(failure("- &x [[1]]\n- [*x]", limits) == nil)
    #expect(failure("- &x [[1]]\n- [[*x]]", limits) == "line 2, column 5: nested deeper than 4 levels")
    #expect(failure(String(repeating: "[", count: 100_000)) != nil)
    #expect(failure(String(repeating: "- ", count: 100_000)) != nil)
    #expect(failure(String(repeating: "{a: ", count: 100_000)) != nil)
}

@Test(arguments: [
    ("a: 1\n\tb: 2", "line 2, column 1: found a tab where only spaces may indent"), ("a: [1, 2", "line 2, column 1: while parsing a flow sequence: did not find expected ',' or ']'"),
    ("é: 1\na: 2", ""), ("a: 1\na: 2", "line 2, column 1: the name 'a' comes twice in one mapping"), ("a: 'x", "line 1, column 6: while scanning a quoted scalar: found unexpected end of stream"),
    ("a: @x", "line 1, column 4: while scanning for the next token: found character that cannot start any token"), ("a: .nan", "line 1, column 4: '.nan' is a number that is not finite"),
    ("a: !!binary aGk=", "line 1, column 4: binary data cannot be part of a document"), ("a: !!int x", "line 1, column 4: 'x' is not what its tag says"), ("a:\n  - b\n c: 1", "line 3, column 2: while parsing a block mapping: did not find expected key"),
    ("a: b: c", "line 1, column 5: mapping values are not allowed in this context"),
]) func `an error says where and why in YAML`(text: String, reason: String) { #expect((failure(text) ?? "") == reason) }

@Test func `text that is not UTF-8 is refused with its place`() {
    #expect(throws: DocumentError(line: 2, column: 4, reason: "invalid leading UTF-8 octet")) { try YAML.parse(Array("a: 1\nb: ".utf8) + [0xff, 0x0a]) }
}

@Test func `documents are printed as kubectl prints them`() throws {
    let text = """
        apiVersion: v1
        kind: List
        items:
        - metadata:
            name: web
            labels: {}
            creationTimestamp: null
          list:
          - - 1
            - 2.5
          - []
          args: ["-c", "- x", "a: b", "#c", "c #d", "c#d", "yes", "12", "0x1", "1:30", "2020-01-01T00:00:00Z", "*a", "a*", "it's", "'q'", " s", "", "~", "{a}", "a{", "true", "a:b", "a:", "-a", "--", "%", "é", "tab\\t", "1_0"]
          script: |
            if true; then
              echo "hi"
            fi
          keep: |+
            a

          strip: |-
            a
            b
          hint: |2
              a
            b
          blank: "a \\n b"
        """
    let printed = YAML.print([try one(text)])
    #expect(
        printed == """
            apiVersion: v1
            kind: List
            items:
            - metadata:
                name: web
                labels: {}
                creationTimestamp: null
              list:
              - - 1
                - 2.5
              - []
              args:
              - -c
              - '- x'
              - 'a: b'
              - '#c'
              - 'c #d'
              - c#d
              - "yes"
              - "12"
              - "0x1"
              - "1:30"
              - "2020-01-01T00:00:00Z"
              - '*a'
              - a*
              - it's
              - '''q'''
              - ' s'
              - ""
              - "~"
              - '{a}'
              - a{
              - "true"
              - a:b
              - 'a:'
              - -a
              - --
              - '%'
              - é
              - "tab\\t"
              - "1_0"
              script: |
                if true; then
                  echo "hi"
                fi
              keep: |+
                a

              strip: |-
                a
                b
              hint: |2
                  a
                b
              blank: "a \\n b"

            """)
    #expect(YAML.print([.int(1), .object(["a": .null])]) == "1\n---\na: null\n")
}

@Test func `long names and names of several lines are read back`() throws {
    let value = Value.object([String(repeating: "x", count: 2000): .object(["a": .int(1)]), "a\nb": .string("c\n"), "yes": .array([.int(1)]), "": .null])
    #expect(try one(YAML.print([value])) == value)
}
