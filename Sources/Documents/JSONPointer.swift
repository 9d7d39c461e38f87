// A place in a document by RFC 6901: `/spec/containers/0/name`, with `~1` for a slash and `~0` for a tilde inside a name.

import OrderedCollections

public struct JSONPointer: Hashable, Sendable, CustomStringConvertible {
    /// Names and indices from the root, unescaped. None: the whole document.
    public var tokens: [String]

    public init(_ tokens: [String] = []) { self.tokens = tokens }

    /// nil when the text neither is empty nor begins with a slash, or has a tilde that escapes nothing.
    public init?(parsing text: String) {
        tokens = []
        if text.utf8.isEmpty { return }
        guard text.utf8.first == 0x2f else { return nil }
        for part in text.utf8.dropFirst().split(separator: 0x2f, omittingEmptySubsequences: false) {
            var token: [UInt8] = []
            var bytes = part.makeIterator()
            while let byte = bytes.next() {
                if byte != 0x7e {
                    token.append(byte)
                } else {
                    switch bytes.next() {
                    case 0x30: token.append(0x7e)
                    case 0x31: token.append(0x2f)
                    default: return nil
                    }
                }
            }
            tokens.append(String(decoding: token, as: UTF8.self))
        }
    }

    public var description: String {
        var bytes: [UInt8] = []
        for token in tokens {
            bytes.append(0x2f)
            for byte in token.utf8 {
                switch byte {
                case 0x7e: bytes.append(contentsOf: [0x7e, 0x30])
                case 0x2f: bytes.append(contentsOf: [0x7e, 0x31])
                default: bytes.append(byte)
                }
            }
        }
        return String(decoding: bytes, as: UTF8.self)
    }

    public func appending(_ token: String) -> JSONPointer { JSONPointer(tokens + [token]) }

    /// An array index as the RFC writes it: digits without a leading zero. nil for anything else.
    static func index(_ token: String) -> Int? {
        let digits = token.utf8
        guard !digits.isEmpty, digits.count <= 18, digits.allSatisfy({ $0 >= 0x30 && $0 <= 0x39 }), digits.count == 1 || digits.first != 0x30 else { return nil }
        return Int(token)
    }
}

extension Value {
    /// The value at a place; nil when there is none.
    public subscript(_ pointer: JSONPointer) -> Value? {
        var value = self
        for token in pointer.tokens {
            switch value {
            case .object(let object):
                guard let member = object[token] else { return nil }
                value = member
            case .array(let elements):
                guard let index = JSONPointer.index(token), index < elements.count else { return nil }
                value = elements[index]
            case .null, .bool, .int, .double, .string: return nil
            }
        }
        return value
    }
}
