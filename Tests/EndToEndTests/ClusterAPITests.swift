// `weft cluster api` as a user runs it: a process that is stopped, killed in the middle of writes, started again on the same directory, and
// told about directories and files that are not its own.

import Base
import CDeterminism
import CLinux
import Documents
import Glibc
import HTTP
import Kube
import Linux
import Platform
import Testing
import Transport

/// The command in a folder of its own, and a client of it in this process.
final class ServedAPI {
    let folder: String
    let host: LinuxHost
    private(set) var child: ChildProcess?
    var more: [String] = []
    private let secrets: UnsafeMutablePointer<Random>

    /// The directory that the test bundle was built into, which holds the programs of the same build.
    static let programs: String = {
        var buffer = [CChar](repeating: 0, count: 4096)
        let count = readlink("/proc/self/exe", &buffer, buffer.count - 1)
        let tested = CommandLine.arguments.first { $0.hasSuffix(".xctest") } ?? String(decoding: buffer[..<max(0, count)].map { UInt8(bitPattern: $0) }, as: UTF8.self)
        return String(tested[..<(tested.lastIndex(of: "/") ?? tested.startIndex)])
    }()

    init() throws {
        // Tests of the simulator in this process make OpenSSL draw from bound streams only; here one is bound to this thread.
        secrets = .allocate(capacity: 1)
        secrets.initialize(to: Random(seed: 1))
        _ = weft_rand_install()
        weft_rand_bind(
            { context, bytes, count in context!.assumingMemoryBound(to: Random.self).pointee.fill(UnsafeMutableRawBufferPointer(start: bytes, count: count)) }, secrets)
        var template = Array("/tmp/weft-api-XXXXXX".utf8CString)
        guard mkdtemp(&template) != nil else { throw Refusal("no temporary folder") }
        folder = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
        host = try LinuxHost(settings: Settings(), log: Log(control: Log.Control(level: .off)) { _, _, _ in }, takesSignals: false)
    }

    func arguments(_ directory: String = "data") -> [String] {
        ["cluster", "api", "--data-dir", "\(folder)/\(directory)", "--kubeconfig", "\(folder)/kubeconfig", "--listen", "127.0.0.1:0"] + more
    }

    /// Starts it and waits until it serves.
    func start() throws {
        unlink("\(folder)/out")
        let output = clinux_open_append("\(folder)/out")
        defer { _ = clinux_close(output) }
        var program = ChildProgram(path: "\(Self.programs)/weft", arguments: arguments(), environment: [("PATH", ChildProcess.systemPath)])
        program.output = output
        program.error = output
        child = try ChildProcess(program)
        try wait("the command to serve") { self.output.contains("serving; Ctrl-C stops") }
    }

    var output: String { String(decoding: (try? host.files.read("\(folder)/out")) ?? [], as: UTF8.self) }

    func wait(_ what: String, seconds: Int64 = 60, _ condition: @escaping () -> Bool) throws {
        func tick() { host.after(.milliseconds(5)) { tick() } }
        tick()
        guard host.run(atMost: .seconds(seconds), until: condition) else { throw Refusal("still waiting for \(what): \(output)") }
    }

    func client() throws -> KubeClient {
        let batch = FlushBatch(host: host)
        return try KubeClient(batch: batch, configuration: try KubeConfiguration.load(host, path: "\(folder)/kubeconfig"), resolver: Resolver(host: host), userAgent: "test")
    }

    func end(_ signal: Int32) throws -> Int32 {
        guard let child else { return -1 }
        child.signal(signal)
        var status: Int32?
        try wait("the command to end") {
            status = child.status
            return status != nil
        }
        self.child = nil
        return status!
    }

    /// The one line that a start that fails says, and its status.
    func refusal(_ directory: String = "data") throws -> (status: Int32, text: String) {
        let result = try ChildProcess.run(ChildProgram(path: "\(Self.programs)/weft", arguments: arguments(directory), environment: [("PATH", ChildProcess.systemPath)]))
        return (result.status, result.error)
    }

    func remove() {
        if child != nil { _ = try? end(SIGKILL) }
        host.shutDown()
        weft_rand_bind(nil, nil)
        secrets.deallocate()
        _ = try? ChildProcess.run(ChildProgram(path: "/bin/rm", arguments: ["-rf", folder], environment: []))
    }
}

@Suite(.serialized) struct ClusterAPITests {
    @Test func `it serves, stops cleanly when told to, and goes on from the same directory`() throws {
        let api = try ServedAPI()
        defer { api.remove() }
        try api.start()
        #expect(api.output.contains("Kubernetes API v1.31.0 on https://127.0.0.1:") && api.output.contains("kubectl --kubeconfig \(api.folder)/kubeconfig"))
        var client = try api.client()
        var uid: String?
        _ = client.create(.configMaps, KubeObject(.configMaps, namespace: "default", name: "kept")) { uid = (try? $0.get())?.uid }
        try api.wait("the answer") { uid != nil }
        client.close()
        #expect(try api.end(SIGTERM) == 0)
        #expect(api.output.contains("goes on from there"))
        try api.start()
        #expect(api.output.contains("as they were left in"))
        client = try api.client()
        var again: String?
        _ = client.get(.configMaps, KubeKey("default", "kept")) { again = (try? $0.get())?.uid }
        try api.wait("the answer") { again != nil }
        #expect(again == uid)
        client.close()
        #expect(try api.end(SIGINT) == 0)
    }

    @Test func `killed in the middle of writes, it has all that it acknowledged`() throws {
        let api = try ServedAPI()
        defer { api.remove() }
        var acknowledged: [String: String] = [:]
        var deleted: [String] = []
        var round = 0
        for _ in 0..<3 {
            round += 1
            try api.start()
            let client = try api.client()
            var number = 0
            var isOver = false
            func write() {
                number += 1
                let name = "r\(round)-\(number)"
                var object = KubeObject(.configMaps, namespace: "default", name: name)
                object.value.put(.string(String(repeating: "x", count: number % 3000)), at: "data", "key")
                _ = client.create(.configMaps, object) { result in
                    guard !isOver, case .success(let made) = result else { return }
                    acknowledged[name] = made.uid
                    if number % 5 == 0 {
                        _ = client.delete(.configMaps, KubeKey("default", name)) { result in
                            guard !isOver, case .success = result else { return }
                            deleted.append(name)
                        }
                        // Asked for, so that it may be there or not until it is acknowledged.
                        acknowledged[name] = nil
                    }
                    write()
                }
            }
            for _ in 0..<16 { write() }
            let before = acknowledged.count
            try api.wait("writes") { acknowledged.count > before + 300 }
            #expect(try api.end(SIGKILL) != 0)
            isOver = true
            client.close()
        }
        try api.start()
        let client = try api.client()
        var present: [KubeObject]?
        _ = client.list(.configMaps, namespace: "default") { present = (try? $0.get())?.items }
        try api.wait("the list") { present != nil }
        var uids: [String: String] = [:]
        for object in present ?? [] { uids[object.name] = object.uid }
        let lost = acknowledged.filter { uids[$0.key] != $0.value }.map(\.key)
        let risen = deleted.filter { uids[$0] != nil }
        #expect(lost == [] && risen == [], "of \(acknowledged.count) acknowledged, \(deleted.count) deleted")
        client.close()
        #expect(try api.end(SIGTERM) == 0)
    }

    @Test func `directories and files that are not its own get one line`() throws {
        let api = try ServedAPI()
        defer { api.remove() }
        func shell(_ script: String) throws { _ = try ChildProcess.run(ChildProgram(path: "/bin/sh", arguments: ["-c", script], environment: [("PATH", ChildProcess.systemPath)])) }
        try shell("cd \(api.folder) && mkdir foreign junk && echo x > foreign/notes.txt && head -c 9000 /dev/zero | tr '\\\\0' A > junk/cluster.db && echo x > file")
        for (directory, words) in [("foreign", "holds notes.txt and no cluster (cluster.db)"), ("junk", "is not a database of this program"), ("file", "is not a directory")] {
            let (status, text) = try api.refusal(directory)
            #expect(status == 1 && text.contains(words) && text.split(separator: "\n").count == 1, "\(directory): \(status) \(text)")
        }
        try api.start()
        let (status, text) = try api.refusal()
        #expect(status == 1 && text.contains("is in use by another process") && text.split(separator: "\n").count == 1, "\(text)")
        #expect(try api.end(SIGTERM) == 0)
        try shell("printf 'apiVersion: v1\\nkind: Config\\nclusters: [{name: production}]\\n' > \(api.folder)/kubeconfig")
        let other = try api.refusal()
        #expect(other.status == 1 && other.text.contains("is not one that this command wrote"))
        try shell("rm \(api.folder)/kubeconfig; dd if=/dev/urandom of=\(api.folder)/data/cluster.db bs=4096 seek=2 count=3 conv=notrunc 2>/dev/null")
        let damaged = try api.refusal()
        #expect(damaged.status == 1 && damaged.text.contains("is damaged") && damaged.text.split(separator: "\n").count == 1, "\(damaged.text)")
    }
}
