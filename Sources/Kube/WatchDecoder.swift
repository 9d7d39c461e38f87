// Watch streams from bytes to events: one JSON document a line, however the bytes are split. Holds at most one incomplete line.

import Base
import Documents

public final class WatchDecoder {
    private let resource: KubeResource
    private let limits: KubeLimits
    private var buffer = ByteBuffer()
    /// Bytes from the head of the buffer that hold no end of line.
    private var searched = 0

    public init(resource: KubeResource, limits: KubeLimits = KubeLimits()) {
        self.resource = resource
        self.limits = limits
    }

    public func receive(_ bytes: RawSpan) { buffer.append(bytes) }

    /// The next whole event; nil: more bytes are needed. An error ends the stream: `malformed`.
    public func next() throws(KubeError) -> KubeWatchEvent? {
        while true {
            let end = buffer.withUnsafeBytes { raw in raw[searched...].firstIndex(of: 0x0a) }
            guard let end else {
                searched = buffer.count
                if searched > limits.watchEventBytesMax { throw .malformed("a watch event is longer than \(limits.watchEventBytesMax) bytes") }
                if buffer.isEmpty { buffer.release() }
                return nil
            }
            if end > limits.watchEventBytesMax { throw .malformed("a watch event is longer than \(limits.watchEventBytesMax) bytes") }
            let line = buffer.withUnsafeBytes { [UInt8]($0[..<end]) }
            buffer.consume(end + 1)
            searched = 0
            if line.allSatisfy({ $0 == 0x20 || $0 == 0x0d }) { continue }
            let document: Value
            do throws(DocumentError) { document = try Value(json: line) } catch { throw .malformed("a watch event is no JSON: \(error)") }
            if let event = try event(document) { return event }
        }
    }

    /// nil: a kind of event that nobody here knows, to be passed over.
    private func event(_ document: Value) throws(KubeError) -> KubeWatchEvent? {
        guard let type = document.text("type"), let value = document.member("object") else { throw .malformed("a watch event has no type or no object") }
        let object = KubeObject(value.typed(as: resource))
        switch type {
        case "ADDED": return .added(object)
        case "MODIFIED": return .modified(object)
        case "DELETED": return .deleted(object)
        case "BOOKMARK": return .bookmark(resourceVersion: object.resourceVersion)
        case "ERROR": return .error(KubeStatus(value) ?? KubeStatus(code: 500, reason: .internalError, message: "the watch failed without a status"))
        default: return nil
        }
    }
}
