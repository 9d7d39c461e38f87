// YAML out, in the style of `kubectl -o yaml` (go-yaml version 2): block style, sequences not indented below their name, quotes
// only where needed, text of several lines as a literal block. Unlike go-yaml, members keep their order and long lines are
// never folded: a fold is hard to read and harder to compare.

import OrderedCollections

extension YAML {
    /// The documents of a stream, `---` between them.
    public static func print(_ documents: [Value]) -> String {
        var printer = YAMLPrinter()
        for (i, document) in documents.enumerated() {
            if i > 0 { printer.text += "---\n" }
            printer.document(document)
        }
        return printer.text
    }
}

private struct YAMLPrinter {
    var text = ""

    mutating func document(_ value: Value) { block(value, indent: 0, isInline: true) }

    /// A value whose first line may already be begun (`isInline`): what follows begins at column `indent`.
    private mutating func block(_ value: Value, indent: Int, isInline: Bool) {
        switch value {
        case .object(let object) where !object.isEmpty:
            var isFirst = isInline
            for (name, member) in object {
                if !isFirst { spaces(indent) }
                isFirst = false
                key(name, indent: indent)
                self.member(member, indent: indent)
            }
        case .array(let elements) where !elements.isEmpty:
            var isFirst = isInline
            for element in elements {
                if !isFirst { spaces(indent) }
                isFirst = false
                text += "- "
                block(element, indent: indent + 2, isInline: true)
            }
        default:
            scalar(value, indent: indent)
            text += "\n"
        }
    }

    /// What follows `name:`.
    private mutating func member(_ value: Value, indent: Int) {
        switch value {
        case .object(let object) where !object.isEmpty:
            text += "\n"
            block(value, indent: indent + 2, isInline: false)
        case .array(let elements) where !elements.isEmpty:
            text += "\n"
            block(value, indent: indent, isInline: false)
        default:
            text += " "
            scalar(value, indent: indent + 2)
            text += "\n"
        }
    }

    /// A name up to and including its colon. Readers take at most 1024 characters for a name without the `?` before it.
    private mutating func key(_ name: String, indent: Int) {
        let written = StringStyle(name).isPlain ? name : StringStyle(name).isSingleQuoted ? Self.singleQuoted(name) : Self.doubleQuoted(name)
        if written.unicodeScalars.count <= 128 {
            text += written + ":"
        } else {
            text += "? " + written + "\n"
            spaces(indent)
            text += ":"
        }
    }

    /// Without the line's end; the lines of a literal block stand at column `indent`.
    private mutating func scalar(_ value: Value, indent: Int) {
        switch value {
        case .null: text += "null"
        case .bool(let flag): text += flag ? "true" : "false"
        case .int(let number): text += String(number)
        case .double(let number): text += number.isNaN ? ".nan" : number.isInfinite ? (number < 0 ? "-.inf" : ".inf") : number.description
        case .array: text += "[]"
        case .object: text += "{}"
        case .string(let string):
            let style = StringStyle(string)
            if style.isLiteral {
                literal(string, indent: max(indent, 2))
            } else if style.isPlain {
                text += string
            } else if style.isSingleQuoted {
                text += Self.singleQuoted(string)
            } else {
                text += Self.doubleQuoted(string)
            }
        }
    }

    private mutating func literal(_ string: String, indent: Int) {
        let bytes = string.utf8
        text += "|"
        if bytes.first == 0x20 || bytes.first == 0x0a { text += "2" }
        var body = bytes[...]
        if bytes.last != 0x0a {
            text += "-"
        } else {
            body = body.dropLast()
            if body.isEmpty || body.last == 0x0a { text += "+" }
        }
        for line in body.split(separator: 0x0a, omittingEmptySubsequences: false) {
            text += "\n"
            if !line.isEmpty { spaces(indent) }
            text += String(Substring(line))
        }
    }

    private mutating func spaces(_ count: Int) { text += String(repeating: " ", count: count) }

    private static func singleQuoted(_ string: String) -> String {
        var quoted = "'"
        for scalar in string.unicodeScalars {
            if scalar == "'" { quoted += "'" }
            quoted.unicodeScalars.append(scalar)
        }
        return quoted + "'"
    }

    private static func doubleQuoted(_ string: String) -> String {
        var quoted = "\""
        for scalar in string.unicodeScalars {
            switch scalar.value {
            case 0x22: quoted += "\\\""
            case 0x5c: quoted += "\\\\"
            case 0x00: quoted += "\\0"
            case 0x07: quoted += "\\a"
            case 0x08: quoted += "\\b"
            case 0x09: quoted += "\\t"
            case 0x0a: quoted += "\\n"
            case 0x0b: quoted += "\\v"
            case 0x0c: quoted += "\\f"
            case 0x0d: quoted += "\\r"
            case 0x1b: quoted += "\\e"
            case 0x85: quoted += "\\N"
            case 0x2028: quoted += "\\L"
            case 0x2029: quoted += "\\P"
            case 0xfeff: quoted += "\\uFEFF"
            case let code where !StringStyle.isPrintable(code):
                let digits = String(code, radix: 16, uppercase: true)
                let (letter, width) = code < 0x100 ? ("x", 2) : code < 0x1_0000 ? ("u", 4) : ("U", 8)
                quoted += "\\" + letter + String(repeating: "0", count: width - digits.utf8.count) + digits
            default: quoted.unicodeScalars.append(scalar)
            }
        }
        return quoted + "\""
    }
}

/// Which of YAML's four ways to write a string will be read back as the same string. Source: libyaml's emitter,
/// yaml_emitter_analyze_scalar, and go-yaml v2 encode.go stringv.
private struct StringStyle {
    var isPlain = false
    var isSingleQuoted = false
    var isLiteral = false

    /// What libyaml writes and reads without an escape.
    static func isPrintable(_ code: UInt32) -> Bool {
        switch code {
        case 0x20...0x7e, 0xa0...0xd7ff, 0xe000...0xfefe, 0xff00...0xfffd, 0x1_0000...0x10_ffff: code != 0x2028 && code != 0x2029
        default: false
        }
    }

    init(_ string: String) {
        let bytes = Array(string.utf8)
        guard let first = bytes.first, let last = bytes.last else { return }
        var hasBreak = false
        for scalar in string.unicodeScalars {
            if scalar == "\n" { hasBreak = true } else if !Self.isPrintable(scalar.value) { return }
        }
        var isIndicated = first == 0x20 || last == 0x20 || bytes.starts(with: [0x2d, 0x2d, 0x2d]) || bytes.starts(with: [0x2e, 0x2e, 0x2e])
        var hasSpaceBeforeBreak = false
        for (i, byte) in bytes.enumerated() {
            let next: UInt8 = i + 1 < bytes.count ? bytes[i + 1] : 0x20
            switch byte {
            case 0x23: if i == 0 || bytes[i - 1] == 0x20 { isIndicated = true }
            case 0x3a: if next == 0x20 { isIndicated = true }
            case 0x2d, 0x3f: if i == 0, next == 0x20 { isIndicated = true }
            case 0x2c, 0x5b, 0x5d, 0x7b, 0x7d, 0x26, 0x2a, 0x21, 0x7c, 0x3e, 0x27, 0x22, 0x25, 0x40, 0x60: if i == 0 { isIndicated = true }
            case 0x20: if next == 0x0a { hasSpaceBeforeBreak = true }
            default: break
            }
        }
        if hasBreak {
            isLiteral = !hasSpaceBeforeBreak && last != 0x20
        } else {
            let isAmbiguous = Scalar.isAmbiguous(string)
            isPlain = !isIndicated && !isAmbiguous
            isSingleQuoted = isIndicated && !isAmbiguous
        }
    }
}
