// Expressions of routes: what they take, what is refused and where, that no path can hold a proxy up, and, over drawn expressions, the
// same verdicts as Swift's own engine gives.

import Base
import Fuzzing
import Testing

@Suite struct `Regular expressions` {
    private func takes(_ source: String, _ text: String) throws -> Bool { try RegularExpression(source).matchesWhole(Substring(text)) }

    @Test(arguments: [
        ("/books", ["/books"], ["/book", "/books/", "x/books"]),
        ("/books/[^/]*", ["/books/", "/books/12"], ["/books", "/books/1/2"]),
        (#"/books/[^/]*\.json"#, ["/books/a.json", "/books/.json"], ["/books/ajson", "/books/a/b.json"]),
        ("/.*", ["/", "/a/b?"], ["", "a", "/a\n"]),
        ("(?s)/.*", ["/a\nb"], []),
        ("a|bc|", ["a", "bc", ""], ["b", "abc"]),
        ("(ab)+c?", ["ab", "ababc"], ["", "aba", "abcc"]),
        ("a{2,3}", ["aa", "aaa"], ["a", "aaaa"]), ("a{2}", ["aa"], ["a", "aaa"]), ("a{2,}b", ["aab", "aaaaab"], ["ab"]), ("(a|b){0,2}?", ["", "ba"], ["aaa"]),
        ("(?i)/Books", ["/books", "/BOOKS"], ["/bock"]), ("a(?i:b)c", ["abc", "aBc"], ["ABc"]), ("(?i)k(?-i)k", ["Kk"], ["KK"]),
        (#"\d+\.\w\s\S"#, ["12.a b", "0._\tx"], ["12.-  "]), (#"[\d\-x]+"#, ["1-x"], ["a"]), ("[]a]+", ["]a"], ["b"]), ("[^]a]", ["b"], ["]"]), ("[a-]", ["-", "a"], ["b"]),
        ("[[:alpha:][:digit:]_]+", ["aZ_9"], ["-"]), ("[[:^digit:]]", ["a"], ["1"]),
        (#"^/a$"#, ["/a"], ["/a/"]), ("a^b", [], ["ab"]), (#"\A\bfoo\b.*\z"#, ["foo", "foo bar"], ["foobar"]), (#"a\Bb"#, ["ab"], ["a b"]), ("(?m)a$\n^b", ["a\nb"], ["ab"]),
        (#"\x41\x{e9}é"#, ["Aéé"], ["A\u{e9}e"]), ("[à-ü]+", ["éà"], ["e"]), (".", ["é", "☃"], ["éé"]), ("(?P<name>a)(?<other>b)", ["ab"], ["a"]),
        ("", [""], ["a"]), ("()*", [""], ["a"]), ("(a*)*", ["", "aaa"], ["b"]), ("(a|a?)+", ["aa"], ["b"]),
    ] as [(String, [String], [String])])
    func `take what they say, from beginning to end`(source: String, taken: [String], not: [String]) throws {
        for text in taken { #expect(try takes(source, text), "\(source) takes \(text.debugDescription)") }
        for text in not { #expect(try !takes(source, text), "\(source) does not take \(text.debugDescription)") }
    }

    @Test(arguments: [
        ("(", 1, "not closed"), ("é)", 2, "not opened"), ("[a", 2, "not closed"), ("a**", 2, "nothing to repeat"), ("*", 0, "nothing to repeat"), ("a{2", 3, "{n}"), ("a{3,2}", 6, "wrong way"),
        ("a{1001}", 6, "1000"), (#"a\"#, 2, "escapes nothing"), (#"\q"#, 1, "means nothing"), (#"(a)\1"#, 4, "back-references"), ("(?=a)", 2, "look-around"), ("(?<!a)", 2, "look-around"),
        (#"\pL"#, 1, "Unicode classes"), ("(?x)a", 2, "not supported"), ("[z-a]", 4, "wrong way"), (#"[\d-z]"#, 5, "range"), ("[a&&b]", 2, "operations"), ("[[:nope:]]", 1, "POSIX"), (#"\xg"#, 2, "hexadecimal"),
        (#"\x{d800}"#, 8, "hexadecimal"), ("(?P<a-b>c)", 5, "name"), ("(?i", 3, "not closed"),
    ])
    func `are refused with the byte and the reason`(source: String, byte: Int, reason: String) {
        do throws(Refusal) {
            _ = try RegularExpression(source)
            Issue.record("\(source) was taken")
        } catch {
            #expect(error.reason.hasPrefix("at byte \(byte): ") && error.reason.contains(reason), "\(source): \(error.reason)")
        }
    }

    @Test func `are bounded in size and depth`() throws {
        for source in ["(a{1000}){1000}", String(repeating: "a", count: 2000), String(repeating: "(", count: 200) + String(repeating: ")", count: 200)] {
            #expect(throws: Refusal.self, "\(source.prefix(20))…") { try RegularExpression(source) }
        }
        #expect(try takes("a{900}", String(repeating: "a", count: 900)))
    }

    /// With an engine that backtracks, each of these takes longer than the universe is old.
    @Test(arguments: ["(a+)+b", "(a|a)*b", "(a|aa)+b", "(.*)*b", "(a?){60}a{60}b", "(([a-z])+.)+[A-Z]([a-z])+b"])
    func `take no longer for being asked about a hostile path`(source: String) throws {
        #expect(try !takes(source, String(repeating: "a", count: 8192)))
    }

    /// Without `\b`: Swift's boundaries are Unicode's, at the end of an empty text, too.
    @Test func `agree with Swift's own engine, drawn under fuzz`() {
        let tokens = ["a", "b", "c", ".", "/", "[ab]", "[^a]", "[a-c]", #"\d"#, #"\w"#, "1", "(", ")", "(?:", "|", "*", "+", "?", "{2}", "{1,2}", "{0,}", "^", "$", #"\."#]
        var compared = 0
        let done = fuzz("regular-expression", executions: 4000) { (random) throws in
            let source = (0..<(1 + random.below(9))).map { _ in tokens[random.below(tokens.count)] }.joined()
            guard let ours = try? RegularExpression(source), let other = try? Regex(source) else { return }
            compared += 1
            for _ in 0..<6 {
                let text = String((0..<random.below(7)).map { _ in ["a", "b", "c", "/", "1", ".", "_"][random.below(7)] }.joined())
                let expected = try other.wholeMatch(in: text) != nil
                #expect(ours.matchesWhole(Substring(text)) == expected, "\(source) on \(text.debugDescription)")
            }
        }
        #expect(isFuzzingLong || compared > done / 4, "\(compared) of \(done)")
    }

    @Test func `damaged sources are refused or taken, never more`() {
        let valid = Array(#"^/(?P<a>[a-z\d]+|\x{e9}{2,3}?)(?i:b)*\.json$"#.utf8)
        fuzz("regular-expression-source", executions: 4000) { (random) throws in
            let source = String(decoding: mutated(valid, tokens: ["(", ")", "[", "]", "{", "}", "\\", "(?", "[:", ":]", "|", "é"].map { Array($0.utf8) }, &random), as: UTF8.self)
            guard let expression = try? RegularExpression(source) else { return }
            _ = expression.matchesWhole("/abc9.json")
        }
    }
}
