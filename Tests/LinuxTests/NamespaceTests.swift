// Real namespaces, real iptables, real redirection. One after the other, because what a dead run leaves is looked for by name.

import Base
import CLinux
import Glibc
import Linux
import Platform
import Testing

@Suite(.serialized) struct NamespaceTests {
    /// A run's pods, gone at the end however the test ends. Needs root.
    private func withPods(_ roles: [String], _ body: (PodNetwork, [PodNamespace]) throws -> Void) throws {
        try #require(clinux_user_id() == 0, "these tests make network namespaces and need root")
        let network = try PodNetwork(subnet: IPNetwork("10.213.0.0/16")!)
        defer { network.remove() }
        try body(network, try roles.map { try network.addPod($0) })
        network.remove()
        #expect(namespaces(of: network.name) == [])
        #expect(access("/run/weft-\(network.name).lock", F_OK) != 0)
        #expect(access(network.directory, F_OK) != 0)
    }

    private func namespaces(of run: String) -> [String] {
        let listed = try? ChildProcess.run(ChildProgram(path: "/bin/ls", arguments: ["/run/netns"], environment: []))
        return (listed?.output ?? "").split(separator: "\n").map(String.init).filter { $0.hasPrefix(run + "-") }
    }

    private func bash(_ script: String, user: UInt32? = nil) -> ChildProgram {
        ChildProgram(path: "/bin/bash", arguments: ["-c", script], environment: [("PATH", ChildProcess.systemPath)], user: user, group: user)
    }

    @Test func `pods reach each other and the hub, and nothing of it shows outside`() throws {
        try withPods(["one", "two"]) { network, pods in
            #expect(namespaces(of: network.name).count == 3)
            try withHost { host in
                let acceptor = Acceptor { side in side.onReceived = { side, bytes in side.send(bytes) } }
                for target in pods + [network.hub] {
                    let listener = try target.inside { try host.network.listen(on: SocketAddress(.any, 0), options: ListenOptions(), handler: acceptor) }
                    for source in pods + [network.hub] {
                        let side = Side()
                        side.connection = try source.inside { host.network.connect(to: SocketAddress(target.address, listener.address.port), options: ConnectOptions(timeout: .seconds(5)), handler: side) }
                        side.send([1, 2])
                        host.drive("\(source.role) reaches \(target.role)") { side.bytes == [1, 2] || side.isClosed }
                        #expect(side.bytes == [1, 2])
                    }
                }
            }
            let outside = try ChildProcess.run(bash("ip addr; ip route; ip link"))
            #expect(outside.status == 0 && !outside.output.contains("10.213.") && !outside.output.contains(network.name))
            #expect(throws: HostFailure.self) { try network.addPod("one") }
            #expect(throws: HostFailure.self) { try network.addPod("three", address: IPAddress(10, 1, 1, 1)) }
        }
    }

    @Test func `the machine reaches the pods when it asks to`() throws {
        try withPods(["one"]) { network, pods in
            try network.connectMachine(address: IPAddress(10, 213, 0, 2))
            try withHost { host in
                let acceptor = Acceptor()
                let listener = try pods[0].inside { try host.network.listen(on: SocketAddress(.any, 0), options: ListenOptions(), handler: acceptor) }
                let side = Side()
                side.connection = host.network.connect(to: SocketAddress(pods[0].address, listener.address.port), options: ConnectOptions(timeout: .seconds(5)), handler: side)
                host.drive("reached") { !side.told.isEmpty && !acceptor.sides.isEmpty }
                #expect(side.told == [.connected] && acceptor.sides[0].connection!.remoteAddress.ip == IPAddress(10, 213, 0, 2))
            }
        }
    }

    @Test func `a connect into a black hole times out`() throws {
        try withPods(["one"]) { network, pods in
            // The hub swallows what the pod sends there.
            #expect(try network.hub.run(bash("ip route add blackhole 192.0.2.0/24; echo 1 > /proc/sys/net/ipv4/ip_forward")).status == 0)
            #expect(try pods[0].run(bash("ip route add 192.0.2.0/24 dev eth0; ip neigh add 192.0.2.1 lladdr 02:00:00:00:00:01 dev eth0")).status == 0)
            try withHost { host in
                let side = Side()
                side.connection = try pods[0].inside { host.network.connect(to: SocketAddress(IPAddress(192, 0, 2, 1), 80), options: ConnectOptions(timeout: .milliseconds(200)), handler: side) }
                let start = clinux_monotonic()
                host.drive("decided") { side.isClosed }
                #expect(side.told == [.closed(.timedOut)])
                #expect(clinux_monotonic() - start >= 199_000_000)
            }
        }
    }

    @Test func `programs run as the user asked for, with their output where it was sent, and end with the run`() throws {
        try withPods(["one"]) { network, pods in
            let who = try pods[0].run(bash("id -u; id -G; hostname -I || ip -4 -o addr show eth0 | grep -o '10[0-9.]*'; cat", user: 2102), input: "from the test")
            #expect(who.output.hasPrefix("2102\n2102\n") && who.output.contains("10.213.0.10") && who.output.hasSuffix("from the test"))
            #expect(who.status == 0)
            var resolver = bash("cat /etc/resolv.conf")
            resolver.binds = [("/proc/version", "/etc/resolv.conf"), (network.directory, "/mnt")]
            resolver.arguments[1] += "; ls -A /mnt; ls -ld /mnt"
            let seen = try pods[0].run(resolver)
            #expect(seen.output.hasPrefix("Linux version") && seen.output.contains("drwx------"), "\(seen)")
            resolver.binds = [("/proc/version", "/no/such/file")]
            let unbound = #expect(throws: HostFailure.self) { try pods[0].run(resolver) }
            #expect(unbound?.operation == "start (mount)")
            #expect(try pods[0].run(bash("exit 7")).status == 7)
            #expect(try pods[0].run(bash("kill -9 $$")).status == 128 + SIGKILL)
            let failure = #expect(throws: HostFailure.self) { try pods[0].run(ChildProgram(path: "/no/such/program", arguments: [], environment: [])) }
            #expect(failure?.operation == "start (exec)" && failure?.reason == .notFound)

            try withHost { host in
                var ends: [Int32] = [0, 0]
                #expect(clinux_pipe(&ends) == 0)
                var program = bash("echo one; echo two >&2; printf three; exec sleep 1000")
                program.output = ends[1]
                program.error = ends[1]
                let child = try pods[0].start(program)
                // Stubborn ones, and what they started, are killed.
                var stubbornProgram = bash("trap '' TERM; sleep 1000 & echo deaf; wait; wait")
                var stubbornEnds: [Int32] = [0, 0]
                #expect(clinux_pipe(&stubbornEnds) == 0)
                stubbornProgram.output = stubbornEnds[1]
                let stubborn = try pods[0].start(stubbornProgram)
                _ = clinux_close(ends[1])
                _ = clinux_close(stubbornEnds[1])
                var isDeaf = false
                try host.readLines(stubbornEnds[0], line: { _ in isDeaf = true }, ended: {})
                var lines: [String] = []
                var status: Int32?
                try host.readLines(ends[0], line: { lines.append($0) }, ended: { lines.append("END") })
                try host.watch(child) { status = $0 }
                host.drive("lines come") { lines == ["one", "two"] && isDeaf }
                #expect(child.status == nil && status == nil)
                network.remove()
                #expect(stubborn.status == 128 + SIGKILL)
                host.drive("the end is told") { status != nil && lines.last == "END" }
                #expect(status == 128 + SIGTERM && lines == ["one", "two", "three", "END"])
            }
        }
    }

    @Test func `a run that is killed is cleaned up behind it`() async throws {
        let result = await #expect(processExitsWith: .signal(SIGKILL), observing: [\.standardOutputContent]) {
            let network = try PodNetwork(subnet: IPNetwork("10.213.0.0/16")!)
            let pod = try network.addPod("one")
            _ = try pod.start(ChildProgram(path: "/bin/sleep", arguments: ["1000"], environment: []))
            var line = Array("NAME \(network.name) ".utf8)
            _ = clinux_write(1, &line, line.count)
            kill(getpid(), SIGKILL)
        }
        let text = String(decoding: result?.standardOutputContent ?? [], as: UTF8.self)
        let words = text.split(whereSeparator: \.isWhitespace)
        let mark = try #require(words.firstIndex(of: "NAME"), "the run says its name")
        let name = String(words[mark + 1])
        try withHost { host in
            host.drive("the guardian removes \(name)") {
                host.turn(waitingAtMost: .milliseconds(10))
                return namespaces(of: name).isEmpty && access("/run/weft-\(name).lock", F_OK) != 0 && access("/run/weft-\(name)", F_OK) != 0
            }
        }
    }

    @Test func `what a dead run left is removed by the next one`() throws {
        try #require(clinux_user_id() == 0, "these tests make network namespaces and need root")
        // A process number that no kernel gives out.
        let add = bash("ip netns add wf9999999a-pod && ip netns add wfriendly-pod && mkdir -p /run/weft-wf9999999a/keys")
        #expect(try ChildProcess.run(add).status == 0)
        defer { _ = try? ChildProcess.run(bash("ip netns del wfriendly-pod; ip netns del wf9999999a-pod")) }
        try PodNetwork.removeStale()
        #expect(namespaces(of: "wf9999999a") == [])
        #expect(access("/run/weft-wf9999999a", F_OK) != 0)
        #expect(namespaces(of: "wfriendly") == ["wfriendly-pod"])
    }

    @Test(arguments: [IptablesMode.nft, .legacy], [false, true])
    func `iptables sends a pod's traffic through its proxy, but for the proxy's own and the skipped`(mode: IptablesMode, ipv6: Bool) throws {
        try withPods(["client", "pod"]) { network, pods in
            let (client, pod) = (pods[0], pods[1])
            var addresses = (client: client.address, pod: pod.address)
            if ipv6 {
                addresses = (IPAddress("fd00:213::1")!, IPAddress("fd00:213::2")!)
                #expect(try client.run(bash("ip addr add fd00:213::1/64 dev eth0 nodad")).status == 0)
                #expect(try pod.run(bash("ip addr add fd00:213::2/64 dev eth0 nodad")).status == 0)
            }
            var options = IptablesOptions(incomingProxyPort: 4143, outgoingProxyPort: 4140, proxyUser: 2102)
            options.inboundPortsToIgnore = [PortRange(4190, 4191), PortRange(9000, 9000)]
            options.outboundPortsToIgnore = [PortRange(5000, 5100)]
            let runner = try IptablesRunner(mode: mode, ipv6: ipv6, searchPath: ChildProcess.systemPath, networkNamespace: pod.path, say: { _ in })
            #expect(runner.path.hasSuffix(mode == .nft ? "-nft" : "-legacy"))
            try runner.setUp(options, simulating: true)
            #expect(try !runner.save().contains("PROXY_INIT"), "a simulation changes nothing")
            try runner.setUp(options, simulating: false)
            let once = try runner.save().rules
            #expect(once.count == 8, "\(once)")
            try runner.setUp(options, simulating: false)
            #expect(try runner.save().rules == once, "running twice changes nothing")

            try withHost { host in
                let any = ipv6 ? IPAddress.v6(0, 0) : .any
                let proxied = ListenOptions(wantsOriginalDestination: true)
                let (inbound, outbound, app, far) = (Acceptor(), Acceptor(), Acceptor(), Acceptor { $0.send([7]) })
                try pod.inside {
                    _ = try host.network.listen(on: SocketAddress(any, 4143), options: proxied, handler: inbound)
                    _ = try host.network.listen(on: SocketAddress(any, 4140), options: proxied, handler: outbound)
                    for port: UInt16 in [4191, 8080, 9000] { _ = try host.network.listen(on: SocketAddress(any, port), options: ListenOptions(), handler: app) }
                }
                try client.inside {
                    for port: UInt16 in [80, 5050] { _ = try host.network.listen(on: SocketAddress(any, port), options: ListenOptions(), handler: far) }
                }
                func dial(_ source: PodNamespace, _ ip: IPAddress, _ port: UInt16, arrivesAt acceptor: Acceptor) throws -> any Connection {
                    let before = acceptor.sides.count
                    let side = Side()
                    side.connection = try source.inside { host.network.connect(to: SocketAddress(ip, port), options: ConnectOptions(timeout: .seconds(5)), handler: side) }
                    host.drive("\(port) is dialled") { !side.told.isEmpty && acceptor.sides.count > before || side.isClosed }
                    try #require(acceptor.sides.count == before + 1, "\(side.told)")
                    return acceptor.sides[before].connection!
                }
                // Into the pod: through the inbound proxy, but for skipped ports.
                let redirected = try dial(client, addresses.pod, 8080, arrivesAt: inbound)
                #expect(redirected.originalDestination == SocketAddress(addresses.pod, 8080))
                #expect(redirected.remoteAddress.ip == addresses.client)
                for port: UInt16 in [4191, 9000] { #expect(try dial(client, addresses.pod, port, arrivesAt: app).localAddress.port == port) }
                // Out of the pod: through the outbound proxy, also to addresses that nobody has, but for skipped ports and loopback.
                #expect(try dial(pod, addresses.client, 80, arrivesAt: outbound).originalDestination == SocketAddress(addresses.client, 80))
                let service = ipv6 ? IPAddress("fd00:213::99")! : IPAddress(10, 96, 0, 1)
                #expect(try dial(pod, service, 443, arrivesAt: outbound).originalDestination == SocketAddress(service, 443))
                _ = try dial(pod, addresses.client, 5050, arrivesAt: far)
                _ = try dial(pod, ipv6 ? IPAddress.v6(0, 1) : .loopback, 8080, arrivesAt: app)
                // The proxy's own connections go straight out; those of others do not.
                for (user, acceptor): (UInt32, Acceptor) in [(2102, far), (2103, outbound)] {
                    let before = acceptor.sides.count
                    let child = try pod.start(bash("exec 3<>/dev/tcp/\(addresses.client)/80; head -c 1 <&3 >/dev/null", user: user))
                    host.drive("user \(user) arrives") { acceptor.sides.count > before || child.status != nil }
                    #expect(acceptor.sides.count == before + 1)
                    if user == 2103 { #expect(acceptor.sides.last!.connection!.originalDestination == SocketAddress(addresses.client, 80)) }
                }
                try runner.remove(usesWaitFlag: true)
                #expect(try !runner.save().contains("PROXY_INIT"))
                _ = try dial(client, addresses.pod, 8080, arrivesAt: app)
            }
        }
    }

    @Test func `without the right to change rules, the words say which right`() throws {
        try withPods(["one"]) { network, pods in
            let program = ChildProgram(path: "/bin/sh", arguments: ["-c", "exec iptables-nft -t nat -N PROXY_INIT_REDIRECT"], environment: [("PATH", ChildProcess.systemPath)], user: 65534, group: 65534)
            let result = try pods[0].run(program)
            #expect(result.status != 0)
            let failure = IptablesRunner.failure("iptables-nft", status: result.status, said: result.error)
            #expect(failure.cause == .notPermitted && failure.message.contains("NET_ADMIN"), "\(failure)")
            // And what a kernel without something says, by really asking for what none has.
            let runner = try IptablesRunner(mode: .legacy, ipv6: false, searchPath: ChildProcess.systemPath, networkNamespace: pods[0].path, say: { _ in })
            let lacking = try pods[0].run(ChildProgram(path: runner.path, arguments: ["-t", "natty", "-N", "A"], environment: []))
            let words = IptablesRunner.failure(runner.path, status: lacking.status, said: lacking.error)
            #expect(words.cause == .noKernelSupport && words.message.contains("kernel"), "\(words)")
        }
    }
}

extension String {
    /// The rules of an iptables-save, without counters and comments on time.
    fileprivate var rules: [String] { split(separator: "\n").map(String.init).filter { $0.hasPrefix("-A") } }
}
