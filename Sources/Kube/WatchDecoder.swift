// Watch streams from bytes to events: one JSON document a line, however the bytes are split. Holds at most one incomplete line.
// A line that cannot be read is told as such and passed over: one bad object must not blind us to all others.

import Base
import Documents

public final class WatchDecoder {
    private let resource: KubeResource
    private let limits: KubeLimits
    private var buffer = ByteBuffer()
    /// Bytes from the head of the buffer that hold no end of line.
    private var searched = 0
    /// Inside a line that is too long: its bytes are dropped as they come.
    private var isDropping = false

    public init(resource: KubeResource, limits: KubeLimits = KubeLimits()) {
        self.resource = resource
        self.limits = limits
    }

    public func receive(_ bytes: RawSpan) { buffer.append(bytes) }

    /// The next whole event; nil: more bytes are needed.
    public func next() -> KubeWatchEvent? {
        while true {
            let end = buffer.withUnsafeBytes { raw in raw[searched...].firstIndex(of: 0x0a) }
            guard let end else {
                searched = buffer.count
                if isDropping || searched > limits.watchEventBytesMax {
                    buffer.removeAll()
                    searched = 0
                    if !isDropping {
                        isDropping = true
                        return tooLong
                    }
                }
                if buffer.isEmpty { buffer.release() }
                return nil
            }
            let isDropped = isDropping
            isDropping = false
            searched = 0
            if isDropped || end > limits.watchEventBytesMax {
                buffer.consume(end + 1)
                if isDropped { continue }
                return tooLong
            }
            let line = buffer.withUnsafeBytes { [UInt8]($0[..<end]) }
            buffer.consume(end + 1)
            if line.allSatisfy({ $0 == 0x20 || $0 == 0x0d }) { continue }
            if let event = event(line) { return event }
        }
    }

    private var tooLong: KubeWatchEvent { .undecodable("a watch event is longer than \(limits.watchEventBytesMax) bytes") }

    /// nil: a kind of event that nobody here knows, to be passed over.
    private func event(_ line: [UInt8]) -> KubeWatchEvent? {
        let document: Value
        do throws(DocumentError) { document = try Value(json: line) } catch { return .undecodable("a watch event is no JSON: \(error)") }
        guard let type = document.text("type"), let value = document.member("object"), case .object = value else { return .undecodable("a watch event has no type or no object") }
        if type == "ERROR" { return .error(KubeStatus(value) ?? KubeStatus(code: 500, reason: .internalError, message: "the watch failed without a status")) }
        guard ["ADDED", "MODIFIED", "DELETED", "BOOKMARK"].contains(type) else { return nil }
        let object = KubeObject(value.typed(as: resource))
        guard !object.resourceVersion.isEmpty else { return .undecodable("the object of a watch event has no metadata.resourceVersion") }
        if type == "BOOKMARK" { return .bookmark(resourceVersion: object.resourceVersion) }
        guard !object.name.isEmpty else { return .undecodable("the object of a watch event has no metadata.name") }
        return type == "ADDED" ? .added(object) : type == "MODIFIED" ? .modified(object) : .deleted(object)
    }
}
