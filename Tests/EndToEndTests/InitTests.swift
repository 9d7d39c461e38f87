// weft-init's network validator as the CNI mode of the injector runs it: in a real namespace, with iptables rules and without.

import Base
import CLinux
import Glibc
import Linux
import Platform
import Testing

@Suite(.serialized) struct InitTests {
    @Test func `the network validator tells a redirected pod from a bare one`() throws {
        try #require(clinux_user_id() == 0, "this test makes network namespaces and needs root")
        let network = try PodNetwork(subnet: IPNetwork("10.214.0.0/16")!)
        defer { network.remove() }
        let program = "\(DemoTests.directory)/weft-init"
        func run(_ pod: PodNamespace, _ arguments: [String], user: UInt32? = nil) throws -> (Int32, String) {
            let command = ([program] + arguments).joined(separator: " ")
            let child = try pod.start(ChildProgram(path: "/bin/sh", arguments: ["-c", "\(command) >/run/weft-out-\(network.name) 2>&1; echo \"$?\" >>/run/weft-out-\(network.name)"], environment: [("PATH", ChildProcess.systemPath)]))
            _ = child.wait()
            let text = String(decoding: try LinuxFiles(limits: LinuxLimits()).read("/run/weft-out-\(network.name)"), as: UTF8.self)
            unlink("/run/weft-out-\(network.name)")
            let lines = text.split(separator: "\n")
            return (lines.last.flatMap { Int32($0) } ?? -1, text)
        }
        let validator = ["network-validator", "--connect-addr", "1.1.1.1:20001", "--listen-addr", "0.0.0.0:4140", "--timeout", "2s"]
        let bare = try network.addPod("bare")
        let (failed, why) = try run(bare, validator)
        #expect(failed == 95 && why.contains("1.1.1.1:20001"), "\(why)")
        let meshed = try network.addPod("meshed")
        let (done, said) = try run(meshed, ["--incoming-proxy-port", "4143", "--outgoing-proxy-port", "4140", "--proxy-uid", "2102", "--ipv6=false"])
        #expect(done == 0, "\(said)")
        let (held, what) = try run(meshed, validator)
        #expect(held == 0 && what.contains("Validated"), "\(what)")
        let (refused, advice) = try run(meshed, ["network-validator", "--timeout", "soon"])
        #expect(refused == 2 && advice.contains("--timeout cannot be"), "\(advice)")
    }
}
