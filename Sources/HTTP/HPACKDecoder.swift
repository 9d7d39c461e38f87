// HPACK, the receiving side (RFC 7541): one header block in, fields out into a `HeaderBlock`. Work is bounded by the bytes of
// the block: a field that no longer fits the list is counted, kept for the table, and not copied.

import Base

/// A broken block. The connection cannot go on, because the two tables no longer agree (RFC 9113 section 4.3).
enum HPACKError: Error {
    case truncated, integerTooLarge, indexZero, indexOutside, huffman, sizeUpdateLate, sizeUpdateTooLarge, sizeUpdateMissing

    var rule: StaticString {
        switch self {
        case .truncated: "a header block ends inside a field (RFC 7541 section 3.1)"
        case .integerTooLarge: "an integer exceeds the implementation's limit (RFC 7541 section 5.1)"
        case .indexZero: "index 0 is not used (RFC 7541 section 6.1)"
        case .indexOutside: "an index beyond both tables (RFC 7541 section 2.3.3)"
        case .huffman: "a broken Huffman code (RFC 7541 section 5.2)"
        case .sizeUpdateLate: "a table size update after the first field (RFC 7541 section 4.2)"
        case .sizeUpdateTooLarge: "a table size above the announced one (RFC 7541 section 6.3)"
        case .sizeUpdateMissing: "the announced table size was lowered and no update follows (RFC 7541 section 4.2)"
        }
    }
}

struct HPACKDecoder: ~Copyable {
    private var table: HPACKDynamicTable
    /// What our SETTINGS_HEADER_TABLE_SIZE allows. Unit: bytes.
    private var tableBytesAllowed: Int
    private var mustUpdate = false
    /// Counts the changes of the table: two equal blocks between which it stood still say the same.
    private(set) var generation: UInt32 = 0
    private let tables = HPACKTables.shared

    init(tableBytes: Int = 4096) {
        table = HPACKDynamicTable(sizeMax: tableBytes)
        tableBytesAllowed = tableBytes
    }

    var tableBytes: Int { table.size }

    /// The peer has acknowledged another SETTINGS_HEADER_TABLE_SIZE.
    mutating func allow(tableBytes: Int) {
        tableBytesAllowed = tableBytes
        mustUpdate = tableBytes < table.sizeMax
    }

    mutating func decode(_ block: UnsafeRawBufferPointer, into fields: inout HeaderBlock) throws(HPACKError) {
        var reader = Reader(block)
        var mayUpdate = true
        while reader.at < reader.end {
            let byte = reader.at.load(as: UInt8.self)
            if byte & 0xe0 == 0x20 {
                guard mayUpdate else { throw .sizeUpdateLate }
                let bytes = try reader.integer(prefixBits: 5)
                guard bytes <= tableBytesAllowed else { throw .sizeUpdateTooLarge }
                table.resize(bytes)
                generation &+= 1
                mustUpdate = false
                continue
            }
            if mayUpdate {
                guard !mustUpdate else { throw .sizeUpdateMissing }
                mayUpdate = false
            }
            if byte & 0x80 != 0 {
                let index = try reader.integer(prefixBits: 7)
                fields.add(copying: try field(index))
            } else {
                try literal(byte, &reader, into: &fields)
            }
        }
    }

    @inline(__always)
    private func field(_ index: Int) throws(HPACKError) -> HPACKField {
        if index <= HPACKTables.entryCount {
            if index == 0 { throw .indexZero }
            return tables.entries[index]
        }
        guard let field = table.field(index - HPACKTables.entryCount - 1) else { throw .indexOutside }
        return field
    }

    private mutating func literal(_ byte: UInt8, _ reader: inout Reader, into fields: inout HeaderBlock) throws(HPACKError) {
        let isIndexed = byte & 0x40 != 0
        let index = try reader.integer(prefixBits: isIndexed ? 6 : 4)
        var traits: HPACKTraits
        let nameCount: Int
        if index > 0 {
            let named = try field(index)
            nameCount = named.nameCount
            traits = named.traits
            fields.reserve(nameCount)
            // The name may be of an entry that the insertion evicts.
            fields.free.copyMemory(from: named.name, byteCount: nameCount)
        } else {
            nameCount = try string(&reader, to: &fields, at: 0)
            traits = HPACKTraits()
            classify(UnsafeRawBufferPointer(start: fields.free, count: nameCount), &traits)
        }
        let valueCount = try string(&reader, to: &fields, at: nameCount)
        let start = UnsafeRawPointer(fields.free)
        traits.isValueValid = isValidFieldValue(start + nameCount, valueCount)
        if traits.pseudo != .none, traits.isValueValid { traits.isValueValid = traits.pseudo.accepts(UnsafeRawBufferPointer(start: start + nameCount, count: valueCount)) }
        traits.isSensitive = byte & 0xf0 == 0x10
        let field = HPACKField(name: start, nameCount: nameCount, value: start + nameCount, valueCount: valueCount, traits: traits)
        if isIndexed {
            table.insert(field)
            generation &+= 1
        }
        fields.add(inPlace: field)
    }

    private func classify(_ name: UnsafeRawBufferPointer, _ traits: inout HPACKTraits) {
        traits.pseudo = PseudoName(name)
        if traits.pseudo == .none {
            var isValid = name.count > 0
            for i in 0..<name.count where tables.nameBytes[Int(name[i])] == 0 { isValid = false }
            traits.isNameValid = isValid
            traits.known = KnownName(name)
        }
    }

    /// Reads a string literal to `fields.free + offset` and returns its length.
    @inline(__always)
    private func string(_ reader: inout Reader, to fields: inout HeaderBlock, at offset: Int) throws(HPACKError) -> Int {
        guard reader.at < reader.end else { throw .truncated }
        let isHuffman = reader.at.load(as: UInt8.self) & 0x80 != 0
        let count = try reader.integer(prefixBits: 7)
        guard count <= reader.end - reader.at else { throw .truncated }
        let source = reader.at
        reader.at += count
        if isHuffman {
            // The shortest code has 5 bits.
            fields.reserve(offset + count * 8 / 5 + 1)
            let written = tables.huffmanDecode(source, count, to: fields.free + offset)
            guard written >= 0 else { throw .huffman }
            return written
        }
        fields.reserve(offset + count)
        (fields.free + offset).copyMemory(from: source, byteCount: count)
        return count
    }
}

private struct Reader {
    var at: UnsafeRawPointer
    let end: UnsafeRawPointer

    init(_ block: UnsafeRawBufferPointer) {
        if let base = block.baseAddress {
            at = base
            end = base + block.count
        } else {
            at = UnsafeRawPointer(bitPattern: 1).unsafelyUnwrapped
            end = at
        }
    }

    /// RFC 7541 section 5.1; numbers of more than 28 bits are refused.
    @inline(__always)
    mutating func integer(prefixBits: UInt8) throws(HPACKError) -> Int {
        let mask: UInt8 = 1 << prefixBits &- 1
        let first = at.load(as: UInt8.self) & mask
        at += 1
        if first < mask { return Int(first) }
        return try longInteger(Int(mask))
    }

    @inline(never)
    private mutating func longInteger(_ first: Int) throws(HPACKError) -> Int {
        var value = first
        var shift = 0
        while true {
            guard at < end else { throw .truncated }
            let byte = at.load(as: UInt8.self)
            at += 1
            guard shift <= 21 else { throw .integerTooLarge }
            value += Int(byte & 0x7f) << shift
            shift += 7
            if byte & 0x80 == 0 { return value }
        }
    }
}

/// No control bytes but HTAB, no white space at either end (RFC 9113 section 8.2.1; RFC 9110 section 5.5).
@inline(__always)
func isValidFieldValue(_ value: UnsafeRawPointer, _ count: Int) -> Bool {
    if count == 0 { return true }
    var i = 0
    var suspects: UInt64 = 0
    while i &+ 8 <= count {
        let word = value.loadUnaligned(fromByteOffset: i, as: UInt64.self)
        let delete = word ^ 0x7f7f_7f7f_7f7f_7f7f
        suspects |= (word &- 0x2020_2020_2020_2020) & ~word | (delete &- 0x0101_0101_0101_0101) & ~delete
        i &+= 8
    }
    var isClean = suspects & 0x8080_8080_8080_8080 == 0
    while i < count {
        let byte = value.load(fromByteOffset: i, as: UInt8.self)
        if byte < 0x20 || byte == 0x7f { isClean = false }
        i &+= 1
    }
    let first = value.load(as: UInt8.self)
    let last = value.load(fromByteOffset: count &- 1, as: UInt8.self)
    if first == 0x20 || first == 0x09 || last == 0x20 || last == 0x09 { return false }
    return isClean || hasOnlyTabs(value, count)
}

@inline(never)
private func hasOnlyTabs(_ value: UnsafeRawPointer, _ count: Int) -> Bool {
    for i in 0..<count {
        let byte = value.load(fromByteOffset: i, as: UInt8.self)
        if byte < 0x20 && byte != 0x09 || byte == 0x7f { return false }
    }
    return true
}
