// YAML streams as documents of the common tree, read as `kubectl` reads them: libyaml's grammar (of which go-yaml is a port),
// go-yaml's old meaning of plain scalars (`Scalar.swift`), names made strings as JSON needs them.
// We take libyaml's events instead of Yams' nodes, because events have a place, need no recursion, and let aliases be weighed
// before they are written out.
// Decisions: a name that comes twice in one mapping is refused, since people write YAML and a second `env:` is a slip;
// an explicit member wins over a merged one (`<<`), wherever it stands; `!!binary` and numbers that are not finite are refused.

internal import CYaml
import OrderedCollections

public enum YAML {
    /// The documents of a stream, an empty one as null. Text with a byte-order mark may be UTF-16, else it is UTF-8.
    public static func parse(_ text: [UInt8], limits: DocumentLimits = DocumentLimits()) throws(DocumentError) -> [YAMLDocument] {
        guard text.count <= limits.textBytesMax else {
            throw DocumentError(line: 1, column: 1, reason: "the text has \(text.count) bytes, more than \(limits.textBytesMax)")
        }
        let result = text.withUnsafeBytes { raw in
            Result { () throws(DocumentError) in
                var reader = YAMLReader(raw, limits: limits)
                return try reader.stream()
            }
        }
        return try result.get()
    }
}

/// One document of a stream.
public struct YAMLDocument: Hashable, Sendable {
    public var value: Value
    /// Where its content begins. From 1.
    public var line: Int

    public init(value: Value, line: Int) {
        self.value = value
        self.line = line
    }
}

private struct YAMLReader: ~Copyable {
    private let text: UnsafeRawBufferPointer
    private let limits: DocumentLimits
    private let parser: UnsafeMutablePointer<yaml_parser_t>
    /// Collections begun and not ended, outermost first.
    private var open: [Collection] = []
    private var anchors: [String: (value: Value, weight: Int)] = [:]
    private var aliasWeight = 0
    private var root: Value?

    /// A sequence or mapping under construction.
    private struct Collection {
        var isMapping: Bool
        var anchor: String?
        var weight = 1
        var elements: [Value] = []
        var members = Object()
        /// A mapping's name that waits for its value.
        var name: String?
        var isMerge = false
        /// Mappings to be merged when this one ends, first one first.
        var merged: [Object] = []
    }

    init(_ text: UnsafeRawBufferPointer, limits: DocumentLimits) {
        self.text = text
        self.limits = limits
        parser = .allocate(capacity: 1)
        parser.initialize(to: yaml_parser_t())
        yaml_parser_initialize(parser)
        yaml_parser_set_input_string(parser, text.baseAddress?.assumingMemoryBound(to: UInt8.self), text.count)
    }

    deinit {
        yaml_parser_delete(parser)
        parser.deallocate()
    }

    mutating func stream() throws(DocumentError) -> [YAMLDocument] {
        var documents: [YAMLDocument] = []
        var line = 0
        while true {
            var event = yaml_event_t()
            guard yaml_parser_parse(parser, &event) == 1 else { throw failure() }
            defer { yaml_event_delete(&event) }
            let mark = event.start_mark
            switch event.type {
            case YAML_STREAM_END_EVENT: return documents
            case YAML_DOCUMENT_START_EVENT:
                anchors = [:]
                root = nil
                line = 0
            case YAML_DOCUMENT_END_EVENT:
                documents.append(YAMLDocument(value: root ?? .null, line: max(line, 1)))
            case YAML_ALIAS_EVENT:
                if line == 0 { line = mark.line + 1 }
                try alias(string(event.data.alias.anchor) ?? "", mark)
            case YAML_SCALAR_EVENT:
                if line == 0 { line = mark.line + 1 }
                try scalar(event)
            case YAML_SEQUENCE_START_EVENT:
                if line == 0 { line = mark.line + 1 }
                try begin(Collection(isMapping: false, anchor: string(event.data.sequence_start.anchor)), mark)
            case YAML_MAPPING_START_EVENT:
                if line == 0 { line = mark.line + 1 }
                try begin(Collection(isMapping: true, anchor: string(event.data.mapping_start.anchor)), mark)
            case YAML_SEQUENCE_END_EVENT, YAML_MAPPING_END_EVENT: try end(mark)
            default: break
            }
        }
    }

    private func string(_ characters: UnsafeMutablePointer<UInt8>?) -> String? { characters.map { String(cString: $0) } }

    private func error(_ reason: String, _ mark: yaml_mark_t) -> DocumentError {
        DocumentError(line: mark.line + 1, column: mark.column + 1, reason: reason)
    }

    // MARK: Nodes

    private mutating func begin(_ collection: Collection, _ mark: yaml_mark_t) throws(DocumentError) {
        if let parent = open.last, parent.isMapping, parent.name == nil, !parent.isMerge { throw error("a mapping's name must be a scalar", mark) }
        if open.count >= limits.depthMax { throw error("nested deeper than \(limits.depthMax) levels", mark) }
        open.append(collection)
    }

    private mutating func end(_ mark: yaml_mark_t) throws(DocumentError) {
        var collection = open.removeLast()
        guard collection.isMapping else { return try add(.array(collection.elements), weight: collection.weight, anchor: collection.anchor, mark) }
        for object in collection.merged {
            for (name, value) in object where collection.members[name] == nil { collection.members[name] = value }
        }
        try add(.object(collection.members), weight: collection.weight, anchor: collection.anchor, mark)
    }

    private mutating func alias(_ name: String, _ mark: yaml_mark_t) throws(DocumentError) {
        guard let (value, weight) = anchors[name] else { throw error("the alias '\(name)' has no anchor before it", mark) }
        aliasWeight += weight
        if aliasWeight > limits.aliasWeightMax { throw error("aliases make the document bigger than \(limits.aliasWeightMax) nodes and bytes", mark) }
        if value.depth + open.count > limits.depthMax { throw error("nested deeper than \(limits.depthMax) levels", mark) }
        if let parent = open.last, parent.isMapping, parent.name == nil, !parent.isMerge {
            guard case .string(let name) = value else { throw error("a mapping's name must be a string", mark) }
            return try begin(name: name, mark)
        }
        try add(value, weight: weight, anchor: nil, mark)
    }

    private mutating func scalar(_ event: yaml_event_t) throws(DocumentError) {
        let scalar = event.data.scalar
        let text = String(decoding: UnsafeBufferPointer(start: scalar.value, count: scalar.length), as: UTF8.self)
        let tag = string(scalar.tag)
        let isPlain = scalar.style == YAML_PLAIN_SCALAR_STYLE
        let isName = open.last.map { $0.isMapping && $0.name == nil && !$0.isMerge } ?? false
        if isName, text == "<<", isPlain && tag == nil || tag == "tag:yaml.org,2002:merge" {
            open[open.count - 1].isMerge = true
            return
        }
        let value: Value
        do { value = try Scalar.resolve(text, isPlain: isPlain, tag: tag) } catch { throw self.error(error.reason, event.start_mark) }
        guard isName else { return try add(value, weight: 1 + text.utf8.count, anchor: string(scalar.anchor), event.start_mark) }
        let name: String
        switch value {
        case .string(let text): name = text
        case .bool(let flag): name = flag ? "true" : "false"
        case .int(let number): name = String(number)
        case .double(let number): name = number.description
        case .null, .array, .object: throw error("null cannot be a mapping's name", event.start_mark)
        }
        if let anchor = string(scalar.anchor) { anchors[anchor] = (.string(name), 1 + name.utf8.count) }
        try begin(name: name, event.start_mark)
    }

    private mutating func begin(name: String, _ mark: yaml_mark_t) throws(DocumentError) {
        if open[open.count - 1].members[name] != nil { throw error("the name '\(name)' comes twice in one mapping", mark) }
        open[open.count - 1].weight += 1 + name.utf8.count
        open[open.count - 1].name = name
    }

    /// A finished value goes where it belongs.
    private mutating func add(_ value: Value, weight: Int, anchor: String?, _ mark: yaml_mark_t) throws(DocumentError) {
        if let anchor { anchors[anchor] = (value, weight) }
        let last = open.count - 1
        guard last >= 0 else {
            root = value
            return
        }
        open[last].weight += weight
        if !open[last].isMapping {
            open[last].elements.append(value)
        } else if open[last].isMerge {
            open[last].isMerge = false
            switch value {
            case .object(let object): open[last].merged.append(object)
            case .array(let elements):
                for element in elements {
                    guard case .object(let object) = element else { throw error("only mappings can be merged by '<<'", mark) }
                    open[last].merged.append(object)
                }
            default: throw error("only mappings can be merged by '<<'", mark)
            }
        } else if let name = open[last].name {
            open[last].name = nil
            open[last].members[name] = value
        }
    }

    // MARK: Failures

    private func failure() -> DocumentError {
        let state = parser.pointee
        let problem = state.problem.map { String(cString: $0) } ?? "the text cannot be read"
        switch state.error {
        case YAML_MEMORY_ERROR: return DocumentError(line: 1, column: 1, reason: "out of memory")
        case YAML_READER_ERROR: return DocumentError(offset: state.problem_offset, in: text, reason: problem)
        default:
            let mark = state.problem_mark
            if startsToken(with: 0x09, mark) { return error("found a tab where only spaces may indent", mark) }
            let context = state.context.map { String(cString: $0) + ": " } ?? ""
            return error(context + problem, mark)
        }
    }

    /// Whether the scanner stumbled over this byte. Only the line is read, since marks count characters.
    private func startsToken(with byte: UInt8, _ mark: yaml_mark_t) -> Bool {
        var line = 0
        var column = 0
        for found in text {
            if line == mark.line, found & 0xc0 != 0x80 {
                if column == mark.column { return found == byte }
                column += 1
            }
            if found == 0x0a {
                if line == mark.line { return false }
                line += 1
            }
        }
        return false
    }
}
