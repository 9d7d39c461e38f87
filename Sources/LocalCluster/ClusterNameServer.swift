// Cluster DNS on the network of a host: datagrams and streams (RFC 7766), answered from `ClusterNames`.

import Base
import DNS
import Platform

final class ClusterNameServer: DatagramHandler, AcceptHandler {
    let names: ClusterNames
    private let host: any Host
    private let limits: LocalClusterLimits
    private var socket: (any DatagramSocket)?
    private var listener: (any Listener)?
    private var streams: [NameStream] = []

    /// Binds both sockets.
    init(host: any Host, address: SocketAddress, names: ClusterNames, limits: LocalClusterLimits = LocalClusterLimits()) throws(HostFailure) {
        self.host = host
        self.names = names
        self.limits = limits
        socket = try host.network.datagrams(on: address, handler: self)
        do throws(HostFailure) { listener = try host.network.listen(on: address, options: ListenOptions(), handler: self) } catch {
            socket?.close()
            throw error
        }
    }

    var streamCount: Int { streams.count }

    func close() {
        socket?.close()
        listener?.close()
        socket = nil
        listener = nil
        for stream in streams { stream.close() }
        streams = []
    }

    func received(_ bytes: RawSpan, from address: SocketAddress, on socket: any DatagramSocket) {
        if let answer = names.answer(bytes, overStream: false) { socket.send(answer.span.bytes, to: address) }
    }

    func accepted(_ connection: any Connection) {
        let stream = NameStream(connection, names: names, host: host, limits: limits) { [unowned self] over in streams.removeAll { $0 === over } }
        connection.handler = stream
        // The one that has been silent the longest makes room.
        if streams.count >= limits.nameStreamsMax { streams[0].close() }
        streams.append(stream)
    }
}

/// One stream of questions with length prefixes.
private final class NameStream: ConnectionHandler {
    private let names: ClusterNames
    private let host: any Host
    private let limits: LocalClusterLimits
    private var connection: (any Connection)?
    private var input = ByteBuffer()
    private var timer: TimerID?
    private var ended: ((NameStream) -> Void)?

    init(_ connection: any Connection, names: ClusterNames, host: any Host, limits: LocalClusterLimits, ended: @escaping (NameStream) -> Void) {
        self.names = names
        self.host = host
        self.limits = limits
        self.connection = connection
        self.ended = ended
        wait()
    }

    func received(_ bytes: RawSpan, on connection: any Connection) {
        input.append(bytes)
        while input.count >= 2 {
            let length = input.withUnsafeBytes { Int($0[0]) << 8 | Int($0[1]) }
            guard input.count >= 2 + length else { break }
            let answer = input.withBytes { names.answer($0.extracting(2..<2 + length), overStream: true) }
            input.consume(2 + length)
            // Who asks what cannot be answered on a stream has lost its place in it.
            guard let answer else { return close() }
            connection.send(answer.span.bytes)
            // Answers are larger than questions: who does not read is not read either.
            if connection.bytesQueued > limits.nameStreamQueueBytesMax { connection.isReadingPaused = true }
        }
        wait()
    }

    func drained(_ connection: any Connection) { connection.isReadingPaused = false }
    func finished(_ connection: any Connection) { close() }
    func closed(_ connection: any Connection, _ failure: HostFailure?) { release() }

    func close() {
        connection?.close()
        release()
    }

    private func wait() {
        if let timer { host.cancel(timer) }
        timer = host.after(limits.nameStreamIdle) { [self] in
            timer = nil
            close()
        }
    }

    private func release() {
        if let timer { host.cancel(timer) }
        timer = nil
        connection = nil
        let last = ended
        ended = nil
        last?(self)
    }
}
