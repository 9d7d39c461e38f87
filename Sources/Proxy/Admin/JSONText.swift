// JSON out, and no more: the proxy answers with it in two places and reads it nowhere, so it carries no parser.

/// Writes one JSON value piece by piece; commas come by themselves.
struct JSONText {
    private(set) var text = ""
    private var needsComma = false

    mutating func object(_ body: (inout JSONText) -> Void) { bracket("{", "}", body) }
    mutating func array(_ body: (inout JSONText) -> Void) { bracket("[", "]", body) }

    mutating func key(_ name: String) {
        string(name)
        text += ":"
        needsComma = false
    }

    mutating func string(_ value: String) {
        comma()
        text += "\""
        for c in value.unicodeScalars {
            switch c {
            case "\"": text += "\\\""
            case "\\": text += "\\\\"
            case "\n": text += "\\n"
            case "\r": text += "\\r"
            case "\t": text += "\\t"
            default:
                if c.value < 0x20 {
                    let digits = String(c.value, radix: 16)
                    text += "\\u" + String(repeating: "0", count: 4 - digits.utf8.count) + digits
                } else {
                    text.unicodeScalars.append(c)
                }
            }
        }
        text += "\""
    }

    mutating func number(_ value: some BinaryInteger) { word("\(value)") }
    mutating func bool(_ value: Bool) { word(value ? "true" : "false") }
    mutating func null() { word("null") }

    mutating func member(_ name: String, _ value: String?) {
        key(name)
        if let value { string(value) } else { null() }
    }

    private mutating func word(_ word: String) {
        comma()
        text += word
    }

    private mutating func comma() {
        if needsComma { text += "," }
        needsComma = true
    }

    private mutating func bracket(_ open: String, _ close: String, _ body: (inout JSONText) -> Void) {
        comma()
        text += open
        needsComma = false
        body(&self)
        text += close
        needsComma = true
    }
}
