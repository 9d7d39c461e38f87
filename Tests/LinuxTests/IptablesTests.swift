// The rules as text, the command line, and the words of a failure. The rules in a real kernel are judged in NamespaceTests.

import Base
import Linux
import Testing

@Suite struct IptablesTests {
    @Test func `the injector's arguments give Linkerd's rules`() throws {
        let flags = try IptablesFlags([
            "--firewall-bin-path", "iptables-nft", "--firewall-save-bin-path", "iptables-nft-save", "--ipv6=false", "--incoming-proxy-port", "4143",
            "--outgoing-proxy-port", "4140", "--proxy-uid", "2102", "--inbound-ports-to-ignore", "4190,4191,4567,4568", "--outbound-ports-to-ignore", "4567,4568",
        ])
        #expect(flags.effectiveMode == .nft && !flags.ipv6)
        let lines = IptablesPlan(setUp: flags.options(ipv6: false), saved: "").commands.map { $0.joined(separator: " ") }
        #expect(lines == [
            "-t nat -N PROXY_INIT_REDIRECT",
            "-t nat -A PROXY_INIT_REDIRECT -p tcp --match multiport --dports 4190,4191,4567,4568 -j RETURN -m comment --comment proxy-init/ignore-port-4190,4191,4567,4568",
            "-t nat -A PROXY_INIT_REDIRECT -p tcp -j REDIRECT --to-port 4143 -m comment --comment proxy-init/redirect-all-incoming-to-proxy-port",
            "-t nat -A PREROUTING -j PROXY_INIT_REDIRECT -m comment --comment proxy-init/install-proxy-init-prerouting",
            "-t nat -N PROXY_INIT_OUTPUT",
            "-t nat -A PROXY_INIT_OUTPUT -m owner --uid-owner 2102 -j RETURN -m comment --comment proxy-init/ignore-proxy-user-id",
            "-t nat -A PROXY_INIT_OUTPUT -o lo -j RETURN -m comment --comment proxy-init/ignore-loopback",
            "-t nat -A PROXY_INIT_OUTPUT -p tcp --match multiport --dports 4567,4568 -j RETURN -m comment --comment proxy-init/ignore-port-4567,4568",
            "-t nat -A PROXY_INIT_OUTPUT -p tcp -j REDIRECT --to-port 4140 -m comment --comment proxy-init/redirect-all-outgoing-to-proxy-port",
            "-t nat -A OUTPUT -j PROXY_INIT_OUTPUT -m comment --comment proxy-init/install-proxy-init-output",
        ])
    }

    @Test func `listed ports, groups, subnets, many ranges and the wait flag`() throws {
        var options = IptablesOptions(incomingProxyPort: 4143, outgoingProxyPort: 4140, proxyUser: nil)
        options.proxyGroup = 7
        options.portsToRedirect = [80, 443]
        options.inboundPortsToIgnore = (1...14).map { PortRange($0, $0) } + [PortRange(100, 200), PortRange(65_535, 65_535)]
        options.subnetsToIgnore = [IPNetwork("10.0.0.0/8")!]
        options.usesWaitFlag = true
        let lines = IptablesPlan(setUp: options, saved: "").commands.map { $0.joined(separator: " ") }
        // A range takes two of the fifteen places, so it opens the second rule.
        #expect(lines[1].contains("--dports 1,2,3,4,5,6,7,8,9,10,11,12,13,14 -j RETURN"))
        #expect(lines[2].contains("--dports 100:200,65535 -j RETURN"))
        #expect(lines[3] == "-t nat -A PROXY_INIT_REDIRECT -p all -j RETURN -s 10.0.0.0/8 -m comment --comment proxy-init/ignore-subnet-10.0.0.0/8 -w")
        #expect(lines[4] == "-t nat -A PROXY_INIT_REDIRECT -p tcp --destination-port 80 -j REDIRECT --to-port 4143 -m comment --comment proxy-init/redirect-port-80-to-proxy-port -w")
        #expect(lines[5].contains("--destination-port 443"))
        #expect(!lines.contains { $0.contains("uid-owner") } && lines.contains { $0.contains("--gid-owner 7 -j RETURN") })
        #expect(lines.allSatisfy { $0.hasSuffix(" -w") })
    }

    @Test func `what is there is refilled, not doubled, and removal takes only that`() {
        let saved = """
            # Generated
            *nat
            :PREROUTING ACCEPT [0:0]
            :OUTPUT ACCEPT [0:0]
            :PROXY_INIT_OUTPUT - [0:0]
            :PROXY_INIT_REDIRECT - [0:0]
            -A PREROUTING -m comment --comment "proxy-init/install-proxy-init-prerouting" -j PROXY_INIT_REDIRECT
            -A PROXY_INIT_REDIRECT -p tcp -j REDIRECT --to-ports 4143
            COMMIT
            """
        let options = IptablesOptions(incomingProxyPort: 4143, outgoingProxyPort: 4140, proxyUser: 2102)
        let lines = IptablesPlan(setUp: options, saved: saved).commands.map { $0.joined(separator: " ") }
        #expect(lines.first == "-t nat -F PROXY_INIT_REDIRECT" && lines.contains("-t nat -F PROXY_INIT_OUTPUT"))
        #expect(!lines.contains { $0.contains("-N") || $0.contains("-A PREROUTING") })
        #expect(lines.last!.hasPrefix("-t nat -A OUTPUT -j PROXY_INIT_OUTPUT"))
        #expect(IptablesPlan(removing: saved, usesWaitFlag: false).commands.map { $0.joined(separator: " ") } == [
            "-t nat -D PREROUTING -j PROXY_INIT_REDIRECT -m comment --comment proxy-init/install-proxy-init-prerouting",
            "-t nat -F PROXY_INIT_REDIRECT", "-t nat -X PROXY_INIT_REDIRECT", "-t nat -F PROXY_INIT_OUTPUT", "-t nat -X PROXY_INIT_OUTPUT",
        ])
        #expect(IptablesPlan(removing: "*nat\n:OUTPUT ACCEPT [0:0]\nCOMMIT\n", usesWaitFlag: true).commands.isEmpty)
    }

    @Test func `flags are read in all their spellings`() throws {
        let flags = try IptablesFlags(["-p", "4143", "-o=4140", "-u2102", "-g", "-1", "--simulate", "-w", "--use-wait-flag=false", "--ipv6", "--subnets-to-ignore", " 10.0.0.0/8 , fd00::/8", "--netns=", "--inbound-ports-to-ignore", "25,9-3,70000,100-200"])
        #expect(flags.incomingProxyPort == 4143 && flags.outgoingProxyPort == 4140 && flags.proxyUser == 2102 && flags.proxyGroup == nil)
        #expect(flags.simulates && !flags.usesWaitFlag && flags.ipv6 && flags.networkNamespace == nil)
        #expect(flags.options(ipv6: false).subnetsToIgnore.map(\.description) == ["10.0.0.0/8"] && flags.options(ipv6: true).subnetsToIgnore.map(\.description) == ["fd00::/8"])
        #expect(flags.inboundPortsToIgnore == [PortRange(25, 25), PortRange(100, 200)] && flags.skipped == ["9-3", "70000"])
        #expect(flags.effectiveMode == .legacy)
        #expect(try IptablesFlags(["-p1", "-o2", "--firewall-bin-path=/usr/sbin/iptables"]).effectiveMode == .plain)
        #expect(try IptablesFlags(["-p1", "-o2", "--firewall-bin-path=iptables-nft", "--iptables-mode=legacy"]).effectiveMode == .legacy)
        #expect(try IptablesFlags(["--remove"]).removes)
    }

    @Test(arguments: [
        ([], "--incoming-proxy-port must be set to a port"), (["-p", "4143"], "--outgoing-proxy-port must be set to a port"),
        (["-p", "0"], "--incoming-proxy-port cannot be \"0\""), (["-p"], "-p wants a value"), (["--nope"], "unknown flag --nope"), (["x"], "unexpected argument x"),
        (["--ipv6=perhaps"], "wants true or false"), (["--subnets-to-ignore", "10.0.0.1"], "--subnets-to-ignore cannot be"),
        (["--outbound-ports-to-ignore", "a,b"], "--outbound-ports-to-ignore cannot be"), (["--iptables-mode", "bpf"], "--iptables-mode cannot be"), (["-r", "80,x"], "--ports-to-redirect cannot be"),
    ])
    func `a wrong command line is refused in words`(arguments: [String], words: String) {
        let refusal = #expect(throws: Refusal.self) { _ = try IptablesFlags(arguments) }
        #expect(refusal?.reason.contains(words) == true, "\(refusal?.reason ?? "")")
    }

    @Test func `a missing binary is named with its package`() {
        let failure = #expect(throws: IptablesFailure.self) {
            _ = try IptablesRunner(mode: .nft, ipv6: true, searchPath: "/nowhere", networkNamespace: nil, say: { _ in })
        }
        #expect(failure?.cause == .noBinary && failure?.message.contains("ip6tables-nft, ip6tables, ip6tables-legacy") == true)
    }
}
