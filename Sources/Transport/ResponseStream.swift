// The near end of one streaming call: a service puts messages in, the server takes them out as fast as the client reads.
// It is bounded, and knows nothing of HTTP, so that services can be judged without a network.

import Base
import GRPC

public final class ResponseStream<Message> {
    private var messages: [Message] = []
    private let capacity: Int
    /// How the call ends, once the messages before it are taken. nil: it goes on.
    public private(set) var status: GRPCStatus?
    /// Tells the transport that there is something to take. Called inside `send` and `finish`.
    public var wake: (() -> Void)?
    /// Tells the service that nobody listens any more. Called once, unless the service finished first.
    public var onCancel: (() -> Void)?
    /// Sent with the answer's head, if set before the first message, and with the status. Names in lower case; those that end in `-bin` carry base64.
    public var initialMetadata: [(name: String, value: String)] = []
    public var trailingMetadata: [(name: String, value: String)] = []
    /// The queue was full and the stream ended by itself.
    public private(set) var overflowed = false

    /// `capacity`: messages that may wait.
    public init(capacity: Int = TransportLimits().responseQueueMessagesMax) { self.capacity = capacity }

    public var isOpen: Bool { status == nil }

    /// Another message would be kept. For services that would rather leave one out than end the stream.
    public var hasRoom: Bool { status == nil && messages.count < capacity }

    /// Queues a message. When the queue is full the stream ends with OK at once, without what was queued: the client reads a
    /// fresh snapshot when it comes back.
    public func send(_ message: Message) {
        guard status == nil else { return }
        if messages.count >= capacity {
            overflowed = true
            messages.removeAll()
            end(.ok)
        } else {
            messages.append(message)
        }
        wake?()
    }

    public func finish(_ status: GRPCStatus) {
        guard self.status == nil else { return }
        self.status = status
        onCancel = nil
        wake?()
    }

    /// The server ends the call: the service is told, what waits is still sent.
    public func close(_ status: GRPCStatus) {
        guard self.status == nil else { return }
        end(status)
        wake?()
    }

    /// The oldest message that waits.
    public func next() -> Message? { messages.isEmpty ? nil : messages.removeFirst() }

    /// No message waits and the call is over: send `status`.
    public var isDone: Bool { messages.isEmpty && status != nil }

    /// The client went away.
    public func cancel() {
        messages.removeAll()
        wake = nil
        if status == nil { end(GRPCStatus(.cancelled, "the client went away")) }
    }

    private func end(_ status: GRPCStatus) {
        self.status = status
        let tell = onCancel
        onCancel = nil
        tell?()
    }
}
