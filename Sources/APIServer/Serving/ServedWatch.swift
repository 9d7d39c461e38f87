// A watch on its stream: one JSON document a line for each change, as fast as the client takes them.

import Base
import Documents
import Kube
import OrderedCollections
import Platform
import Transport

final class ServedWatch {
    let collection: Int
    private let exchange: Exchange
    private let host: any Host
    private let store: ObjectStore
    private let lines: WatchLines
    private var cursor: WatchCursor
    private let kind: ServedKind
    private let version: ServedVersion
    private let form: Representation.Form
    private let includes: TableForm.Objects
    private let limits: APIServerLimits
    private var bookmarkTimer: TimerID?
    private var endTimer: TimerID?
    private var burstTimer: TimerID?
    private var hasColumns = true
    private var onEnd: ((ServedWatch) -> Void)?

    init(
        _ exchange: Exchange, _ cursor: WatchCursor, _ kind: ServedKind, _ version: ServedVersion, form: Representation.Form, includes: TableForm.Objects, options: WatchOptions,
        store: ObjectStore, lines: WatchLines, host: any Host, limits: APIServerLimits, lifetime: Interval, onEnd: @escaping (ServedWatch) -> Void
    ) {
        self.exchange = exchange
        self.cursor = cursor
        self.kind = kind
        self.version = version
        self.form = form
        self.includes = includes
        self.store = store
        self.lines = lines
        self.host = host
        self.limits = limits
        self.onEnd = onEnd
        collection = cursor.collection
        exchange.onFailure = { [self] in over() }
        exchange.onWritable = { [self] in pump() }
        endTimer = host.after(lifetime) { [self] in
            endTimer = nil
            end()
        }
        if options.allowsBookmarks { armBookmark() }
    }

    /// Sends the head and the state that the watch begins with.
    func begin(initial: [Value], marksEnd: Bool) {
        exchange.begin(type: "application/json")
        for object in initial { send("ADDED", object) }
        if marksEnd { bookmark(isInitialEnd: true) }
        pump()
    }

    /// Sends what has happened, until the client is slow or nothing is left.
    func pump() {
        guard onEnd != nil else { return }
        var count = 0
        while exchange.stream.isWritable {
            if count == limits.watchBurstEventsMax {
                // Others get their turn.
                if burstTimer == nil {
                    burstTimer = host.after(.zero) { [self] in
                        burstTimer = nil
                        pump()
                    }
                }
                return
            }
            count += 1
            do throws(KubeStatus) {
                guard let change = try cursor.next(in: store) else { return }
                switch change.kind {
                case .added: send("ADDED", change.object, as: cursor.version)
                case .modified: send("MODIFIED", change.object, as: cursor.version)
                case .deleted: send("DELETED", change.object, as: cursor.version)
                }
            } catch {
                line("ERROR", error.value)
                return end()
            }
        }
    }

    /// Ends in order; the client watches again from where it stood.
    func end() {
        guard onEnd != nil else { return }
        over()
        exchange.end()
    }

    /// What a change is to a watch depends on its selector only in whether it is told, and as what.
    private func send(_ type: String, _ object: Value, as change: UInt64) {
        guard form == .plain else { return send(type, object) }
        let bytes = lines.line(WatchLines.Key(change: change, kind: kind.name, version: version.name, type: type)) { Self.encoded(type, shown(object)) }
        exchange.stream.send(bytes.span.bytes, endStream: false)
    }

    private func send(_ type: String, _ object: Value) {
        let shown = shown(object)
        line(type, ObjectForm(form, kind, version, includes: includes, now: host.wall).one(shown, hasColumns: hasColumns))
        hasColumns = false
    }

    private func shown(_ object: Value) -> Value { kind.shown(object, version) }

    private func bookmark(isInitialEnd: Bool = false) {
        var metadata = Value.members(["resourceVersion": .string(String(cursor.version)), "creationTimestamp": .null])
        if isInitialEnd { metadata.put(.string("true"), at: "annotations", "k8s.io/initial-events-end") }
        let object = Value.members(["kind": .string(kind.kind), "apiVersion": .string(kind.apiVersion(version.name)), "metadata": metadata])
        line("BOOKMARK", form == .table ? TableForm(version: version, includes: .none, context: TableContext(now: host.wall)).table([], metadata: metadata, hasColumns: false) : object)
    }

    private func line(_ type: String, _ object: Value) {
        let bytes = Self.encoded(type, object)
        exchange.stream.send(bytes.span.bytes, endStream: false)
    }

    private static func encoded(_ type: String, _ object: Value) -> [UInt8] {
        var bytes: [UInt8] = []
        Value.members(["type": .string(type), "object": object]).json(into: &bytes)
        bytes.append(0x0a)
        return bytes
    }

    private func armBookmark() {
        bookmarkTimer = host.after(limits.bookmarkPeriod) { [self] in
            bookmarkTimer = nil
            guard onEnd != nil else { return }
            pump()
            guard onEnd != nil else { return }
            if exchange.stream.isWritable { bookmark() }
            armBookmark()
        }
    }

    private func over() {
        guard let tell = onEnd else { return }
        onEnd = nil
        for timer in [bookmarkTimer, endTimer, burstTimer].compactMap({ $0 }) { host.cancel(timer) }
        tell(self)
    }
}
