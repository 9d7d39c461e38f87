// A capture file, packet by packet, as libpcap reads it: pcap in either byte order and both precisions, and pcapng. What libpcap
// refuses (a file cut short, a block of absurd length, interfaces of different link types in one pcapng) is a `CaptureFailure`
// that names the packet; what came before it stays good. Live capture is deliberately absent.

import Base
import CPcap

/// Why a capture could not be read on.
public struct CaptureFailure: Error, Hashable, Sendable, CustomStringConvertible {
    /// The number of the packet that could not be read, counted from 1 as tshark does; 0 if the file's own header is bad.
    public var packet: Int
    /// libpcap's words.
    public var reason: String

    public init(packet: Int, reason: String) {
        self.packet = packet
        self.reason = reason
    }

    public var description: String { packet == 0 ? reason : "packet \(packet): \(reason)" }
}

/// One packet as it stands in the file.
public struct CapturedPacket: Sendable {
    /// Counted from 1.
    public var number: Int
    /// When it was captured, by the capturing machine's calendar.
    public var time: WallTime
    /// Bytes that the packet had on the wire; `bytes` may be fewer.
    public var wireBytes: Int
    public var bytes: [UInt8]
}

/// A capture being read. Closes the file when it goes.
public struct PacketFile: ~Copyable {
    private let handle: OpaquePointer
    /// What the file's stream reads from, when it is not on a disk.
    private let memory: UnsafeMutableRawBufferPointer?
    /// libpcap's number of the link layer (DLT).
    public let linkType: Int32
    /// Packets read so far.
    public private(set) var packets = 0
    /// Why reading stopped before the end, nil so far or if it reached the end.
    public private(set) var failure: CaptureFailure?

    /// Opens a file; `-` is standard input. Fails with packet 0 if there is no such file or its header is not a capture's.
    public init(path: String) throws(CaptureFailure) {
        var message = [CChar](repeating: 0, count: Int(PCAP_ERRBUF_SIZE))
        guard let handle = pcap_open_offline_with_tstamp_precision(path, UInt32(PCAP_TSTAMP_PRECISION_NANO), &message) else {
            throw CaptureFailure(packet: 0, reason: text(message))
        }
        self.init(handle, memory: nil)
    }

    /// Reads a capture held in memory. The array is copied.
    public init(bytes: [UInt8]) throws(CaptureFailure) {
        guard !bytes.isEmpty else { throw CaptureFailure(packet: 0, reason: "truncated dump file; the file is empty") }
        let copy = UnsafeMutableRawBufferPointer.allocate(byteCount: bytes.count, alignment: 1)
        copy.copyBytes(from: bytes)
        guard let stream = fmemopen(copy.baseAddress, copy.count, "r") else {
            copy.deallocate()
            throw CaptureFailure(packet: 0, reason: "out of memory")
        }
        var message = [CChar](repeating: 0, count: Int(PCAP_ERRBUF_SIZE))
        guard let handle = pcap_fopen_offline_with_tstamp_precision(stream, UInt32(PCAP_TSTAMP_PRECISION_NANO), &message) else {
            fclose(stream)
            copy.deallocate()
            throw CaptureFailure(packet: 0, reason: text(message))
        }
        self.init(handle, memory: copy)
    }

    private init(_ handle: OpaquePointer, memory: UnsafeMutableRawBufferPointer?) {
        self.handle = handle
        self.memory = memory
        linkType = pcap_datalink(handle)
    }

    deinit {
        pcap_close(handle)
        memory?.deallocate()
    }

    /// The link layer as libpcap names it, such as `EN10MB`.
    public var linkName: String { pcap_datalink_val_to_name(linkType).map { String(cString: $0) } ?? "DLT \(linkType)" }

    /// The next packet; nil at the end or when `failure` says why not.
    public mutating func next() -> CapturedPacket? {
        guard failure == nil else { return nil }
        var header: UnsafeMutablePointer<pcap_pkthdr>?
        var data: UnsafePointer<UInt8>?
        switch pcap_next_ex(handle, &header, &data) {
        case 1:
            guard let header, let data else { return nil }
            packets += 1
            let stamp = header.pointee.ts
            let nanoseconds = Int64(stamp.tv_sec).multipliedReportingOverflow(by: 1_000_000_000)
            return CapturedPacket(
                number: packets,
                // The file may claim any second: past the range of 64-bit nanoseconds the time is the epoch.
                time: WallTime(nanoseconds: nanoseconds.overflow ? 0 : nanoseconds.partialValue &+ Int64(stamp.tv_usec)),
                wireBytes: Int(header.pointee.len),
                bytes: [UInt8](UnsafeBufferPointer(start: data, count: Int(header.pointee.caplen))))
        case -2: return nil
        default:
            failure = CaptureFailure(packet: packets + 1, reason: String(cString: pcap_geterr(handle)))
            return nil
        }
    }
}

private func text(_ message: [CChar]) -> String {
    String(decoding: message.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
}
