// The network validator: where a CNI plugin was to redirect a pod's traffic, it shows that it did, before any container of the pod starts.
// It listens where the proxy will, connects to an address that nobody has, and expects to hear itself. Without it a pod whose node lost
// its plugin would run with its traffic bare. It proves the redirection of what the pod sends, not of what it receives.
// Source: linkerd2-proxy-init validator/src/main.rs; shared facts on the data plane 9.5.

import Base
import Platform

public final class NetworkValidator: AcceptHandler {
    /// Of a failure, whatever it was: the repair controller looks for this one. Source: as above.
    public static let failureStatus: Int32 = 95

    private let host: any Host
    private let flags: ValidatorFlags
    private let token: [UInt8]
    private var listener: (any Listener)?
    private var served: [Server] = []
    private var client: Client?
    private var timer: TimerID?
    private var done: ((Refusal?) -> Void)?

    /// `done` hears once what was found; nil: what the pod sends is redirected.
    public init(host: any Host, flags: ValidatorFlags, done: @escaping (Refusal?) -> Void) {
        self.host = host
        self.flags = flags
        self.done = done
        var random = host.random("network-validator")
        let letters = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789".utf8)
        token = (0..<63).map { _ in letters[random.below(letters.count)] } + [10]
    }

    public func start() {
        do throws(HostFailure) {
            let listener = try host.network.listen(on: flags.listen, options: ListenOptions(), handler: self)
            self.listener = listener
            host.log(.info, "network_validator", "Listening for connections on \(listener.address)")
        } catch {
            host.after(.zero) { [self] in end(Refusal("cannot listen on \(flags.listen): \(error)")) }
            return
        }
        timer = host.after(flags.timeout) { [self] in
            timer = nil
            end(Refusal("no answer from \(flags.connect) within \(flags.timeout): what this pod sends is not redirected"))
        }
        let client = Client(self)
        self.client = client
        client.connection = host.network.connect(to: flags.connect, options: ConnectOptions(timeout: flags.timeout), handler: client)
    }

    /// Ends without a verdict, which is a failure.
    public func stop() { end(Refusal("told to stop before there was an answer")) }

    public func accepted(_ connection: any Connection) {
        let server = Server(self, connection)
        connection.handler = server
        served.append(server)
        connection.send(token)
        connection.finish()
    }

    private func judge(_ heard: [UInt8]) {
        if heard == token { return end(nil) }
        end(Refusal("\(flags.connect) answered with \(heard.isEmpty ? "nothing" : "\(heard.count) bytes that are not ours"): what this pod sends is not redirected to \(flags.listen)"))
    }

    private func end(_ refusal: Refusal?) {
        guard let done else { return }
        self.done = nil
        if let timer { host.cancel(timer) }
        timer = nil
        listener?.close()
        listener = nil
        client?.connection?.close()
        client = nil
        for server in served { server.connection.close() }
        served = []
        done(refusal)
    }

    /// Says the token to whoever comes.
    private final class Server: ConnectionHandler {
        private unowned let validator: NetworkValidator
        let connection: any Connection

        init(_ validator: NetworkValidator, _ connection: any Connection) {
            self.validator = validator
            self.connection = connection
        }

        func received(_ bytes: RawSpan, on connection: any Connection) {}
        func finished(_ connection: any Connection) { connection.close() }
        func closed(_ connection: any Connection, _ failure: HostFailure?) { validator.served.removeAll { $0 === self } }
    }

    private final class Client: ConnectionHandler {
        private unowned let validator: NetworkValidator
        private var heard: [UInt8] = []
        var connection: (any Connection)?

        init(_ validator: NetworkValidator) { self.validator = validator }

        func connected(_ connection: any Connection) { validator.host.log(.debug, "network_validator", "Connected to \(validator.flags.connect)") }

        func received(_ bytes: RawSpan, on connection: any Connection) {
            heard += bytes.array()
            // More than a token is not ours, whatever follows.
            if heard.count > validator.token.count { validator.judge(heard) }
        }

        func finished(_ connection: any Connection) { validator.judge(heard) }

        func closed(_ connection: any Connection, _ failure: HostFailure?) {
            self.connection = nil
            if let failure { validator.end(Refusal("cannot connect to \(validator.flags.connect): \(failure)")) } else { validator.judge(heard) }
        }
    }
}
