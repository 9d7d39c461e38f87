// Where a part of a YAML document stands: for complaints that name a line.

import Documents
import Testing

@Suite struct `The line of a part` {
    private let text = Array("""
        # a comment
        one: 1
        list:
        - name: a
          deep: {x: 1,
                 y: [1,
                     2]}
        - name: b
        "quoted name":
          z: |
            text
        """.utf8)

    @Test(arguments: [
        ([], 2), ([.member("one")], 2), ([.member("list")], 4), ([.member("list"), .element(0), .member("name")], 4), ([.member("list"), .element(0), .member("deep"), .member("x")], 5),
        ([.member("list"), .element(0), .member("deep"), .member("y"), .element(1)], 7), ([.member("list"), .element(1)], 8), ([.member("quoted name"), .member("z")], 10),
    ] as [([DocumentStep], Int)]) func `is where it begins`(_ path: [DocumentStep], _ line: Int) { #expect(YAML.line(of: path, in: text) == line) }

    @Test(arguments: [
        ([.member("none")], 2), ([.member("list"), .element(7)], 4), ([.member("list"), .element(1), .member("deep")], 8), ([.member("one"), .member("x"), .member("y")], 2),
        ([.member("list"), .member("name")], 4),
    ] as [([DocumentStep], Int)]) func `that is absent is that of what is around it`(_ path: [DocumentStep], _ line: Int) { #expect(YAML.line(of: path, in: text) == line) }

    @Test func `is unknown where there is no YAML`() {
        #expect(YAML.line(of: [.member("b")], in: Array("a: [".utf8)) == nil)
        #expect(YAML.line(of: [.member("a")], in: []) == nil)
    }
}
