// Runs iptables plans with the binaries of the chosen back end and says in words what is missing when they fail. Blocks: this
// is a program that runs once before a pod's containers start.

import Base
import CLinux
import Glibc
import Platform

/// Which of the kernel's two rule engines the binary speaks to.
public enum IptablesMode: String, Sendable, CaseIterable {
    case legacy, nft, plain

    func binary(ipv6: Bool) -> String { (ipv6 ? "ip6tables" : "iptables") + (self == .plain ? "" : "-\(rawValue)") }
}

/// What stopped the set-up, with what to try.
public struct IptablesFailure: Error, Hashable, Sendable, CustomStringConvertible {
    public enum Cause: UInt8, Sendable { case noBinary, notPermitted, noKernelSupport, refused }

    public var cause: Cause
    public var message: String
    public var description: String { message }
}

/// One family's iptables in one network namespace.
public struct IptablesRunner {
    public let path: String
    public let savePath: String
    public let networkNamespace: String?
    /// Says each command and what it printed.
    private let say: (String) -> Void

    /// Looks for the mode's binaries, then for nft, plain and legacy, as Linkerd falls back.
    public init(mode: IptablesMode, ipv6: Bool, searchPath: String, networkNamespace: String?, say: @escaping (String) -> Void) throws(IptablesFailure) {
        var tried: [String] = []
        for mode in [mode, .nft, .plain, .legacy] {
            let name = mode.binary(ipv6: ipv6)
            if let path = ChildProcess.find(name, searchPath: searchPath), let save = ChildProcess.find(name + "-save", searchPath: searchPath) {
                if !tried.isEmpty { say("\(tried[0]) not found, using \(name)") }
                self.init(path: path, savePath: save, networkNamespace: networkNamespace, say: say)
                return
            }
            if !tried.contains(name) { tried.append(name) }
        }
        throw IptablesFailure(cause: .noBinary, message: "none of \(tried.joined(separator: ", ")) with its -save twin is on the PATH: install the package iptables")
    }

    /// These binaries and no others.
    public init(path: String, savePath: String, networkNamespace: String?, say: @escaping (String) -> Void) {
        self.path = path
        self.savePath = savePath
        self.networkNamespace = networkNamespace
        self.say = say
    }

    /// The nat table as `iptables-save` prints it.
    public func save() throws(IptablesFailure) -> String { try run(savePath, ["-t", "nat"]) }

    /// Sets up; `simulating` only says the commands.
    public func setUp(_ options: IptablesOptions, simulating: Bool) throws(IptablesFailure) {
        if simulating {
            for command in IptablesPlan(setUp: options, saved: "").commands { say("\(path) \(command.joined(separator: " "))") }
            return
        }
        try apply(IptablesPlan(setUp: options, saved: try save()))
        say(try save())
    }

    public func remove(usesWaitFlag: Bool) throws(IptablesFailure) {
        try apply(IptablesPlan(removing: try save(), usesWaitFlag: usesWaitFlag))
    }

    private func apply(_ plan: IptablesPlan) throws(IptablesFailure) {
        for command in plan.commands { _ = try run(path, command) }
    }

    private func run(_ program: String, _ arguments: [String]) throws(IptablesFailure) -> String {
        let line = "\(program) \(arguments.joined(separator: " "))"
        say(line)
        // The tools read their own variables only; the lock's place is theirs to choose.
        let child = ChildProgram(path: program, arguments: arguments, environment: [("PATH", "/usr/sbin:/sbin:/usr/bin:/bin")], networkNamespace: networkNamespace)
        let result: (status: Int32, output: String, error: String)
        do throws(HostFailure) { result = try ChildProcess.run(child) } catch {
            throw IptablesFailure(cause: error.reason == .permissionDenied ? .notPermitted : .noBinary, message: "\(line): \(error)")
        }
        if result.status == 0 { return result.output }
        throw Self.failure(line, status: result.status, said: result.error.isEmpty ? result.output : result.error)
    }

    /// What went wrong, and what to try, from what iptables said.
    public static func failure(_ line: String, status: Int32, said: String) -> IptablesFailure {
        let words = said.split(whereSeparator: \.isNewline).map { $0.trimmingSpaces() }.filter { !$0.isEmpty }.joined(separator: "; ")
        let cause: IptablesFailure.Cause
        let advice: String
        if words.contains("Permission denied") || words.contains("you must be root") || words.contains("Operation not permitted") {
            cause = .notPermitted
            advice = "the container needs the capabilities NET_ADMIN and NET_RAW, or to run as root"
        } else if words.contains("Table does not exist") || words.contains("not supported") || words.contains("No chain/target/match by that name")
            || words.contains("Extension") || words.contains("Failed to initialize nft")
        {
            cause = .noKernelSupport
            advice = "the node's kernel lacks what this rule needs (nat, REDIRECT, owner, multiport): try the other --iptables-mode, or load the modules on the node"
        } else {
            cause = .refused
            advice = "see what iptables says"
        }
        return IptablesFailure(cause: cause, message: "\(line) ended with status \(status): \(words.isEmpty ? "no message" : words). \(advice)")
    }
}

/// How long conntrack keeps a connection whose peer closed first. Unit: seconds. Needs a privileged container.
public func setCloseWaitTimeout(seconds: UInt32) throws(HostFailure) {
    let path = "/proc/sys/net/netfilter/nf_conntrack_tcp_timeout_close_wait"
    let fd = try checked("write", clinux_open_write(path), subject: path)
    defer { _ = clinux_close(fd) }
    let text = Array("\(seconds)\n".utf8)
    let n = text.withUnsafeBytes { clinux_write(fd, $0.baseAddress, $0.count) }
    if n < 0 { throw HostFailure("write", errno: Int32(-n), subject: path) }
}
