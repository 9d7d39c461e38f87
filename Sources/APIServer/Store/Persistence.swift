// What makes a cluster last: each write is remembered until the end of its turn and committed in one step before anything that the turn
// has to say leaves the process. An acknowledged write is therefore on disk, and so is whatever a reader has been shown.
// Deliberately absent: the history. After a restart watches go on from the last version, and older ones are told 410.

import Base
import Documents
import Kube
import OrderedCollections
import Platform

final class Persistence {
    private let records: any RecordStore
    private let host: any Host
    /// Record keys written in this turn, with what is to be there; nil: nothing.
    private var changed: OrderedDictionary<String, Value?> = [:]
    private var version: UInt64 = 0
    private var timer: TimerID?
    private var isOver = false
    /// Told once when a commit failed: nothing that is not on disk may be said any more.
    var onFailure: (HostFailure) -> Void = { _ in }

    private static let versionKey = "m/version"

    init(records: any RecordStore, host: any Host) {
        self.records = records
        self.host = host
    }

    // MARK: Reading back

    struct State {
        var version: UInt64 = 0
        var objects: [(collection: String, key: KubeKey, object: Value)] = []
    }

    /// What the last life left. Refused when a record cannot be read.
    func load() throws(Refusal) -> State {
        var state = State()
        var damage: String?
        do throws(HostFailure) {
            try records.read { key, bytes in
                if damage != nil { return }
                if key == Self.versionKey {
                    guard let number = UInt64(String(decoding: bytes, as: UTF8.self)) else { return damage = key }
                    state.version = number
                } else if key.hasPrefix("o/") {
                    let parts = key.dropFirst(2).split(separator: "/", omittingEmptySubsequences: false).map(String.init)
                    guard parts.count == 3, let object = try? Value(json: bytes) else { return damage = key }
                    state.objects.append((parts[0], KubeKey(parts[1], parts[2]), object))
                }
            }
        } catch {
            throw Refusal("the cluster's records cannot be read: \(error)")
        }
        if let damage { throw Refusal("the cluster's record \(damage) is damaged") }
        if state.version == 0, !state.objects.isEmpty { throw Refusal("the cluster's records are damaged: they have no version") }
        version = state.version
        return state
    }

    // MARK: Writing

    func wrote(_ collection: String, _ change: StoredChange) {
        if isOver { return }
        changed["o/\(collection)/\(change.key.namespace)/\(change.key.name)"] = .some(change.kind == .deleted ? nil : change.object)
        version = max(version, change.version)
        // What nobody is told about is kept, too.
        if timer == nil {
            timer = host.after(.zero) { [self] in
                timer = nil
                _ = commit()
            }
        }
    }

    /// Puts what was written on disk. False: it could not be, now or before, and nothing more may be said.
    func commit() -> Bool {
        if isOver { return false }
        if changed.isEmpty { return true }
        var changes: [RecordChange] = []
        changes.reserveCapacity(changed.count + 1)
        for (key, object) in changed {
            var bytes: [UInt8]?
            if let object {
                bytes = []
                object.json(into: &bytes!)
            }
            changes.append(RecordChange(key, bytes))
        }
        changes.append(RecordChange(Self.versionKey, Array(String(version).utf8)))
        changed.removeAll()
        do throws(HostFailure) {
            try records.commit(changes)
            return true
        } catch {
            isOver = true
            onFailure(error)
            return false
        }
    }

    /// The last commit; the store itself stays its maker's to close, once nothing is said any more.
    func end() {
        _ = commit()
        if let timer { host.cancel(timer) }
        timer = nil
    }
}
