// Keys, requests, certificates and chains: what we make, what others made, and what must be refused.

import Base
import Testing

@testable import TLS

@Suite struct `A private key` {
    @Test func `survives PKCS#8 and PEM`() throws {
        try seeded {
            let key = try PrivateKey.generate()
            #expect(try PrivateKey(pkcs8: key.pkcs8).publicKey == key.publicKey)
            #expect(try PrivateKey(pem: key.pem).pkcs8 == key.pkcs8)
            #expect(try PrivateKey.generate().publicKey != key.publicKey)
        }
    }

    @Test func `is refused when it is cut, padded or of another kind`() throws {
        try seeded {
            let der = try PrivateKey.generate().pkcs8
            for count in 0..<der.count { #expect(throws: PeerError.self, "\(count) bytes") { try PrivateKey(pkcs8: Array(der.prefix(count))) } }
            #expect(throws: PeerError.self) { try PrivateKey(pkcs8: der + [0]) }
            #expect(throws: PeerError.self) { try PrivateKey(pem: "-----BEGIN PRIVATE KEY-----\nnonsense\n-----END PRIVATE KEY-----\n") }
            #expect(throws: PeerError.self) { try PrivateKey(pem: encryptedKey) }
            #expect(throws: PeerError.self) { try PrivateKey(pem: ed25519Key) }
        }
    }

    // openssl genpkey -algorithm ed25519
    let ed25519Key = "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEIMlC838EsakUYz4i1kAezyrLVX0KZsCpRIckYeUNkA56\n-----END PRIVATE KEY-----\n"
    let encryptedKey = "-----BEGIN EC PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,000102030405060708090A0B0C0D0E0F\n\nAAAAAAAAAAAAAAAAAAAAAA==\n-----END EC PRIVATE KEY-----\n"
}

@Suite struct `A certificate request` {
    @Test func `carries its one identity and is signed by its key`() throws {
        try seeded {
            let key = try PrivateKey.generate()
            let request = try CertificateSigningRequest(der: try CertificateSigningRequest.make(key: key, identity: web).der)
            #expect(request.identity == web)
            #expect(request.subjectCommonName == web)
            #expect(request.names.dns == [web])
            #expect(request.publicKey == key.publicKey)
        }
    }

    @Test func `is refused when any bit of it is changed`() throws {
        try seeded {
            let der = try CertificateSigningRequest.make(key: try PrivateKey.generate(), identity: web).der
            for index in stride(from: 0, to: der.count, by: 3) {
                var changed = der
                changed[index] ^= 0x10
                #expect(throws: PeerError.self, "byte \(index)") { try CertificateSigningRequest(der: changed) }
            }
        }
    }

    @Test func `with two names has no one identity and is not issued`() throws {
        try seeded {
            // openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -subj /CN=a.ns -addext subjectAltName=DNS:a.ns,DNS:b.ns
            let request = try CertificateSigningRequest(pem: Array(twoNames.utf8))
            #expect(request.names.dns == ["a.ns", "b.ns"])
            #expect(request.identity == nil)
            let realm = try Realm()
            #expect(throws: Refusal.self) { try realm.issuer.issue(request, validity: span()) }
        }
    }

    @Test(arguments: ["", "two words", "bell\u{7}", "naïve.example", String(repeating: "a", count: 254)])
    func `is not made for what cannot be a name`(name: String) throws {
        try seeded {
            let key = try PrivateKey.generate()
            #expect(throws: Refusal.self) { try CertificateSigningRequest.make(key: key, identity: name) }
        }
    }

    @Test(arguments: ["foo-ns1-ca1": "foo.ns1", "bar-ns1-ca1": "bar.ns1", "default-default-ca1": "default.default", "controller-linkerd-ca1": "controller.linkerd"])
    func `of Linkerd's proxy is read, with its key and certificate`(directory: String, account: String) throws {
        try seeded {
            let name = account + ".serviceaccount.identity.linkerd.cluster.local"
            let request = try CertificateSigningRequest(pem: try Fixtures.bytes("linkerd-proxy/\(directory)/csr.pem"))
            let key = try PrivateKey(pkcs8: try Fixtures.bytes("linkerd-proxy/\(directory)/key.p8"))
            let leaf = try Certificate(der: try Fixtures.bytes("linkerd-proxy/\(directory)/crt.der"))
            #expect(request.identity == name)
            #expect(leaf.names.identities == [name])
            #expect(leaf.subjectCommonName == nil)
            #expect(leaf.belongs(to: key))
            #expect(leaf.publicKey == key.publicKey && request.publicKey == key.publicKey)
            let anchors = TrustAnchors(try Certificate.parse(pem: try Fixtures.bytes("linkerd-proxy/ca1.pem")))
            for purpose in Certificate.Purpose.allCases { try Certificate.verify(chain: [leaf], anchors: anchors, at: noon, purpose: purpose) }
            let credentials = try TLSCredentials(key: key, chain: [leaf])
            let pair = Pair(
                TLSClientConfiguration(credentials: credentials, anchors: anchors, serverName: name, expectedPeer: [name]),
                TLSServerConfiguration(credentials: credentials, anchors: anchors))
            pair.drive()
            #expect(pair.server.established?.identity == name && pair.client.established?.identity == name)
        }
    }

    let twoNames = """
        -----BEGIN CERTIFICATE REQUEST-----
        MIHzMIGZAgEAMA8xDTALBgNVBAMMBGEubnMwWTATBgcqhkjOPQIBBggqhkjOPQMB
        BwNCAARJvvBKFYb+gLUTLfkJtgtUbbfdD6CP/JmdxQG2cPfD86+LWVK8jJ1CmciB
        htsMedYNdvQWzRAYZUDOWilFPCZaoCgwJgYJKoZIhvcNAQkOMRkwFzAVBgNVHREE
        DjAMggRhLm5zggRiLm5zMAoGCCqGSM49BAMCA0kAMEYCIQDwKvWlu1+9jEw4rtec
        rsS8Ed06Qk3GrXZtfKTgoueffAIhAPQSmY2Zs/HkJWBCBRHW4uedpinNnofjxTKm
        xQ2PFMJZ
        -----END CERTIFICATE REQUEST-----

        """
}

@Suite struct `An authority` {
    @Test func `issues what Linkerd's identity service issues`() throws {
        try seeded {
            let realm = try Realm()
            let leaf = try realm.credentials(web).leaf
            #expect(leaf.subjectCommonName == web)
            #expect(leaf.issuerCommonName == "identity.linkerd.cluster.local")
            #expect(leaf.names.dns == [web] && leaf.names.count == 1)
            #expect(leaf.notBefore == span().lowerBound && leaf.notAfter == span().upperBound)
            #expect(!leaf.isCA && realm.issuer.certificate.isCA && realm.root.certificate.isCA)
            #expect(leaf.serial.count == 32)
            #expect(try realm.credentials(web).leaf.serial != leaf.serial)
            #expect(realm.root.certificate.isSelfSigned && !realm.issuer.certificate.isSelfSigned)
            #expect(realm.issuer.chain == [realm.issuer.certificate] && realm.root.chain == [])
            // keyUsage digitalSignature+keyEncipherment (bits 0 and 2), critical; EKU server and client.
            #expect(contains(leaf.der, [0x55, 0x1d, 0x0f, 0x01, 0x01, 0xff, 0x04, 0x04, 0x03, 0x02, 0x05, 0xa0]))
            #expect(contains(leaf.der, [0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x03, 0x01]))
            #expect(contains(leaf.der, [0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x03, 0x02]))
        }
    }

    private func contains(_ bytes: [UInt8], _ part: [UInt8]) -> Bool {
        bytes.indices.contains { bytes[$0...].starts(with: part) }
    }

    @Test func `never outlives its own chain`() throws {
        try seeded {
            let root = try CertificateAuthority.selfSignedRoot(name: "root", validity: span(after: .days(100)))
            let issuer = try root.issueIntermediate(name: "issuer", validity: span(after: .days(200)))
            #expect(issuer.certificate.notAfter == noon + .days(100))
            let leaf = try issuer.issueCredentials(identity: web, validity: span(after: .days(300))).leaf
            #expect(leaf.notAfter == noon + .days(100))
            #expect(throws: Refusal.self) { try issuer.issueCredentials(identity: web, validity: noon + .days(101)...noon + .days(102)) }
        }
    }

    @Test func `leaves the subject empty for a name longer than a commonName`() throws {
        try seeded {
            let realm = try Realm()
            let long = String(repeating: "a", count: 60) + "." + web
            let credentials = try realm.credentials(long)
            #expect(credentials.leaf.subjectCommonName == nil)
            #expect(credentials.identity == long)
            let pair = Pair(try realm.client(long, toward: long), TLSServerConfiguration(credentials: credentials, anchors: realm.anchors))
            pair.drive()
            #expect(pair.server.established?.identity == long)
        }
    }

    @Test func `takes a given serial`() throws {
        try seeded {
            let realm = try Realm()
            let request = try CertificateSigningRequest.make(key: try PrivateKey.generate(), identity: web)
            #expect(try realm.issuer.issue(request, validity: span(), serial: [1, 2]).serial == "0102")
        }
    }

    @Test func `needs its own key and the right to sign`() throws {
        try seeded {
            let realm = try Realm()
            let stranger = try PrivateKey.generate()
            #expect(throws: Refusal.self) { try CertificateAuthority(certificate: realm.root.certificate, key: stranger) }
            let leaf = try realm.credentials(web)
            #expect(throws: Refusal.self) { try CertificateAuthority(certificate: leaf.leaf, key: leaf.key) }
            #expect(throws: Refusal.self) { try TLSCredentials(key: stranger, chain: leaf.chain) }
            #expect(throws: Refusal.self) { try TLSCredentials(key: stranger, chain: []) }
        }
    }

    @Test
    func `of the Linkerd CLI's tests issues for its anchors`() throws {
        try seeded {
            let authority = try CertificateAuthority(
                certificate: try Certificate.parse(pem: try Fixtures.bytes("linkerd-issuer/valid-crt.pem"))[0],
                key: try PrivateKey(pem: try Fixtures.bytes("linkerd-issuer/valid-key.pem")))
            let anchors = try TrustAnchors(pem: try Fixtures.bytes("linkerd-issuer/valid-trust-anchors.pem"))
            #expect(authority.chain.count == 1, "equal names of issuer and root are no self-signature")
            let credentials = try authority.issueCredentials(identity: web, validity: span())
            try Certificate.verify(chain: credentials.chain, anchors: anchors, at: noon)
        }
    }
}

@Suite struct `A chain` {
    func failure(_ chain: [Certificate], _ anchors: TrustAnchors, at time: WallTime = noon, _ purpose: Certificate.Purpose = .any) -> PeerError? {
        do {
            try Certificate.verify(chain: chain, anchors: anchors, at: time, purpose: purpose)
            return nil
        } catch { return error }
    }

    @Test func `ends at an anchor, and says which certificate does not`() throws {
        try seeded {
            let realm = try Realm()
            let chain = try realm.credentials(web).chain
            #expect(failure(chain, realm.anchors) == nil)
            #expect(failure(chain, TrustAnchors([realm.issuer.certificate])) == nil, "an intermediate may be the anchor")
            #expect(failure(chain, TrustAnchors([]))?.code == TLSAlert.unknownAuthority)
            #expect(failure([chain[0]], realm.anchors)?.code == TLSAlert.unknownAuthority, "the intermediate is missing")
            #expect(failure([], realm.anchors) != nil)
            #expect(failure(chain, realm.anchors, at: noon + .days(2))?.rule == "certificate expired at 2026-06-02T12:00:00Z: \(web)")
            #expect(failure(chain, realm.anchors, at: noon - .days(2))?.rule == "certificate not valid before 2026-06-01T11:00:00Z: \(web)")
        }
    }

    @Test func `of a namesake authority with another key is unknown`() throws {
        try seeded {
            let one = try Realm()
            let two = try Realm()
            #expect(failure(try one.credentials(web).chain, two.anchors)?.rule.contains("unknown authority") == true)
        }
    }

    @Test func `may not be extended by a leaf or beyond its path length`() throws {
        try seeded {
            let realm = try Realm()
            let below = try realm.issuer.issueIntermediate(name: "too.deep", validity: span())
            let tooDeep = try below.issueCredentials(identity: web, validity: span())
            #expect(failure(tooDeep.chain, realm.anchors) != nil)
        }
    }

    @Test(arguments: ["valid": nil, "expired": "certificate expired at 1990-01-01T01:01:11Z", "not-valid-yet": "certificate not valid before 2100-01-01T01:00:51Z"] as [String: String?])
    func `of the Linkerd CLI's tests is judged as Linkerd does`(name: String, words: String?) throws {
        let issuer = try Certificate.parse(pem: try Fixtures.bytes("linkerd-issuer/\(name)-crt.pem"))
        let anchors = try TrustAnchors(pem: try Fixtures.bytes("linkerd-issuer/\(name)-trust-anchors.pem"))
        let error = failure(issuer, anchors)
        #expect(error == nil ? words == nil : words.map { error!.rule.hasPrefix($0) } == true, "\(error?.rule ?? "verified")")
        #expect(failure(issuer, try TrustAnchors(pem: try Fixtures.bytes("linkerd-issuer/wrong-domain-trust-anchors.pem"))) != nil)
    }

    @Test
    func `of a go fuzzer is parsed or refused, never worse`() throws {
        var parsed = 0
        for sample in try Fixtures.corpus("fuzz/go-x509.jsonl") {
            guard let certificate = try? Certificate(der: sample.bytes) else { continue }
            parsed += 1
            _ = (certificate.subject, certificate.names, certificate.notBefore, certificate.notAfter, certificate.isCA, certificate.serial, certificate.pem)
            #expect(certificate.sha256.count == 32)
            #expect(failure([certificate], TrustAnchors([])) != nil)
        }
        #expect(parsed > 0)
    }
}

@Suite struct `A PEM text` {
    @Test func `gives its certificates in order and can be written again`() throws {
        try seeded {
            let realm = try Realm()
            let both = realm.issuer.certificate.pem + realm.root.certificate.pem
            #expect(try Certificate.parse(pem: "some words\n" + both) == [realm.issuer.certificate, realm.root.certificate])
            #expect(try TrustAnchors(pem: both).pem == both)
            #expect(try Certificate(der: realm.root.certificate.der) == realm.root.certificate)
            #expect(try Certificate.parse(pem: realm.root.key.pem + both).count == 2, "other blocks are skipped")
        }
    }

    @Test func `without a whole certificate is refused`() throws {
        try seeded {
            let pem = try Realm().root.certificate.pem
            for text in ["", "nothing here", String(pem.dropLast(30)), pem + pem.replacingOccurrencesOfFirst("A", "*")] {
                #expect(throws: PeerError.self) { try TrustAnchors(pem: text) }
            }
            #expect(throws: PeerError.self) { try Certificate(der: [0x30, 0x03, 1, 1, 1]) }
            #expect(throws: PeerError.self) { try Certificate.parse(pem: [UInt8](repeating: 10, count: TLSLimits.pemBytesMax + 1)) }
        }
    }

    @Test(arguments: [
        ("x509bundle-corrupted.pem", 0), ("x509bundle-empty.pem", 0), ("x509bundle-key.pem", 0), ("x509bundle-not-pem.pem", 0), ("x509svid-good-key-and-cert.pem", 1),
        ("x509svid-good-leaf-and-intermediate.pem", 2), ("x509svid-good-leaf-only.pem", 1),
    ])
    func `of SPIFFE is read or refused by what it holds`(file: String, count: Int) throws {
        let found = (try? Certificate.parse(pem: try Fixtures.bytes("spiffe/" + file)))?.count ?? 0
        #expect(found == count)
    }

    @Test func `of a SPIFFE leaf names its URI`() throws {
        let leaf = try Certificate.parse(pem: try Fixtures.bytes("spiffe/x509svid-good-leaf-only.pem"))[0]
        #expect(leaf.names.uris == leaf.names.identities && leaf.names.uris.first?.hasPrefix("spiffe://") == true)
        #expect(leaf.carries(leaf.names.uris[0]))
        #expect(!leaf.carries(leaf.names.uris[0] + "/x"))
    }
}

extension String {
    fileprivate func replacingOccurrencesOfFirst(_ a: Character, _ b: Character) -> String {
        guard let index = lastIndex(of: a) else { return self }
        var copy = self
        copy.replaceSubrange(index...index, with: [b])
        return copy
    }
}
