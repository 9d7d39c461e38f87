// Reads what crosses between two nodes as an eavesdropper would: is it TLS, and does a declared secret stand in it? One inspector
// a flow; it keeps a few bytes of state and reports the first finding only.

import Base

struct WireInspector {
    private let wantsTLS: Bool
    /// nil: secrets may be said.
    private let secrets: SecretIndex?
    /// Header bytes of the TLS record that begins here.
    private var header: [UInt8] = []
    /// Bytes left of the current TLS record.
    private var recordRest = 0
    /// The last bytes, in which a secret may have begun.
    private var tail: [UInt8] = []

    init(wantsTLS: Bool, secrets: SecretIndex?) {
        self.wantsTLS = wantsTLS
        self.secrets = secrets
    }

    enum Finding: Hashable {
        case plaintext(String)
        case secret(Int)
    }

    mutating func inspect(_ bytes: UnsafeRawBufferPointer) -> Finding? {
        if wantsTLS, let finding = followRecords(bytes) { return finding }
        if let secrets, !secrets.isEmpty, let index = find(secrets, bytes) { return .secret(index) }
        return nil
    }

    /// Record framing of RFC 8446 section 5.1: type, version 3.x, length.
    private mutating func followRecords(_ bytes: UnsafeRawBufferPointer) -> Finding? {
        var i = 0
        while i < bytes.count {
            if recordRest > 0 {
                let step = min(recordRest, bytes.count - i)
                recordRest -= step
                i += step
                continue
            }
            let byte = bytes[i]
            let isRight =
                switch header.count {
                case 0: (0x14...0x17).contains(byte)
                case 1: byte == 3
                case 2: byte <= 4
                default: true
                }
            guard isRight else { return .plaintext("byte \(header.count) of a record is 0x\(hexadecimal([byte]))") }
            header.append(byte)
            i += 1
            if header.count == 5 {
                recordRest = Int(header[3]) << 8 | Int(header[4])
                header.removeAll(keepingCapacity: true)
                guard recordRest <= 16_384 + 2048 else { return .plaintext("a record claims \(recordRest) bytes") }
            }
        }
        return nil
    }

    private mutating func find(_ secrets: SecretIndex, _ bytes: UnsafeRawBufferPointer) -> Int? {
        let window = tail + bytes
        tail = Array(window.suffix(max(0, secrets.longest - 1)))
        return window.withUnsafeBytes { secrets.find(in: $0) }
    }
}
