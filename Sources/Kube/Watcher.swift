// Following a collection without I/O: list, then watch from the list's version, remember every version seen, resume there
// when the stream breaks, list again when the server has forgotten it (410). Answers go in; requests and changes come out.
// What the objects are and who stores them is deliberately no concern here; see `Informer`.

import Base
import Documents

/// One page of a collection.
public struct KubeList: Sendable {
    public var resourceVersion: String
    /// Where the next page begins; nil on the last one.
    public var continueToken: String?
    public var items: [KubeObject]

    public init(resourceVersion: String, continueToken: String? = nil, items: [KubeObject]) {
        self.resourceVersion = resourceVersion
        self.continueToken = continueToken
        self.items = items
    }
}

/// One event of a watch stream. Source: k8s.io/apimachinery pkg/watch.
public enum KubeWatchEvent: Sendable {
    case added(KubeObject)
    case modified(KubeObject)
    case deleted(KubeObject)
    /// Everything up to this version has been told.
    case bookmark(resourceVersion: String)
    case error(KubeStatus)
    /// What came is no event; why, in words. The stream goes on after it.
    case undecodable(String)
}

public struct Watcher: Sendable {
    public enum Action: Equatable, Sendable {
        /// Ask for a page; a nil limit asks for all at once.
        case list(continueToken: String?, limit: Int?)
        /// Ask for a stream; bookmarks are wanted.
        case watch(resourceVersion: String, timeoutSeconds: Int64)
        /// Drop the running request; nothing of it is to be reported any more.
        case cancel
    }

    public enum Event: Sendable {
        /// The whole collection as of now; whatever is not in it is gone.
        case relisted([KubeObject])
        case applied(KubeObject)
        /// With the object's last state.
        case deleted(KubeObject)
        /// An event of the watch could not be decoded and was passed over.
        case skipped(String)
        /// Something failed and is being tried again.
        case failed(KubeError)
    }

    private enum State: Sendable {
        case listing([KubeObject], isPaged: Bool)
        case watching(since: Instant, lastHeard: Instant, hasEvents: Bool)
        case waiting(until: Instant, relists: Bool)
        case stopped
    }

    private let limits: KubeLimits
    private var random: Random
    private var state: State
    private var actions: [Action] = []
    private var events: [Event] = []
    private var failures = 0
    /// Something was passed over since the last list: the next request is a list, so that what was missed is found.
    private var hasMissed = false
    /// The version that the first page of the list under way was read at.
    private var listVersion = ""
    private var lastFailure: Instant?
    /// The last version that the consumer has been told completely. Empty before the first list.
    public private(set) var resourceVersion = ""

    /// Begins with a list; `random` spreads retries of many processes.
    public init(random: Random, limits: KubeLimits = KubeLimits()) {
        self.random = random
        self.limits = limits
        state = .listing([], isPaged: true)
        actions = [.list(continueToken: nil, limit: limits.listPageObjectsMax)]
    }

    /// What to ask the server, oldest first.
    public mutating func nextAction() -> Action? { actions.isEmpty ? nil : actions.removeFirst() }
    /// What the consumer must know, oldest first.
    public mutating func nextEvent() -> Event? { events.isEmpty ? nil : events.removeFirst() }

    /// When `expire` is to be called if nothing happens before.
    public var deadline: Instant? {
        switch state {
        case .listing, .stopped: nil
        case .watching(_, let lastHeard, _): lastHeard + limits.watchSilenceMax
        case .waiting(let until, _): until
        }
    }

    /// A page arrived.
    public mutating func listed(_ page: KubeList, now: Instant) {
        guard case .listing(var objects, let isPaged) = state else { return }
        // Appending to the array inside the enum would copy it for every page.
        state = .stopped
        if objects.isEmpty { listVersion = page.resourceVersion }
        if page.resourceVersion != listVersion {
            // Pages of two versions are no collection that ever was.
            state = .listing([], isPaged: false)
            actions.append(.list(continueToken: nil, limit: nil))
            return
        }
        objects += page.items
        if let token = page.continueToken {
            state = .listing(objects, isPaged: isPaged)
            actions.append(.list(continueToken: token, limit: limits.listPageObjectsMax))
            return
        }
        resourceVersion = page.resourceVersion
        hasMissed = false
        events.append(.relisted(objects))
        watch(now)
    }

    public mutating func listFailed(_ error: KubeError, now: Instant) {
        guard case .listing(_, let isPaged) = state else { return }
        events.append(.failed(error))
        if error.isExpired, isPaged {
            // The server forgot the version of the first page before the last was read: read all at once.
            state = .listing([], isPaged: false)
            actions.append(.list(continueToken: nil, limit: nil))
        } else {
            wait(error, relists: true, now: now)
        }
    }

    /// The stream said something that is no event yet (its head, a part of a line).
    public mutating func heard(now: Instant) {
        if case .watching(let since, _, let hasEvents) = state { state = .watching(since: since, lastHeard: now, hasEvents: hasEvents) }
    }

    public mutating func received(_ event: KubeWatchEvent, now: Instant) {
        guard case .watching(let since, _, _) = state else { return }
        state = .watching(since: since, lastHeard: now, hasEvents: true)
        switch event {
        case .added(let object), .modified(let object):
            resourceVersion = object.resourceVersion
            events.append(.applied(object))
        case .deleted(let object):
            resourceVersion = object.resourceVersion
            events.append(.deleted(object))
        case .bookmark(let version):
            resourceVersion = version
        case .undecodable(let reason):
            hasMissed = true
            events.append(.skipped(reason))
            return
        case .error(let status):
            actions.append(.cancel)
            broken(.status(status, retryAfter: nil), now: now)
            return
        }
        failures = 0
    }

    /// The stream ended: nil as announced (its timeout), else by a failure, or was never granted.
    public mutating func watchEnded(_ error: KubeError?, now: Instant) {
        guard case .watching(let since, _, let hasEvents) = state else { return }
        if let error {
            broken(error, now: now)
        } else if !hasEvents, now - since < .seconds(1) {
            // Not the timeout we asked for: a server that ends every watch at once must not be hammered.
            broken(.malformed("the watch ended at once without an event"), now: now)
        } else if hasMissed {
            list()
        } else {
            watch(now)
        }
    }

    public mutating func expire(now: Instant) {
        guard let deadline, deadline <= now else { return }
        switch state {
        case .watching:
            actions.append(.cancel)
            events.append(.failed(.timedOut))
            if hasMissed { list() } else { watch(now) }
        case .waiting(_, let relists):
            if relists || hasMissed { list() } else { watch(now) }
        case .listing, .stopped: break
        }
    }

    /// Ends for good; a running request is cancelled.
    public mutating func stop() {
        switch state {
        case .listing, .watching: actions = [.cancel]
        case .waiting, .stopped: actions = []
        }
        state = .stopped
    }

    /// Begins anew, whatever is under way: for a consumer that wants to hear everything again.
    public mutating func relist() {
        switch state {
        case .stopped: return
        case .listing, .watching: actions = [.cancel]
        case .waiting: actions = []
        }
        list()
    }

    private mutating func list() {
        state = .listing([], isPaged: true)
        actions.append(.list(continueToken: nil, limit: limits.listPageObjectsMax))
    }

    private mutating func watch(_ now: Instant) {
        state = .watching(since: now, lastHeard: now, hasEvents: false)
        let spread = limits.watchTimeoutMin.seconds
        actions.append(.watch(resourceVersion: resourceVersion, timeoutSeconds: spread + random.within(0...max(0, spread - 1))))
    }

    private mutating func broken(_ error: KubeError, now: Instant) {
        events.append(.failed(error))
        // What cannot be read from here on will not be readable the second time.
        let isUnreadable = if case .malformed = error { true } else { false }
        wait(error, relists: error.isExpired || isUnreadable, now: now)
    }

    private mutating func wait(_ error: KubeError, relists: Bool, now: Instant) {
        if let lastFailure, now - lastFailure > limits.backoffReset { failures = 0 }
        lastFailure = now
        var delay = min(limits.backoffMax, limits.backoffMin * (1 << Int64(min(failures, 20))))
        delay = delay + .nanoseconds(random.within(0...delay.nanoseconds))
        // A version forgotten by the server is no sign of trouble; only its repetition is.
        if failures == 0, relists, error.isExpired { delay = .zero }
        if let asked = error.retryAfter { delay = max(delay, asked) }
        failures += 1
        state = .waiting(until: now + delay, relists: relists)
    }
}
