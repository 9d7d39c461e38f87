// The network validator in a world: redirected, not redirected, answered by somebody else, refused, told to stop; and its flags.

import Base
import Interception
import Platform
import Simulator
import Testing

@Suite struct NetworkValidatorTests {
    private let world = World(seed: 1, options: WorldOptions(start: WallTime(seconds: 1_800_000_000)))

    /// What a validator on `node` finds; nil: that all is well.
    private func found(on node: Simulator.Node, _ arguments: [String] = ["--connect-addr", "10.9.9.9:1404"], stopping: Bool = false) throws -> Refusal? {
        let flags = try ValidatorFlags(arguments)
        var verdict: Refusal??
        let process = world.addProcess("validator", on: node, userID: 65_534, settings: Settings()) { process in
            let validator = NetworkValidator(host: process, flags: flags) { refusal in
                verdict = .some(refusal)
                process.exit(0)
            }
            process.keep(validator)
            process.onShutdown { validator.stop() }
            validator.start()
        }
        process.start()
        if stopping {
            world.run(for: .milliseconds(100))
            process.stop()
        }
        #expect(world.run(until: { verdict != nil }, limit: .seconds(60)))
        return try #require(verdict)
    }

    @Test func `a redirected pod hears itself`() throws {
        let node = world.addNode("pod", ip: IPAddress(10, 0, 0, 1))
        node.redirect = RedirectRules()
        #expect(try found(on: node) == nil)
    }

    @Test func `a pod that is not redirected fails by the timeout or by the network's refusal`() throws {
        let node = world.addNode("pod", ip: IPAddress(10, 0, 0, 1))
        let refusal = try #require(try found(on: node, ["--connect-addr=10.9.9.9:1404", "--timeout=500ms"]))
        #expect(refusal.reason.contains("10.9.9.9:1404"), "\(refusal)")
    }

    @Test(arguments: [[UInt8](), [1, 2, 3], [UInt8](repeating: 65, count: 64), [UInt8](repeating: 65, count: 100_000)])
    func `an answer of somebody else is none`(answer: [UInt8]) throws {
        let node = world.addNode("pod", ip: IPAddress(10, 0, 0, 1))
        let other = world.addNode("other", ip: IPAddress(10, 0, 0, 2))
        let stranger = Stranger(answer)
        let process = world.addProcess("stranger", on: other, userID: 0, settings: Settings()) { process in
            do throws(HostFailure) { stranger.listener = try process.network.listen(on: SocketAddress(.any, 1404), options: ListenOptions(), handler: stranger) } catch { Issue.record("\(error)") }
        }
        process.start()
        world.run(for: .milliseconds(10))
        let refusal = try #require(try found(on: node, ["--connect-addr", "10.0.0.2:1404"]))
        #expect(refusal.reason.contains(answer.isEmpty ? "answered with nothing" : "not ours"), "\(refusal)")
    }

    @Test func `being told to stop is no proof`() throws {
        let node = world.addNode("pod", ip: IPAddress(10, 0, 0, 1))
        let black = world.addNode("black", ip: IPAddress(10, 0, 0, 3))
        let silent = Stranger(nil)
        let process = world.addProcess("silent", on: black, userID: 0, settings: Settings()) { process in
            do throws(HostFailure) { silent.listener = try process.network.listen(on: SocketAddress(.any, 1404), options: ListenOptions(), handler: silent) } catch { Issue.record("\(error)") }
        }
        process.start()
        world.run(for: .milliseconds(10))
        let refusal = try #require(try found(on: node, ["--connect-addr", "10.0.0.3:1404"], stopping: true))
        #expect(refusal.reason.contains("told to stop"))
    }

    @Test func `flags are those of Linkerd's`() throws {
        let flags = try ValidatorFlags(["--log-format", "json", "--log-level=debug", "--connect-addr", "[fd00::1]:20001", "--listen-addr", "[::]:4140", "--timeout", "2m"])
        #expect(flags.isJSON && flags.logLevel == .debug && flags.connect == SocketAddress("[fd00::1]:20001") && flags.listen == SocketAddress("[::]:4140") && flags.timeout == .minutes(2))
        #expect(try ValidatorFlags(["--help"]).wantsHelp)
        for (arguments, words) in [
            (["--nope"], "unknown flag --nope"), (["--timeout"], "--timeout wants a value"), (["--timeout", "10"], "cannot be \"10\""), (["--timeout=0s"], "cannot be"), (["--timeout=99999999m"], "cannot be"),
            (["--connect-addr", "nowhere"], "--connect-addr cannot be \"nowhere\""), (["--log-level", "loud"], "trace, debug"), (["--log-format", "xml"], "plain or json"),
        ] {
            do throws(Refusal) {
                _ = try ValidatorFlags(arguments)
                Issue.record("\(arguments) were taken")
            } catch { #expect(error.reason.contains(words), "\(error)") }
        }
        for line in ["log-level", "log-format", "connect-addr", "listen-addr", "timeout"] { #expect(ValidatorFlags.help.contains("--\(line)")) }
    }
}

/// Says something to whoever connects, and nothing more; nil: nothing at all.
private final class Stranger: AcceptHandler, ConnectionHandler {
    private let answer: [UInt8]?
    private var connections: [any Connection] = []
    var listener: (any Listener)?

    init(_ answer: [UInt8]?) { self.answer = answer }

    func accepted(_ connection: any Connection) {
        connection.handler = self
        connections.append(connection)
        guard let answer else { return }
        connection.send(answer)
        connection.finish()
    }

    func received(_ bytes: RawSpan, on connection: any Connection) {}
    func finished(_ connection: any Connection) { connection.close() }
    func closed(_ connection: any Connection, _ failure: HostFailure?) {}
}
