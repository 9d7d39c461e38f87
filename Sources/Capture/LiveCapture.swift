// Packets from a network interface as they pass, through libpcap. The kernel keeps them in a ring until they are asked for, and says
// how many it lost: who wants to prove that something was not on the wire must look at that number. The socket belongs to the
// network namespace of the thread that opens it. Deliberately absent: filters, sending, threads.

import Base
import CPcap

public final class LiveCapture {
    private var handle: OpaquePointer?
    /// libpcap's number of the link layer (DLT).
    public let linkType: Int32
    public let interface: String
    /// Packets taken so far.
    public private(set) var packets = 0

    /// Opens an interface, frames for others included. Fails with packet 0 and libpcap's words, such as a missing right or interface.
    public init(interface: String) throws(CaptureFailure) {
        var message = [CChar](repeating: 0, count: Int(PCAP_ERRBUF_SIZE))
        guard let handle = pcap_create(interface, &message) else { throw CaptureFailure(packet: 0, reason: words(message)) }
        self.interface = interface
        pcap_set_snaplen(handle, Limits.livePacketBytesMax)
        pcap_set_buffer_size(handle, Limits.liveRingBytes)
        pcap_set_promisc(handle, 1)
        pcap_set_timeout(handle, 10)
        // On kernels that cannot, the default of microseconds stays.
        pcap_set_tstamp_precision(handle, PCAP_TSTAMP_PRECISION_NANO)
        let status = pcap_activate(handle)
        guard status >= 0 else {
            let reason = String(cString: pcap_geterr(handle))
            pcap_close(handle)
            throw CaptureFailure(packet: 0, reason: "\(interface): \(String(cString: pcap_statustostr(status)))\(reason.isEmpty ? "" : ": \(reason)")")
        }
        guard pcap_setnonblock(handle, 1, &message) == 0 else {
            pcap_close(handle)
            throw CaptureFailure(packet: 0, reason: words(message))
        }
        linkType = pcap_datalink(handle)
        self.handle = handle
    }

    deinit { close() }

    /// Hands over what waits now. The bytes are valid during the call only. Throws when the interface is gone.
    public func drain(_ take: (CapturedPacket) -> Void) throws(CaptureFailure) {
        guard let handle else { return }
        let unit: Int64 = pcap_get_tstamp_precision(handle) == PCAP_TSTAMP_PRECISION_NANO ? 1 : 1000
        while true {
            var header: UnsafeMutablePointer<pcap_pkthdr>?
            var data: UnsafePointer<UInt8>?
            let status = pcap_next_ex(handle, &header, &data)
            if status == 0 { return }
            guard status == 1, let header, let data else { throw CaptureFailure(packet: packets + 1, reason: String(cString: pcap_geterr(handle))) }
            packets += 1
            let stamp = header.pointee.ts
            take(CapturedPacket(
                number: packets, time: WallTime(nanoseconds: Int64(stamp.tv_sec) &* 1_000_000_000 &+ Int64(stamp.tv_usec) &* unit), wireBytes: Int(header.pointee.len),
                bytes: [UInt8](UnsafeBufferPointer(start: data, count: Int(header.pointee.caplen)))))
        }
    }

    /// Packets that the kernel could not keep for us. Unit: packets.
    public var lost: Int {
        guard let handle else { return 0 }
        var counts = pcap_stat()
        return pcap_stats(handle, &counts) == 0 ? Int(counts.ps_drop) + Int(counts.ps_ifdrop) : 0
    }

    public func close() {
        if let handle { pcap_close(handle) }
        handle = nil
    }
}

private func words(_ message: [CChar]) -> String { String(decoding: message.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self) }
