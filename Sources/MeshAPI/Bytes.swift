// The API's `bytes` fields as arrays. The generated code spells them `Data`, which nothing else here should have to import.

import FoundationEssentials
import SwiftProtobuf

extension Mesh.Identity.CertifyRequest {
    /// `request` is a PKCS#10 request in DER.
    public init(identity: String, token: [UInt8], request: [UInt8]) {
        self.init()
        self.identity = identity
        self.token = Data(token)
        certificateSigningRequest = Data(request)
    }

    public var tokenBytes: [UInt8] { [UInt8](token) }
    public var requestBytes: [UInt8] { [UInt8](certificateSigningRequest) }
}

extension Mesh.HTTPTypes.Headers {
    public init(_ fields: [(name: String, value: [UInt8])]) {
        self.init()
        headers = fields.map { field in .with { ($0.name, $0.value) = (field.name, Data(field.value)) } }
    }

    public var fields: [(name: String, value: [UInt8])] { headers.map { ($0.name, [UInt8]($0.value)) } }
}

extension Mesh.Identity.CertifyResponse {
    /// DER; intermediates nearest first.
    public init(leaf: [UInt8], intermediates: [[UInt8]]) {
        self.init()
        leafCertificate = Data(leaf)
        intermediateCertificates = intermediates.map { Data($0) }
    }

    public var leafBytes: [UInt8] { [UInt8](leafCertificate) }
    public var intermediateBytes: [[UInt8]] { intermediateCertificates.map { [UInt8]($0) } }
}

extension Mesh.HTTPTypes.Headers.Header {
    public init(name: String, value: [UInt8]) {
        self.init()
        self.name = name
        self.value = Data(value)
    }

    public var valueBytes: [UInt8] { [UInt8](value) }
}

extension Mesh.HTTPRoute.HeaderMatch {
    /// The value that is meant exactly; nil for a regular expression.
    public var exactBytes: [UInt8]? {
        if case .exact(let value) = value { [UInt8](value) } else { nil }
    }

    public init(name: String, exact: [UInt8]) {
        self.init()
        self.name = name
        self.exact = Data(exact)
    }
}
