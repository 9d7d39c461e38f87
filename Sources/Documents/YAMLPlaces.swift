// Where in a YAML text a part of its document stands, found by reading the text again: documents carry no places, and only
// somebody who complains about a part wants one.

internal import CYaml

/// One step from a value into it.
public enum DocumentStep: Hashable, Sendable {
    case member(String)
    /// From 0.
    case element(Int)
}

extension YAML {
    /// The line, from 1, on which the value at `path` of the first document begins; for a part that is absent, that of the
    /// nearest value around it. nil: the text before it is no YAML. Aliases are not followed.
    public static func line(of path: [DocumentStep], in text: [UInt8]) -> Int? {
        text.withUnsafeBytes { raw in
            var search = PlaceSearch(raw, path)
            return search.run()
        }
    }
}

private struct PlaceSearch: ~Copyable {
    private let parser: UnsafeMutablePointer<yaml_parser_t>
    private let path: [DocumentStep]
    /// The collections around, outermost first: how many of their values began, and the name that waits for its value.
    private var open: [(isMapping: Bool, count: Int, name: String?)] = []
    /// Steps of the path that the collections around match.
    private var matched = 0
    private var line: Int?

    init(_ text: UnsafeRawBufferPointer, _ path: [DocumentStep]) {
        self.path = path
        parser = .allocate(capacity: 1)
        parser.initialize(to: yaml_parser_t())
        yaml_parser_initialize(parser)
        yaml_parser_set_input_string(parser, text.baseAddress?.assumingMemoryBound(to: UInt8.self), text.count)
    }

    deinit {
        yaml_parser_delete(parser)
        parser.deallocate()
    }

    mutating func run() -> Int? {
        while true {
            var event = yaml_event_t()
            guard yaml_parser_parse(parser, &event) == 1 else { return nil }
            defer { yaml_event_delete(&event) }
            switch event.type {
            case YAML_STREAM_END_EVENT, YAML_DOCUMENT_END_EVENT: return line
            case YAML_ALIAS_EVENT:
                if begin(event.start_mark, name: nil) { return line }
            case YAML_SCALAR_EVENT:
                let scalar = event.data.scalar
                let text = String(decoding: UnsafeBufferPointer(start: scalar.value, count: scalar.length), as: UTF8.self)
                // A scalar has no parts: the path ends here, whether it goes on or not.
                if begin(event.start_mark, name: text) { return line }
            case YAML_SEQUENCE_START_EVENT, YAML_MAPPING_START_EVENT:
                if begin(event.start_mark, name: nil), matched == path.count { return line }
                open.append((event.type == YAML_MAPPING_START_EVENT, 0, nil))
            case YAML_SEQUENCE_END_EVENT, YAML_MAPPING_END_EVENT:
                open.removeLast()
                // The part around ended, and the next step was not in it.
                if open.count == matched { return line }
            default: break
            }
        }
    }

    /// A node begins. `name`: it is a scalar, which may be a mapping's name. Whether it is the next part of the path.
    private mutating func begin(_ mark: yaml_mark_t, name: String?) -> Bool {
        guard !open.isEmpty else {
            line = mark.line + 1
            return true
        }
        let last = open.count - 1
        let isNext: Bool
        if open[last].isMapping {
            guard let waiting = open[last].name else {
                open[last].name = name ?? ""
                return false
            }
            open[last].name = nil
            isNext = open.count == matched + 1 && matched < path.count && path[matched] == .member(waiting)
        } else {
            isNext = open.count == matched + 1 && matched < path.count && path[matched] == .element(open[last].count)
            open[last].count += 1
        }
        if isNext {
            matched += 1
            line = mark.line + 1
        }
        return isNext
    }
}
