// One leader among the replicas of a component, by a Lease that the leader renews. Two are never leaders at once as long as
// clocks run equally fast, whatever time they show: a leader counts its term from the moment it asked for the renewal, a
// candidate from the moment it saw the lease change, which is later; and the term of the former is shorter.
// Source: k8s.io/client-go tools/leaderelection, whose record and timings these are.

import Base
import Documents
import Platform

public struct LeaderElectionOptions: Sendable {
    public var namespace: String
    /// Of the Lease.
    public var name: String
    /// Of this replica; unique among them, mostly the pod's name.
    public var identity: String
    /// How long a candidate waits after the lease last changed. Unit: whole seconds in the record.
    public var leaseDuration = Interval.seconds(30)
    /// How long a leader goes on without a renewal. Shorter than the lease, so that it stops before another starts.
    public var renewDeadline = Interval.seconds(10)
    /// Between attempts, of leaders and candidates.
    public var retryPeriod = Interval.seconds(2)
    /// Gives the lease up at the end, so that the next takes over at once.
    public var releasesAtEnd = true

    /// Source of the times: linkerd2 controller/api/destination/external-workload/endpoints_controller.go.
    public init(namespace: String, name: String, identity: String) {
        self.namespace = namespace
        self.name = name
        self.identity = identity
    }
}

public final class LeaderElector {
    /// Whoever writes as the leader asks this first: a process that was held up knows here that its term is over, before it is told.
    public var isLeader: Bool { leads && host.now < termEnd }
    private var leads = false
    /// Who held the lease when it was last seen; empty: nobody.
    public private(set) var holder = ""
    private let client: KubeClient
    private let options: LeaderElectionOptions
    private let onStarted: () -> Void
    private let onStopped: () -> Void
    private var random: Random
    /// The lease as last seen, and when it changed, by our monotonic clock.
    private var seen: (lease: KubeObject, at: Instant)?
    /// Until when we lead without another renewal.
    private var termEnd = Instant.zero
    private var retryTimer: TimerID?
    private var termTimer: TimerID?
    private var call: KubeCall?
    private var isRunning = false
    private var attemptTimer: TimerID?
    /// A write was given up whose outcome is unknown: look before the next one.
    private var mustLook = true
    private var host: any Host { client.host }

    /// `onStarted` and `onStopped` come in turns, beginning with the former, inside turns of the loop. Whoever leads must have
    /// stopped by the return of `onStopped`.
    public init(client: KubeClient, options: LeaderElectionOptions, onStarted: @escaping () -> Void, onStopped: @escaping () -> Void) {
        invariant(options.retryPeriod < options.renewDeadline && options.renewDeadline < options.leaseDuration, "a leader gives up before its lease can be taken")
        self.client = client
        self.options = options
        self.onStarted = onStarted
        self.onStopped = onStopped
        random = client.host.random("leader/\(options.namespace)/\(options.name)/\(options.identity)")
    }

    public func start() {
        guard !isRunning else { return }
        isRunning = true
        attempt()
    }

    /// Stops leading, gives the lease up if it is ours and that is wished, and stands for no other term. `done` comes when the lease
    /// is given up, or cannot be.
    public func stop(_ done: @escaping () -> Void = {}) {
        guard isRunning else { return done() }
        isRunning = false
        cancelTimers()
        call?.cancel()
        call = nil
        let mine = seen
        let wasLeader = leads
        step(down: "it ends")
        guard wasLeader, options.releasesAtEnd, var lease = mine?.lease else { return done() }
        lease.value.put(.string(""), at: "spec", "holderIdentity")
        lease.value.put(.int(1), at: "spec", "leaseDurationSeconds")
        client.update(.leases, lease) { _ in done() }
    }

    // MARK: Attempts

    private func attempt() {
        guard isRunning else { return }
        let began = host.now
        // An answer that takes longer is of no use to a leader, and to a candidate a sign to knock elsewhere.
        attemptTimer = host.after(options.renewDeadline / 2) { [self] in
            attemptTimer = nil
            call?.cancel()
            call = nil
            mustLook = true
            failed(.timedOut)
        }
        if isLeader, !mustLook, let lease = seen?.lease { return write(renewed(lease), began, isNew: false) }
        call = client.get(.leases, KubeKey(options.namespace, options.name)) { [self] result in
            guard isRunning else { return }
            switch result {
            case .success(let lease):
                mustLook = false
                consider(lease, began)
            case .failure(let error) where error.isNotFound: write(fresh(), began, isNew: true)
            case .failure(let error): failed(error)
            }
        }
    }

    private func consider(_ lease: KubeObject, _ began: Instant) {
        observe(lease)
        guard let seen else { return }
        let isFree = holder.isEmpty || holder == options.identity || host.now - seen.at >= options.leaseDuration
        if isFree { return write(holder == options.identity ? renewed(lease) : taken(lease), began, isNew: false) }
        if isLeader { step(down: "\(holder) holds the lease") }
        again()
    }

    private func observe(_ lease: KubeObject) {
        // Any change counts, even of a holder whose clock stands still: only that it changed is known here, never when.
        if seen?.lease.resourceVersion != lease.resourceVersion || seen?.lease.uid != lease.uid { seen = (lease, host.now) }
        let now = lease.value.text("spec", "holderIdentity") ?? ""
        if now != holder {
            holder = now
            host.log(.debug, "kube::leader", "the leader of \(options.name) is \(now.isEmpty ? "nobody" : now)")
        }
    }

    private func write(_ lease: KubeObject, _ began: Instant, isNew: Bool) {
        let answer = { [self] (result: Result<KubeObject, KubeError>) in
            guard isRunning else { return }
            switch result {
            case .success(let lease):
                observe(lease)
                mustLook = false
                lead(since: began)
                again()
            case .failure(let error):
                // Somebody else was faster, or the lease is not what we believe: look before the next attempt.
                mustLook = true
                if isLeader, error.isConflict || error.isNotFound { step(down: "the lease is not ours any more: \(error)") }
                failed(error)
            }
        }
        call = isNew ? client.create(.leases, lease, answer) : client.update(.leases, lease, answer)
    }

    private func failed(_ error: KubeError) {
        host.log(isLeader ? .warn : .debug, "kube::leader", "\(options.name): \(error)")
        again()
    }

    /// The next attempt. A candidate waits a little longer by chance, so that candidates do not write at once.
    private func again() {
        if let attemptTimer { host.cancel(attemptTimer) }
        attemptTimer = nil
        call = nil
        guard isRunning, retryTimer == nil else { return }
        let spread = isLeader ? 0 : random.within(0...(options.retryPeriod.nanoseconds / 5))
        retryTimer = host.after(options.retryPeriod + .nanoseconds(spread)) { [self] in
            retryTimer = nil
            attempt()
        }
    }

    // MARK: Terms

    private func lead(since began: Instant) {
        termEnd = began + options.renewDeadline
        guard termEnd > host.now else { return step(down: "the renewal took too long") }
        armTerm()
        guard !leads else { return }
        leads = true
        host.log(.info, "kube::leader", "\(options.identity) leads \(options.name)")
        onStarted()
    }

    private func armTerm() {
        if let termTimer { host.cancel(termTimer) }
        termTimer = host.after(termEnd - host.now) { [self] in
            termTimer = nil
            step(down: "no renewal for \(options.renewDeadline)")
        }
    }

    private func step(down reason: String) {
        if let termTimer { host.cancel(termTimer) }
        termTimer = nil
        guard leads else { return }
        leads = false
        host.log(.info, "kube::leader", "\(options.identity) no longer leads \(options.name): \(reason)")
        onStopped()
    }

    private func cancelTimers() {
        if let retryTimer { host.cancel(retryTimer) }
        retryTimer = nil
        if let attemptTimer { host.cancel(attemptTimer) }
        attemptTimer = nil
        if let termTimer { host.cancel(termTimer) }
        termTimer = nil
    }

    // MARK: The record

    private func fresh() -> KubeObject {
        var lease = KubeObject(.leases, namespace: options.namespace, name: options.name)
        hold(&lease, since: host.wall, transitions: 0)
        return lease
    }

    private func renewed(_ lease: KubeObject) -> KubeObject {
        var lease = lease
        lease.value.put(.string(host.wall.preciseDescription), at: "spec", "renewTime")
        lease.value.put(.string(options.identity), at: "spec", "holderIdentity")
        lease.value.put(.int(options.leaseDuration.seconds), at: "spec", "leaseDurationSeconds")
        return lease
    }

    private func taken(_ lease: KubeObject) -> KubeObject {
        var lease = lease
        hold(&lease, since: host.wall, transitions: (lease.value.number("spec", "leaseTransitions") ?? 0) + 1)
        return lease
    }

    private func hold(_ lease: inout KubeObject, since time: WallTime, transitions: Int64) {
        lease.value.put(.string(options.identity), at: "spec", "holderIdentity")
        lease.value.put(.int(options.leaseDuration.seconds), at: "spec", "leaseDurationSeconds")
        lease.value.put(.string(time.preciseDescription), at: "spec", "acquireTime")
        lease.value.put(.string(time.preciseDescription), at: "spec", "renewTime")
        lease.value.put(.int(transitions), at: "spec", "leaseTransitions")
    }
}
