// Spans as OpenTelemetry's collectors take them: the messages of its trace service, as much of them as a proxy says. Written by hand, as
// Weft's own .proto files are Linkerd's alone; a test has protoc read what is written here.
// Source: github.com/open-telemetry/opentelemetry-proto v1, trace.proto, common.proto, resource.proto, trace_service.proto.

import GRPC

public enum OpenTelemetry {
    public static let export = GRPCMethod<ExportRequest, ExportResponse>(
        path: "/opentelemetry.proto.collector.trace.v1.TraceService/Export", isServerStreaming: false,
        encodeRequest: { $0.encoded }, decodeRequest: { ExportRequest($0) }, encodeResponse: { $0.encoded }, decodeResponse: { ExportResponse($0) })

    public struct Attribute: Sendable, Equatable {
        public enum Value: Sendable, Equatable {
            case text(String)
            case number(Int64)
        }

        public var name: String
        public var value: Value

        public init(_ name: String, _ text: String) { (self.name, value) = (name, .text(text)) }
        public init(_ name: String, _ number: Int64) { (self.name, value) = (name, .number(number)) }

        fileprivate var writer: WireWriter {
            var any = WireWriter()
            switch value {
            // A value that is there and empty must be written.
            case .text(let text): text.isEmpty ? any.put(1, message: WireWriter()) : any.put(1, string: text)
            case .number(let number): any.put(3, varint: UInt64(bitPattern: number))
            }
            var pair = WireWriter()
            pair.put(1, string: name)
            pair.put(2, message: any)
            return pair
        }

        fileprivate init?(_ bytes: ArraySlice<UInt8>) {
            var reader = WireReader(bytes)
            (name, value) = ("", .text(""))
            while let (field, found) = reader.next() {
                switch field {
                case 1: name = found.string ?? ""
                case 2:
                    var any = WireReader(found.slice ?? [])
                    value = .number(0)
                    while let (field, inner) = any.next() {
                        if field == 1, let text = inner.string { value = .text(text) }
                        if field == 3, let number = inner.number { value = .number(Int64(bitPattern: number)) }
                    }
                default: break
                }
            }
            if reader.isBroken { return nil }
        }
    }

    public struct Span: Sendable, Equatable {
        public enum Kind: UInt64, Sendable { case server = 2, client = 3 }

        /// 16 bytes.
        public var trace: [UInt8]
        /// 8 bytes each.
        public var id: [UInt8]
        public var parent: [UInt8]
        public var name: String
        public var kind: Kind
        /// Unit: nanoseconds since the UNIX epoch.
        public var start: UInt64
        public var end: UInt64
        public var attributes: [Attribute]

        public init(trace: [UInt8], id: [UInt8], parent: [UInt8], name: String, kind: Kind, start: UInt64, end: UInt64, attributes: [Attribute]) {
            self.trace = trace
            self.id = id
            self.parent = parent
            self.name = name
            self.kind = kind
            self.start = start
            self.end = end
            self.attributes = attributes
        }

        fileprivate var writer: WireWriter {
            var span = WireWriter()
            span.put(1, bytes: trace)
            span.put(2, bytes: id)
            span.put(4, bytes: parent)
            span.put(5, string: name)
            span.put(6, varint: kind.rawValue)
            span.put(7, fixed64: start)
            span.put(8, fixed64: end)
            for attribute in attributes { span.put(9, message: attribute.writer) }
            return span
        }

        fileprivate init?(_ bytes: ArraySlice<UInt8>) {
            self.init(trace: [], id: [], parent: [], name: "", kind: .server, start: 0, end: 0, attributes: [])
            var reader = WireReader(bytes)
            while let (field, value) = reader.next() {
                switch field {
                case 1: trace = Array(value.slice ?? [])
                case 2: id = Array(value.slice ?? [])
                case 4: parent = Array(value.slice ?? [])
                case 5: name = value.string ?? ""
                case 6: kind = value.number.flatMap { Kind(rawValue: $0) } ?? .server
                case 7: start = value.number ?? 0
                case 8: end = value.number ?? 0
                case 9: if let attribute = value.slice.flatMap({ Attribute($0) }) { attributes.append(attribute) }
                default: break
                }
            }
            if reader.isBroken { return nil }
        }
    }

    /// The spans of one process.
    public struct ExportRequest: Sendable, Equatable {
        public var resource: [Attribute]
        public var spans: [Span]

        public init(resource: [Attribute], spans: [Span]) {
            self.resource = resource
            self.spans = spans
        }

        var encoded: [UInt8] {
            var resource = WireWriter()
            for attribute in self.resource { resource.put(1, message: attribute.writer) }
            var scope = WireWriter()
            for span in spans { scope.put(2, message: span.writer) }
            var all = WireWriter()
            all.put(1, message: resource)
            all.put(2, message: scope)
            var request = WireWriter()
            request.put(1, message: all)
            return request.bytes
        }

        init?(_ bytes: [UInt8]) {
            resource = []
            spans = []
            var request = WireReader(bytes[...])
            while let (field, value) = request.next() {
                if field != 1 { continue }
                var all = WireReader(value.slice ?? [])
                while let (field, value) = all.next() {
                    var inner = WireReader(value.slice ?? [])
                    while let (number, value) = inner.next() {
                        if field == 1, number == 1, let attribute = value.slice.flatMap({ Attribute($0) }) { resource.append(attribute) }
                        if field == 2, number == 2 {
                            guard let span = value.slice.flatMap({ Span($0) }) else { return nil }
                            spans.append(span)
                        }
                    }
                    if inner.isBroken { return nil }
                }
                if all.isBroken { return nil }
            }
            if request.isBroken { return nil }
        }
    }

    /// What came of them.
    public struct ExportResponse: Sendable, Equatable {
        public var rejectedCount: Int64
        public var message: String

        public init(rejectedCount: Int64 = 0, message: String = "") {
            self.rejectedCount = rejectedCount
            self.message = message
        }

        var encoded: [UInt8] {
            var partial = WireWriter()
            partial.put(1, varint: UInt64(bitPattern: rejectedCount))
            partial.put(2, string: message)
            var response = WireWriter()
            if !partial.bytes.isEmpty { response.put(1, message: partial) }
            return response.bytes
        }

        init?(_ bytes: [UInt8]) {
            self.init()
            var response = WireReader(bytes[...])
            while let (field, value) = response.next() {
                if field != 1 { continue }
                var partial = WireReader(value.slice ?? [])
                while let (field, value) = partial.next() {
                    if field == 1, let number = value.number { rejectedCount = Int64(bitPattern: number) }
                    if field == 2 { message = value.string ?? "" }
                }
                if partial.isBroken { return nil }
            }
            if response.isBroken { return nil }
        }
    }
}
