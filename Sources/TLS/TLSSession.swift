// One end of one TLS 1.3 connection as a state machine: ciphertext and plaintext go in and out as bytes, nothing is read or
// written elsewhere, and the only time it knows is the wall time it is created with, which decides certificate validity.
// OpenSSL reads and writes memory lent to it for one call at a time (COpenSSL's wire). Deliberately absent: TLS 1.2, session
// resumption (ARCHITECTURE.md has the measure and the reason), early data, renegotiation, exporters.

import Base
import COpenSSL
import COpenSSLSystem

/// Who is at the other end, as far as TLS has proven.
public struct TLSPeer: Sendable {
    /// DNS names and URIs of the verified leaf, in its order. Empty if the peer showed no certificate.
    public var identities: [String]
    /// The verified leaf.
    public var certificate: Certificate?
    /// The protocol agreed on.
    public var alpn: [UInt8]?
    /// The server name the client sent.
    public var serverName: String?

    /// The identity that policies speak of: the leaf's first DNS name or URI.
    public var identity: String? { identities.first }
}

public final class TLSSession: Engine {
    public enum Event: Sendable {
        /// The handshake is complete and the peer verified. Once, before any data. As a client: the server may still refuse
        /// our certificate, which comes as `failed`.
        case established(TLSPeer)
        /// So many bytes of plaintext; read them by `withData` before the next `nextEvent`.
        case data(Int)
        /// The peer will send nothing more; we may still send (RFC 8446 section 6.1).
        case closeNotify
        /// The session is over. Code: the alert sent or received, see `TLSAlert`. Output may hold an alert to deliver.
        case failed(PeerError)
    }

    private enum Phase: UInt8 { case handshaking, open, failed }

    private let context: TLSContext
    private let ssl: OpaquePointer
    private let wire: UnsafeMutablePointer<weft_tls_wire>
    /// Accepted names and protocols in the wire's form; the wire points into it.
    private let lists: UnsafeMutableBufferPointer<UInt8>
    private let expectedPeer: [String]
    private let offeredName: String
    private var phase = Phase.handshaking
    private var peerClosed = false
    private var inputEnded = false
    private var finishAsked = false
    private var finishSent = false
    /// An event that ended a read which had data to deliver first.
    private var heldBack: Event?
    private var input = ByteBuffer()
    private var output = ByteBuffer()
    private var plaintext = ByteBuffer()
    /// Plaintext that waits for the handshake.
    private var unsent = ByteBuffer()

    /// A client; its ClientHello is in the output at once. `now` decides which certificates are valid.
    public convenience init(client configuration: TLSClientConfiguration, now: WallTime) {
        self.init(configuration.context, names: configuration.expectedPeer, serverName: configuration.serverName, alpn: configuration.alpn, now: now)
        if !configuration.serverName.isEmpty {
            var name = Array(configuration.serverName.utf8CString)
            // Names that SNI cannot carry (over 255 bytes) are left out; the peer is checked by `expectedPeer` anyway.
            SSL_ctrl(ssl, SSL_CTRL_SET_TLSEXT_HOSTNAME, Int(TLSEXT_NAMETYPE_host_name), &name)
            ERR_clear_error()
        }
        let protocols = protocolList(configuration.alpn)
        if !protocols.isEmpty { SSL_set_alpn_protos(ssl, protocols, UInt32(protocols.count)) }
        if let event = shakeHands() { heldBack = event }
    }

    /// A server, waiting for a ClientHello. `now` decides which certificates are valid.
    public convenience init(server configuration: TLSServerConfiguration, now: WallTime) {
        self.init(configuration.context, names: [], serverName: "", alpn: configuration.alpn, now: now)
    }

    private init(_ context: TLSContext, names: [String], serverName: String, alpn: [[UInt8]], now: WallTime) {
        OpenSSL.prepare()
        self.context = context
        expectedPeer = names
        offeredName = serverName
        let isServer = context.role == .server
        let nameBytes = isServer ? [] : nameList(names)
        let alpnBytes = isServer ? protocolList(alpn) : []
        lists = .allocate(capacity: nameBytes.count + alpnBytes.count)
        _ = lists.initialize(from: nameBytes + alpnBytes)
        wire = .allocate(capacity: 1)
        wire.initialize(to: weft_tls_wire())
        wire.pointee.alert_sent = -1
        wire.pointee.alert_received = -1
        wire.pointee.checks_name = isServer ? 0 : 1
        wire.pointee.names = UnsafePointer(lists.baseAddress)
        wire.pointee.names_count = nameBytes.count
        wire.pointee.alpn = lists.baseAddress.map { UnsafePointer($0 + nameBytes.count) }
        wire.pointee.alpn_count = alpnBytes.count
        guard let ssl = SSL_new(context.pointer), let bio = weft_tls_wire_bio(wire) else { invariantBroken("OpenSSL has memory for a session") }
        SSL_set_bio(ssl, bio, bio)
        X509_VERIFY_PARAM_set_time(SSL_get0_param(ssl), Int(now.seconds))
        if isServer { SSL_set_accept_state(ssl) } else { SSL_set_connect_state(ssl) }
        self.ssl = ssl
    }

    deinit {
        SSL_free(ssl)
        X509_free(wire.pointee.verify_certificate)
        wire.deallocate()
        lists.deallocate()
    }

    // MARK: Verbs

    /// Takes ciphertext from the peer. Pull events until there are none.
    public func receive(_ bytes: RawSpan, now: Instant = .zero) {
        if phase == .failed || peerClosed || bytes.byteCount == 0 { return }
        guard input.count + bytes.byteCount <= TLSLimits.ciphertextInputBytesMax else {
            end(PeerError(.connection, code: TLSAlert.internalError, rule: "ciphertext may wait up to \(TLSLimits.ciphertextInputBytesMax) bytes"))
            return
        }
        input.append(bytes)
    }

    /// The transport below has ended. Without close_notify before, that is a failure (truncation).
    public func receiveEnd() { inputEnded = true }

    public func nextEvent() -> Event? {
        plaintext.removeAll()
        let event = pull()
        if event == nil, input.isEmpty {
            input.release()
            plaintext.release()
        }
        return event
    }

    private func pull() -> Event? {
        if let event = heldBack {
            heldBack = nil
            return event
        }
        switch phase {
        case .handshaking: return shakeHands() ?? truncation()
        case .open: return peerClosed ? nil : read() ?? truncation()
        case .failed: return nil
        }
    }

    /// The plaintext of the last `data` event.
    public func withData<R, E: Error>(_ body: (RawSpan) throws(E) -> R) throws(E) -> R { try plaintext.withBytes(body) }

    /// Encrypts; before the handshake is complete the bytes wait. Refused after `finish`, after a failure, and when
    /// `TLSLimits.outputBytesMax` would be exceeded; then nothing was taken.
    public func send(_ bytes: RawSpan) throws(Refusal) {
        guard phase != .failed else { throw Refusal("the TLS session has failed") }
        guard !finishAsked else { throw Refusal("nothing may be sent after close_notify (RFC 8446 section 6.1)") }
        guard (phase == .open ? output.count : unsent.count) + bytes.byteCount <= TLSLimits.outputBytesMax
        else { throw Refusal("TLS output may wait up to \(TLSLimits.outputBytesMax) bytes") }
        if bytes.byteCount == 0 { return }
        if phase == .open { bytes.withUnsafeBytes { encrypt($0) } } else { unsent.append(bytes) }
    }

    /// Ends our direction by close_notify, after everything sent before. The peer may go on sending.
    public func finish() {
        finishAsked = true
        if phase == .open { sendClose() }
    }

    /// Moves ciphertext to the tail of `buffer`.
    public func drainOutput(into buffer: inout ByteBuffer) {
        if output.isEmpty { return }
        buffer.append(moving: &output)
        output.release()
    }

    /// Ciphertext waiting to be drained plus plaintext waiting for the handshake. Unit: bytes.
    public var outputBytes: Int { output.count + unsent.count }
    public var isEstablished: Bool { phase == .open }
    /// TLS has no timers; handshakes are bounded by their owner.
    public var deadline: Instant? { nil }
    public func expire(now: Instant) {}

    // MARK: OpenSSL calls

    /// Runs one OpenSSL call with the input lent and `room` bytes to write to; repeats it while it wants more room.
    /// Returns its result and SSL_get_error.
    private func call(room: Int, _ operation: (OpaquePointer) -> Int32) -> (result: Int32, error: Int32) {
        while true {
            var result: Int32 = 0
            var error: Int32 = 0
            var consumed = 0
            // Small room is lent from the stack: most reads write nothing, and an idle session shall own no memory.
            withUnsafeTemporaryAllocation(byteCount: room, alignment: 1) { space in
                input.withUnsafeBytes { bytes in
                    lend(input: bytes, output: space)
                    ERR_clear_error()
                    result = operation(ssl)
                    error = result > 0 ? SSL_ERROR_NONE : SSL_get_error(ssl, result)
                    consumed = bytes.count - wire.pointee.input_count
                }
                output.append(UnsafeRawBufferPointer(rebasing: space[..<(space.count - wire.pointee.output_room)]))
            }
            takeBack()
            input.consume(consumed)
            if error != SSL_ERROR_WANT_WRITE || output.count > TLSLimits.outputBytesMax { return (result, error) }
        }
    }

    private func lend(input bytes: UnsafeRawBufferPointer, output space: UnsafeMutableRawBufferPointer) {
        wire.pointee.input = bytes.baseAddress?.assumingMemoryBound(to: UInt8.self)
        wire.pointee.input_count = bytes.count
        wire.pointee.output = space.baseAddress?.assumingMemoryBound(to: UInt8.self)
        wire.pointee.output_room = space.count
    }

    private func takeBack() {
        lend(input: UnsafeRawBufferPointer(start: nil, count: 0), output: UnsafeMutableRawBufferPointer(start: nil, count: 0))
    }

    private func shakeHands() -> Event? {
        let (result, error) = call(room: 4096) { SSL_do_handshake($0) }
        if result == 1 {
            phase = .open
            let peer = describePeer()
            if !unsent.isEmpty {
                var waiting = ByteBuffer()
                swap(&waiting, &unsent)
                waiting.withUnsafeBytes { encrypt($0) }
            }
            if finishAsked { sendClose() }
            return .established(peer)
        }
        return error == SSL_ERROR_WANT_READ ? nil : failure()
    }

    private func read() -> Event? {
        while plaintext.count < TLSLimits.plaintextEventBytesMax {
            // What may come out: what OpenSSL has decrypted already, or what is still to be decrypted, at least a small record.
            let pending = Int(SSL_pending(ssl))
            let room = min(TLSLimits.plaintextEventBytesMax - plaintext.count, pending > 0 ? pending : max(512, input.count))
            var outcome: (result: Int32, error: Int32) = (0, 0)
            plaintext.fill(reserving: room) { space in
                var count = 0
                outcome = call(room: 512) { SSL_read_ex($0, space.baseAddress, min(space.count, room), &count) }
                return outcome.result > 0 ? count : 0
            }
            if outcome.result > 0 { continue }
            if outcome.error == SSL_ERROR_WANT_READ { break }
            let event: Event
            if outcome.error == SSL_ERROR_ZERO_RETURN {
                peerClosed = true
                input.release()
                event = .closeNotify
            } else {
                event = failure()
            }
            if plaintext.isEmpty { return event }
            heldBack = event
            break
        }
        return plaintext.isEmpty ? nil : .data(plaintext.count)
    }

    private func encrypt(_ bytes: UnsafeRawBufferPointer) {
        // A record: 5 bytes header, 1 byte content type, 16 bytes tag (RFC 8446 section 5.2). The rest is for a pending KeyUpdate.
        let room = bytes.count + (bytes.count / 16384 + 1) * 22 + 256
        var result: Int32 = 0
        output.fill(reserving: room) { space in
            lend(input: UnsafeRawBufferPointer(start: nil, count: 0), output: space)
            ERR_clear_error()
            var written = 0
            result = SSL_write_ex(ssl, bytes.baseAddress, bytes.count, &written)
            return space.count - wire.pointee.output_room
        }
        takeBack()
        if result <= 0, phase == .open { heldBack = failure() }
    }

    private func sendClose() {
        if finishSent { return }
        finishSent = true
        _ = call(room: 512) { SSL_shutdown($0) }
        ERR_clear_error()
    }

    // MARK: Outcomes

    private func describePeer() -> TLSPeer {
        var peer = TLSPeer(identities: [], certificate: nil, alpn: nil, serverName: nil)
        if context.verifiesPeer, let leaf = SSL_get1_peer_certificate(ssl) {
            let certificate = Certificate(owning: leaf)
            peer.certificate = certificate
            peer.identities = certificate.names.identities
        }
        var text: UnsafePointer<UInt8>?
        var count: UInt32 = 0
        SSL_get0_alpn_selected(ssl, &text, &count)
        if count > 0 { peer.alpn = [UInt8](UnsafeBufferPointer(start: text, count: Int(count))) }
        if context.role == .client {
            peer.serverName = offeredName.isEmpty ? nil : offeredName
        } else if let name = SSL_get_servername(ssl, Int32(TLSEXT_NAMETYPE_host_name)) {
            peer.serverName = String(cString: name)
        }
        ERR_clear_error()
        return peer
    }

    private func failure() -> Event {
        let sent = wire.pointee.alert_sent
        let received = wire.pointee.alert_received
        let error: PeerError
        if wire.pointee.verify_error != 0 {
            var culprit: Certificate?
            if let pointer = wire.pointee.verify_certificate, X509_up_ref(pointer) == 1 { culprit = Certificate(owning: pointer) }
            error = verificationError(wire.pointee.verify_error, about: culprit, expected: expectedPeer)
        } else if received > 0 {
            error = PeerError(.connection, code: UInt32(received), rule: "the peer refused the session: \(String(cString: SSL_alert_desc_string_long(received)))")
        } else {
            error = PeerError(.connection, code: sent > 0 ? UInt32(sent) : TLSAlert.internalError, rule: "TLS 1.3 (RFC 8446): \(OpenSSL.takeReason())")
        }
        ERR_clear_error()
        abandon()
        return .failed(error)
    }

    private func truncation() -> Event? {
        guard inputEnded, !peerClosed, phase != .failed else { return nil }
        abandon()
        return .failed(PeerError(.connection, code: TLSAlert.truncated, rule: "the peer closed the connection without close_notify (RFC 8446 section 6.1)"))
    }

    private func end(_ error: PeerError) {
        abandon()
        heldBack = .failed(error)
    }

    private func abandon() {
        phase = .failed
        input.release()
        unsent.release()
    }
}

/// Each name as two length bytes and text.
private func nameList(_ names: [String]) -> [UInt8] {
    var list: [UInt8] = []
    for name in names where name.utf8.count <= 2048 {
        list += [UInt8(name.utf8.count >> 8), UInt8(name.utf8.count & 0xff)]
        list += Array(name.utf8)
    }
    return list
}

/// RFC 7301 section 3.1: each name as one length byte and text.
private func protocolList(_ protocols: [[UInt8]]) -> [UInt8] {
    var list: [UInt8] = []
    for name in protocols {
        invariant(!name.isEmpty && name.count <= 255, "an ALPN protocol has 1 to 255 bytes")
        list.append(UInt8(name.count))
        list += name
    }
    return list
}
