// Where IP begins behind each link header, and that no header cut anywhere is read past its end.

import Testing

@testable import Capture

@Suite struct `Link layers` {
    static let mac = [UInt8](repeating: 2, count: 12)
    static let ip: [UInt8] = [0x45, 0, 0, 20]

    struct Case: CustomTestStringConvertible, Sendable {
        var name: String
        var linkType: Int32
        var header: [UInt8]
        var testDescription: String { name }
    }

    static let cases: [Case] = [
        Case(name: "Ethernet", linkType: 1, header: mac + [8, 0]),
        Case(name: "VLAN", linkType: 1, header: mac + [0x81, 0, 0, 5, 8, 0]),
        Case(name: "QinQ", linkType: 1, header: mac + [0x88, 0xa8, 0, 5, 0x81, 0, 0, 6, 0x86, 0xdd]),
        Case(name: "MPLS, two labels", linkType: 1, header: mac + [0x88, 0x47, 0, 0, 0x10, 64, 0, 0, 0x11, 64]),
        Case(name: "PPPoE", linkType: 1, header: mac + [0x88, 0x64, 0x11, 0, 0, 1, 0, 22, 0, 0x21]),
        Case(name: "LLC and SNAP", linkType: 1, header: mac + [0, 28, 0xaa, 0xaa, 3, 0, 0, 0, 8, 0]),
        Case(name: "BSD loopback, little-endian", linkType: 0, header: [2, 0, 0, 0]),
        Case(name: "OpenBSD loopback", linkType: 108, header: [0, 0, 0, 24]),
        Case(name: "Linux cooked", linkType: 113, header: [UInt8](repeating: 0, count: 14) + [8, 0]),
        Case(name: "Linux cooked with VLAN", linkType: 113, header: [UInt8](repeating: 0, count: 14) + [0x81, 0, 0, 9, 8, 0]),
        Case(name: "Linux cooked v2", linkType: 276, header: [8, 0] + [UInt8](repeating: 0, count: 18)),
        Case(name: "raw IP", linkType: 101, header: []),
        Case(name: "PPP in HDLC framing", linkType: 9, header: [0xff, 3, 0, 0x21]),
        Case(name: "PPP with compressed protocol", linkType: 9, header: [0x21]),
        Case(name: "NFLOG", linkType: 239, header: [2, 0, 0, 0] + [8, 0, 1, 0, 8, 0, 0, 0] + [8, 0, 9, 0]),
    ]

    @Test(arguments: cases) func `IP is found behind the header`(_ layer: Case) {
        #expect(linkPayload(layer.header + Self.ip, linkType: layer.linkType) == .ip(at: layer.header.count))
    }

    @Test(arguments: cases) func `a header cut anywhere is not IP`(_ layer: Case) {
        for cut in 0..<layer.header.count {
            if case .ip = linkPayload(Array(layer.header.prefix(cut)), linkType: layer.linkType) { Issue.record("IP found in \(cut) bytes of \(layer.name)") }
        }
    }

    @Test func `other protocols and unknown link types are not errors`() {
        #expect(linkPayload(Self.mac + [8, 6, 0, 1], linkType: 1) == .other)
        #expect(linkPayload([1, 2, 3], linkType: 147) == .other)
    }

    @Test func `an endless stack of tags is refused`() {
        let tags = [[UInt8]](repeating: [0x81, 0, 0, 1], count: 40).flatMap { $0 }
        guard case .malformed = linkPayload(Self.mac + tags + [8, 0] + Self.ip, linkType: 1) else {
            Issue.record("accepted")
            return
        }
    }
}
