// Addresses as text and back: what is accepted, what is refused, and the one form in which each is printed.

import Base
import Testing

@Suite struct `An address` {
    @Test(arguments: [
        ("0.0.0.0", "0.0.0.0"), ("255.255.255.255", "255.255.255.255"), ("10.1.2.3", "10.1.2.3"), ("::", "::"), ("::1", "::1"), ("1::", "1::"), ("FE80::1", "fe80::1"),
        ("2001:db8:0:0:1:0:0:1", "2001:db8::1:0:0:1"), ("2001:db8::0:1", "2001:db8::1"), ("1:0:3:4:5:6:7:8", "1:0:3:4:5:6:7:8"), ("::ffff:1.2.3.4", "::ffff:102:304"),
        ("1:2:3:4:5:6:7::", "1:2:3:4:5:6:7:0"), ("64:ff9b::192.0.2.33", "64:ff9b::c000:221"),
    ])
    func `is printed in one form`(_ text: String, _ printed: String) throws {
        let address = try #require(IPAddress(text))
        #expect(address.description == printed)
        #expect(IPAddress(printed) == address)
    }

    @Test(arguments: [
        "", ".", "1", "1.2.3", "1.2.3.4.5", "256.1.1.1", "01.2.3.4", "1.2.3.4 ", " 1.2.3.4", "1.2.3.-4", "1..2.3", "٣.1.1.1", ":", ":::", "1:2:3:4:5:6:7", "1:2:3:4:5:6:7:8:9", "1:2:3:4:5:6:7:8::", "::1::",
        "12345::", "g::", "1:2:3:4:5:6:7:1.2.3.4", "::1.2.3", "[::1]", "fe80::1%eth0", "1:", ":1:2:3:4:5:6:7",
    ])
    func `of no standard is refused`(_ text: String) { #expect(IPAddress(text) == nil) }

    @Test func `of any bits is read back as it was printed`() {
        var random = Random(seed: 1)
        for _ in 0..<2000 {
            // Few bits set: many runs of zeros.
            let mask = random.next() & random.next() & random.next()
            let address = random.chance(1, in: 3) ? IPAddress.v4(UInt32(truncatingIfNeeded: random.next())) : .v6(mask, random.chance(1, in: 2) ? 0 : random.next() & mask)
            #expect(IPAddress(address.description) == address)
        }
    }

    @Test func `mapped into IPv6 is the same host`() throws {
        let mapped = try #require(IPAddress("::ffff:127.0.0.1"))
        #expect(mapped.unmapped == .loopback)
        #expect(mapped.isLoopback)
        #expect(!mapped.isV4)
        #expect(IPAddress("::1")?.isLoopback == true)
        #expect(IPAddress("::2")?.unmapped == IPAddress("::2"))
        #expect(IPAddress("::")?.isUnspecified == true && IPAddress.any.isUnspecified && !IPAddress.loopback.isUnspecified)
    }

    @Test func `sorts IPv4 first, then by number`() {
        let texts = ["::1", "10.0.0.2", "9.255.0.0", "::", "2001:db8::"]
        #expect(texts.compactMap { IPAddress($0) }.sorted().map(\.description) == ["9.255.0.0", "10.0.0.2", "::", "::1", "2001:db8::"])
    }

    @Test(arguments: ["1.2.3.4:80", "[::1]:65535", "0.0.0.0:0"])
    func `with a port is printed as it was read`(_ text: String) { #expect(SocketAddress(text)?.description == text) }

    @Test(arguments: ["1.2.3.4", "1.2.3.4:", "1.2.3.4:65536", "1.2.3.4:+1", "1.2.3.4:000001", "::1:80", "[1.2.3.4]:80", "[::1]", "[::1:80", "::1]:80", ":80", ""])
    func `with a port in no form is refused`(_ text: String) { #expect(SocketAddress(text) == nil) }

    @Test(arguments: [
        ("10.0.0.0/8", "10.255.0.1", true), ("10.0.0.0/8", "11.0.0.0", false), ("0.0.0.0/0", "8.8.8.8", true), ("0.0.0.0/0", "::1", false), ("1.2.3.4", "1.2.3.4", true), ("1.2.3.4", "1.2.3.5", false),
        ("10.0.0.0/8", "::ffff:10.1.1.1", true), ("2001:db8::/33", "2001:db8:7fff::", true), ("2001:db8::/33", "2001:db8:8000::", false), ("::/0", "ff::", true), ("2001:db8::/127", "2001:db8::1", true),
        ("2001:db8::/127", "2001:db8::2", false), ("1.2.3.4/31", "1.2.3.5", true), ("::1/128", "::1", true), ("2001:db8::/64", "2001:db8::ffff:0:0:1", true), ("2001:db8::/64", "2001:db8:0:1::", false),
    ])
    func `is in a network or not`(_ network: String, _ address: String, _ isIn: Bool) throws {
        #expect(try #require(IPNetwork(network)).contains(try #require(IPAddress(address))) == isIn)
    }

    @Test(arguments: ["10.0.0.0/33", "10.0.0.0/", "10.0.0.0/+8", "10.0.0.0/-1", "::/129", "/8", "10.0.0.0/8/8", "10.0.0.0/256", ""])
    func `of a network in no form is refused`(_ text: String) { #expect(IPNetwork(text) == nil) }
}
