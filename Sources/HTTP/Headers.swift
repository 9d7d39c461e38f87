// Header fields of one message: the bytes as they came, and an index of where each field stands. A parser copies a whole head
// once; a serialiser copies runs of untouched fields once. Names compare without regard to case (RFC 9110 section 5.1) and keep
// the case they came in. Whoever adds a field vouches for its syntax; engines judge what peers send.

import Base

public struct Headers: Sendable {
    /// One field: offsets into `storage`.
    struct Field: Sendable {
        var nameStart: Int32
        var nameCount: Int32
        var valueStart: Int32
        var valueCount: Int32
        /// Which of the names that engines react to, `.other` for the rest.
        var known: KnownName
        /// Never to be put into a compression table (RFC 7541 section 7.1.3).
        var isSensitive = false
        /// The bytes from `nameStart` on are `Name: value CR LF` as they may be sent on HTTP/1, and end where the next line begins.
        var isLine = false
        /// One past the line feed; only if `isLine`.
        var lineEnd: Int32 = 0
    }

    var storage: [UInt8]
    var fields: [Field]

    public init() {
        storage = []
        fields = []
    }

    /// Takes over bytes and the index of them that a parser made.
    init(storage: [UInt8], fields: [Field]) {
        self.storage = storage
        self.fields = fields
    }

    /// Number of fields.
    public var count: Int { fields.count }
    public var isEmpty: Bool { fields.isEmpty }

    public mutating func reserve(fields count: Int, bytes: Int) {
        fields.reserveCapacity(count)
        storage.reserveCapacity(bytes)
    }

    // MARK: By position

    /// The name of field `i` as it came.
    public func name(at i: Int) -> String { text(fields[i].nameStart, fields[i].nameCount) }
    public func value(at i: Int) -> String { text(fields[i].valueStart, fields[i].valueCount) }

    /// Name and value bytes of field `i`, valid inside `body` only.
    @inline(__always)
    public func withField<R>(at i: Int, _ body: (_ name: UnsafeRawBufferPointer, _ value: UnsafeRawBufferPointer) -> R) -> R {
        let field = fields[i]
        return storage.withUnsafeBytes { raw in
            body(
                UnsafeRawBufferPointer(rebasing: raw[Int(field.nameStart)..<Int(field.nameStart + field.nameCount)]),
                UnsafeRawBufferPointer(rebasing: raw[Int(field.valueStart)..<Int(field.valueStart + field.valueCount)]))
        }
    }

    /// Every field as text, in order; for people and tests.
    public var list: [(name: String, value: String)] { fields.indices.map { (name(at: $0), value(at: $0)) } }

    // MARK: By name; `name` is given in lower case. A literal is a StaticString here, which is compared without making text.

    public func contains(_ name: StaticString) -> Bool { index(of: name) != nil }
    @_disfavoredOverload
    public func contains(_ name: String) -> Bool { index(of: name) != nil }

    /// The first value with this name.
    public func first(_ name: StaticString) -> String? { index(of: name).map { value(at: $0) } }
    @_disfavoredOverload
    public func first(_ name: String) -> String? { index(of: name).map { value(at: $0) } }

    /// Every value with this name, in order.
    public func all(_ name: StaticString) -> [String] {
        fields.indices.filter { matches($0, name) }.map { value(at: $0) }
    }

    @_disfavoredOverload
    public func all(_ name: String) -> [String] {
        fields.indices.filter { matches($0, name) }.map { value(at: $0) }
    }

    /// The first value's bytes without making text of them; nil if there is none. The bytes are valid inside `body` only.
    public func withFirst<R>(_ name: StaticString, _ body: (UnsafeRawBufferPointer) -> R) -> R? {
        guard let i = index(of: name) else { return nil }
        return withField(at: i) { _, value in body(value) }
    }

    public mutating func add(_ name: StaticString, _ value: String) {
        name.withUTF8Buffer { append(name: UnsafeRawBufferPointer($0), value: value) }
    }

    @_disfavoredOverload
    public mutating func add(_ name: String, _ value: String) {
        var name = name
        name.withUTF8 { append(name: UnsafeRawBufferPointer($0), value: value) }
    }

    /// Adds a field from bytes.
    public mutating func add(name: UnsafeRawBufferPointer, value: UnsafeRawBufferPointer, isSensitive: Bool = false) {
        let nameStart = storage.count
        storage.append(contentsOf: name)
        storage.append(contentsOf: value)
        fields.append(
            Field(
                nameStart: Int32(nameStart), nameCount: Int32(name.count), valueStart: Int32(nameStart + name.count), valueCount: Int32(value.count),
                known: KnownName(name), isSensitive: isSensitive))
    }

    /// Replaces every field with this name by one at the end.
    public mutating func set(_ name: StaticString, _ value: String) {
        removeAll(name)
        add(name, value)
    }

    @_disfavoredOverload
    public mutating func set(_ name: String, _ value: String) {
        removeAll(name)
        add(name, value)
    }

    public mutating func removeAll(_ name: StaticString) {
        if index(of: name) == nil { return }
        fields.removeAll { name.equalsIgnoringCase(storage, $0) }
    }

    @_disfavoredOverload
    public mutating func removeAll(_ name: String) {
        if index(of: name) == nil { return }
        fields = fields.indices.filter { !matches($0, name) }.map { fields[$0] }
    }

    /// Removes every field whose name begins with `prefix`, given in lower case: `l5d-`.
    public mutating func removeAll(prefix: StaticString) {
        fields.removeAll { field in
            Int(field.nameCount) >= prefix.utf8CodeUnitCount && prefix.equalsIgnoringCase(storage, Int(field.nameStart))
        }
    }

    // MARK: Inside

    private mutating func append(name: UnsafeRawBufferPointer, value: String) {
        var value = value
        value.withUTF8 { add(name: name, value: UnsafeRawBufferPointer($0)) }
    }

    private func text(_ start: Int32, _ count: Int32) -> String {
        storage.withUnsafeBytes { String(decoding: $0[Int(start)..<Int(start + count)], as: UTF8.self) }
    }

    func index(of name: StaticString) -> Int? {
        for i in fields.indices where matches(i, name) { return i }
        return nil
    }

    private func index(of name: String) -> Int? {
        for i in fields.indices where matches(i, name) { return i }
        return nil
    }

    @inline(__always)
    private func matches(_ i: Int, _ name: StaticString) -> Bool { name.equalsIgnoringCase(storage, fields[i]) }

    private func matches(_ i: Int, _ name: String) -> Bool {
        guard Int(fields[i].nameCount) == name.utf8.count else { return false }
        var at = Int(fields[i].nameStart)
        for byte in name.utf8 {
            if lowercased(storage[at]) != lowercased(byte) { return false }
            at += 1
        }
        return true
    }
}

extension Headers: Equatable {
    /// The same fields in the same order, names without regard to case.
    public static func == (a: Headers, b: Headers) -> Bool {
        guard a.count == b.count else { return false }
        for i in 0..<a.count {
            let isSame = a.withField(at: i) { nameA, valueA in
                b.withField(at: i) { nameB, valueB in
                    nameA.count == nameB.count && valueA.elementsEqual(valueB) && zip(nameA, nameB).allSatisfy { lowercased($0) == lowercased($1) }
                }
            }
            if !isSame { return false }
        }
        return true
    }
}

extension Headers: ExpressibleByDictionaryLiteral {
    public init(dictionaryLiteral elements: (String, String)...) {
        self.init()
        for (name, value) in elements { add(name, value) }
    }
}

extension StaticString {
    /// The field's name is this one, which is in lower case.
    @inline(__always)
    fileprivate func equalsIgnoringCase(_ storage: [UInt8], _ field: Headers.Field) -> Bool {
        Int(field.nameCount) == utf8CodeUnitCount && equalsIgnoringCase(storage, Int(field.nameStart))
    }

    @inline(__always)
    fileprivate func equalsIgnoringCase(_ storage: [UInt8], _ start: Int) -> Bool {
        storage.withUnsafeBufferPointer { raw in
            for i in 0..<utf8CodeUnitCount where lowercased(raw[start + i]) != utf8Start[i] { return false }
            return true
        }
    }
}

/// ASCII upper case letters as lower case, everything else unchanged.
@inline(__always)
func lowercased(_ byte: UInt8) -> UInt8 { byte &- 65 < 26 ? byte | 32 : byte }
