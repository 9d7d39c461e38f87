// The one door between threads: a bounded queue of actions and an eventfd that wakes the loop. The lock is held for an append
// or a swap only. Loops that share nothing else stay free of locks.

import Base
import CLinux
import Platform
import Synchronization

/// Hands actions to a loop from any thread.
public final class LinuxMailbox: Sendable {
    private struct State: ~Copyable {
        var actions: [@Sendable () -> Void] = []
        var isClosed = false
    }

    private let state = Mutex(State())
    private let actionsMax: Int
    let fd: Int32

    init(actionsMax: Int) throws(HostFailure) {
        self.actionsMax = actionsMax
        fd = try checked("eventfd", clinux_eventfd())
    }

    deinit { _ = clinux_close(fd) }

    /// Runs `action` on the loop's thread in a later turn. Refused when the box is full or the loop has ended.
    public func post(_ action: @escaping @Sendable () -> Void) throws(Refusal) {
        let refusal = state.withLock { (state: inout State) -> Refusal? in
            if state.isClosed { return Refusal("the loop has ended") }
            if state.actions.count >= actionsMax { return Refusal("the loop's mailbox is full (\(actionsMax) actions)") }
            state.actions.append(action)
            if state.actions.count == 1 { _ = clinux_eventfd_raise(fd) }
            return nil
        }
        if let refusal { throw refusal }
    }

    func take() -> [@Sendable () -> Void] {
        state.withLock { (state: inout State) -> [@Sendable () -> Void] in
            _ = clinux_eventfd_lower(fd)
            let actions = state.actions
            state.actions = []
            return actions
        }
    }

    func close() {
        state.withLock { (state: inout State) in
            state.isClosed = true
            state.actions = []
        }
    }
}

final class MailboxSource: LoopSource {
    private let mailbox: LinuxMailbox

    init(_ mailbox: LinuxMailbox, host: LinuxHost) { self.mailbox = mailbox }

    func ready(_ mask: UInt32) {
        for action in mailbox.take() { action() }
    }

    func abandon() {}
}
