// Bytes on their way from one place to another: written at the tail, read from the head. It owns no memory while empty
// and released, so that an idle connection costs none. It is not copyable: bytes in flight have one owner.

/// A growable queue of bytes. Not thread-safe. Bounds are the owner's duty (`Limits.swift` of its module).
public struct ByteBuffer: ~Copyable {
    private var base: UnsafeMutableRawPointer?
    private var head = 0
    private var tail = 0
    private var capacity = 0

    public init() {}

    deinit { base?.deallocate() }

    public var count: Int { tail - head }
    public var isEmpty: Bool { tail == head }
    /// Bytes of memory held, whether filled or not.
    public var capacityBytes: Int { capacity }

    /// Makes room for `bytes` more at the tail.
    public mutating func reserve(_ bytes: Int) {
        if capacity - tail >= bytes { return }
        let used = tail - head
        if let base, capacity - used >= bytes, head >= used {
            base.copyMemory(from: base + head, byteCount: used)
        } else {
            var larger = max(256, capacity)
            while larger - used < bytes { larger &*= 2 }
            let fresh = UnsafeMutableRawPointer.allocate(byteCount: larger, alignment: 16)
            if let base {
                fresh.copyMemory(from: base + head, byteCount: used)
                base.deallocate()
            }
            base = fresh
            capacity = larger
        }
        head = 0
        tail = used
    }

    public mutating func append(_ bytes: RawSpan) {
        bytes.withUnsafeBytes { append($0) }
    }

    public mutating func append(_ bytes: UnsafeRawBufferPointer) {
        guard let source = bytes.baseAddress, bytes.count > 0 else { return }
        reserve(bytes.count)
        (base.unsafelyUnwrapped + tail).copyMemory(from: source, byteCount: bytes.count)
        tail += bytes.count
    }

    public mutating func append(_ bytes: [UInt8]) {
        bytes.withUnsafeBytes { append($0) }
    }

    public mutating func append(_ bytes: ArraySlice<UInt8>) {
        bytes.withUnsafeBytes { append($0) }
    }

    public mutating func append(_ byte: UInt8) {
        reserve(1)
        base.unsafelyUnwrapped.storeBytes(of: byte, toByteOffset: tail, as: UInt8.self)
        tail += 1
    }

    /// Text as UTF-8.
    public mutating func append(_ text: StaticString) {
        append(UnsafeRawBufferPointer(start: text.utf8Start, count: text.utf8CodeUnitCount))
    }

    /// Text as UTF-8.
    public mutating func append(string text: String) {
        var text = text
        text.withUTF8 { append(UnsafeRawBufferPointer($0)) }
    }

    /// An unsigned number in decimal digits.
    public mutating func append(decimal value: UInt64) {
        var digits: (UInt64, UInt64, UInt64) = (0, 0, 0)
        Swift.withUnsafeMutableBytes(of: &digits) { scratch in
            var i = 24
            var rest = value
            repeat {
                i -= 1
                scratch[i] = UInt8(truncatingIfNeeded: 48 + rest % 10)
                rest /= 10
            } while rest > 0
            append(UnsafeRawBufferPointer(rebasing: scratch[i..<24]))
        }
    }

    /// A number in network byte order.
    public mutating func append<T: FixedWidthInteger>(bigEndian value: T) {
        Swift.withUnsafeBytes(of: value.bigEndian) { append($0) }
    }

    /// Moves everything out of `other` to the tail; takes over its memory when this buffer is empty.
    public mutating func append(moving other: inout ByteBuffer) {
        if isEmpty {
            swap(&base, &other.base)
            swap(&head, &other.head)
            swap(&tail, &other.tail)
            swap(&capacity, &other.capacity)
        } else {
            other.withUnsafeBytes { append($0) }
        }
        other.removeAll()
    }

    /// Drops `bytes` from the head.
    public mutating func consume(_ bytes: Int) {
        invariant(bytes >= 0 && bytes <= tail - head, "consumed more bytes than the buffer holds")
        head += bytes
        if head == tail {
            head = 0
            tail = 0
        }
    }

    /// Forgets the content, keeps the memory.
    public mutating func removeAll() {
        head = 0
        tail = 0
    }

    /// Forgets the content and gives the memory back.
    public mutating func release() {
        base?.deallocate()
        base = nil
        head = 0
        tail = 0
        capacity = 0
    }

    /// The bytes from head to tail. The pointer is valid inside `body` only.
    public func withUnsafeBytes<R, E: Error>(_ body: (UnsafeRawBufferPointer) throws(E) -> R) throws(E) -> R {
        try body(UnsafeRawBufferPointer(start: base.map { UnsafeRawPointer($0) + head }, count: tail - head))
    }

    /// The bytes from head to tail, as a span.
    public func withBytes<R, E: Error>(_ body: (RawSpan) throws(E) -> R) throws(E) -> R {
        try withUnsafeBytes { (raw: UnsafeRawBufferPointer) throws(E) -> R in try body(raw.bytes) }
    }

    /// The bytes from head to tail without a closure, for parsers whose heads are smaller than the price of a generic call into another
    /// module. Valid until the buffer changes.
    public var unsafeBytes: UnsafeRawBufferPointer { UnsafeRawBufferPointer(start: base.map { UnsafeRawPointer($0) + head }, count: tail - head) }

    /// At least `bytes` of free space at the tail, valid until the buffer changes; `commit` keeps what was written there.
    public mutating func unsafeRoom(_ bytes: Int) -> UnsafeMutableRawPointer {
        reserve(max(1, bytes))
        return base.unsafelyUnwrapped + tail
    }

    /// The first `bytes` of the room that `unsafeRoom` gave belong to the buffer.
    public mutating func commit(_ bytes: Int) {
        invariant(bytes >= 0 && bytes <= capacity - tail, "committed more bytes than there was room")
        tail += bytes
    }

    /// At least `bytes` of free space at the tail; `body` fills a prefix of it and returns how much.
    @discardableResult
    public mutating func fill<E: Error>(reserving bytes: Int, _ body: (UnsafeMutableRawBufferPointer) throws(E) -> Int) throws(E) -> Int {
        reserve(bytes)
        let written = try body(UnsafeMutableRawBufferPointer(start: base.unsafelyUnwrapped + tail, count: capacity - tail))
        invariant(written >= 0 && written <= capacity - tail, "filled more bytes than were reserved")
        tail += written
        return written
    }

    public func array() -> [UInt8] { withUnsafeBytes { [UInt8]($0) } }

    /// The bytes as text; what is not UTF-8 becomes U+FFFD.
    public func text() -> String { withUnsafeBytes { String(decoding: $0, as: UTF8.self) } }
}

extension RawSpan {
    /// A copy, for what must outlive the call.
    public func array() -> [UInt8] { withUnsafeBytes { [UInt8]($0) } }
}

extension Array where Element == UInt8 {
    public init(_ text: StaticString) {
        self.init(UnsafeBufferPointer(start: text.utf8Start, count: text.utf8CodeUnitCount))
    }
}
