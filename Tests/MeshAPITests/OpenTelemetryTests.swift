// Spans against bytes that Google's protobuf wrote from OpenTelemetry's own definition, and against bytes that end too soon.

import Base
import MeshAPI
import Testing

@Suite struct OpenTelemetryTests {
    private let request = OpenTelemetry.ExportRequest(
        resource: [.init("service.name", "p"), .init("pid", 300), .init("e", "")],
        spans: [
            .init(trace: Array(1...16), id: [UInt8](repeating: 9, count: 8), parent: [UInt8](repeating: 7, count: 8), name: "/x", kind: .client, start: 1, end: 0x0102_0304_0506_0708, attributes: [.init("k", "v")])
        ])
    private let bytes: [UInt8] = [10, 120, 10, 42, 10, 19, 10, 12, 115, 101, 114, 118, 105, 99, 101, 46, 110, 97, 109, 101, 18, 3, 10, 1, 112, 10, 10, 10, 3, 112, 105, 100, 18, 3, 24, 172, 2, 10, 7, 10, 1, 101, 18, 2, 10, 0, 18, 74, 18, 72, 10, 16, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 18, 8, 9, 9, 9, 9, 9, 9, 9, 9, 34, 8, 7, 7, 7, 7, 7, 7, 7, 7, 42, 2, 47, 120, 48, 3, 57, 1, 0, 0, 0, 0, 0, 0, 0, 65, 8, 7, 6, 5, 4, 3, 2, 1, 74, 8, 10, 1, 107, 18, 3, 10, 1, 118]

    @Test func `an export has the bytes of OpenTelemetry's definition`() {
        #expect(OpenTelemetry.export.encodeRequest(request) == bytes)
        #expect(OpenTelemetry.export.decodeRequest(bytes) == request)
    }

    @Test func `the answer may refuse spans`() {
        let answer: [UInt8] = [10, 6, 8, 5, 18, 2, 110, 111]
        #expect(OpenTelemetry.export.decodeResponse(answer) == .init(rejectedCount: 5, message: "no"))
        #expect(OpenTelemetry.export.encodeResponse(.init(rejectedCount: 5, message: "no")) == answer)
        #expect(OpenTelemetry.export.decodeResponse([]) == .init())
    }

    @Test func `a message that ends too soon is none`() {
        // Cut between two fields of the outermost message it is a shorter one; there is but one field here.
        for count in 1..<bytes.count { #expect(OpenTelemetry.export.decodeRequest(Array(bytes[..<count])) == nil, "\(count) bytes") }
        #expect(OpenTelemetry.export.decodeRequest([0x0f]) == nil)
        #expect(OpenTelemetry.export.decodeRequest([0x0a, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f]) == nil)
    }
}
