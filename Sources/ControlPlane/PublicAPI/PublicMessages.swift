// What the controller's API says, as values, as protobuf and as JSON. The protobuf is that of Linkerd's public API and its self-check,
// written by hand: five small messages. Source: linkerd2 2.10 proto/public.proto, proto/common/healthcheck.proto.

import Base
import Documents
import Kube
import OrderedCollections

/// Something that can be said in both forms.
public protocol PublicMessage: Sendable {
    var protobuf: [UInt8] { get }
    var json: Value { get }
}

public struct VersionInfo: PublicMessage, Equatable {
    public var releaseVersion: String
    public var buildDate = ""
    /// Upstream says which Go; here which Swift. Kept for clients that print it.
    public var languageVersion = "swift"

    public init(releaseVersion: String) { self.releaseVersion = releaseVersion }

    public var protobuf: [UInt8] {
        var writer = ProtobufWriter()
        writer.text(1, languageVersion)
        writer.text(2, buildDate)
        writer.text(3, releaseVersion)
        return writer.bytes
    }

    public var json: Value { .members(["goVersion": .string(languageVersion), "buildDate": .string(buildDate), "releaseVersion": .string(releaseVersion)]) }
}

/// One thing that was looked at.
public struct CheckResult: Sendable, Equatable {
    public enum Status: Int, Sendable { case ok = 0, fail = 1, error = 2 }

    public var subsystem: String
    public var description: String
    public var status: Status
    /// Empty when all is well.
    public var message: String

    public init(subsystem: String, description: String, status: Status, message: String = "") {
        self.subsystem = subsystem
        self.description = description
        self.status = status
        self.message = message
    }
}

public struct SelfCheckResponse: PublicMessage, Equatable {
    public var results: [CheckResult]

    public var protobuf: [UInt8] {
        var writer = ProtobufWriter()
        for result in results {
            var inner = ProtobufWriter()
            inner.text(1, result.subsystem)
            inner.text(2, result.description)
            inner.number(3, UInt64(result.status.rawValue))
            inner.text(4, result.message)
            writer.message(1, inner)
        }
        return writer.bytes
    }

    public var json: Value {
        .members([
            "results": .array(
                results.map { result in
                    .members([
                        "subsystemName": .string(result.subsystem), "checkDescription": .string(result.description), "status": .string("\(result.status)".uppercased()),
                        "friendlyMessageToUser": result.message.isEmpty ? nil : .string(result.message),
                    ])
                })
        ])
    }
}

/// One container of the control plane, in one pod.
public struct ComponentStatus: Sendable, Equatable {
    public var component: String
    public var pod: String
    public var address: String
    public var version: String
    public var isAlive: Bool
    public var isReady: Bool
    /// Why not; empty when it is ready.
    public var message: String
}

public struct ComponentsResponse: PublicMessage, Equatable {
    public var components: [ComponentStatus]

    public var protobuf: [UInt8] {
        var writer = ProtobufWriter()
        for component in components {
            var inner = ProtobufWriter()
            inner.text(1, component.component)
            inner.text(2, component.pod)
            inner.text(3, component.address)
            inner.text(4, component.version)
            inner.number(5, component.isAlive ? 1 : 0)
            inner.number(6, component.isReady ? 1 : 0)
            inner.text(7, component.message)
            writer.message(1, inner)
        }
        return writer.bytes
    }

    public var json: Value {
        .members([
            "components": .array(
                components.map { component in
                    .members([
                        "component": .string(component.component), "pod": .string(component.pod), "address": .string(component.address), "version": .string(component.version),
                        "alive": .bool(component.isAlive), "ready": .bool(component.isReady), "message": component.message.isEmpty ? nil : .string(component.message),
                    ])
                })
        ])
    }
}

/// Why a call was not answered: each case has its HTTP status and its gRPC code, and clients act on the case.
public struct PublicError: Error, PublicMessage, Equatable {
    public enum Reason: String, Sendable, CaseIterable {
        case malformed, unauthenticated, forbidden, notFound, tooMany, unavailable, internalError
    }

    public var reason: Reason
    public var message: String

    public init(_ reason: Reason, _ message: String) {
        self.reason = reason
        self.message = message
    }

    public var httpStatus: UInt16 {
        switch reason {
        case .malformed: 400
        case .unauthenticated: 401
        case .forbidden: 403
        case .notFound: 404
        case .tooMany: 429
        case .unavailable: 503
        case .internalError: 500
        }
    }

    /// linkerd2's ApiError has the message alone; the reason is ours.
    public var protobuf: [UInt8] {
        var writer = ProtobufWriter()
        writer.text(1, message)
        writer.text(2, reason.rawValue)
        return writer.bytes
    }

    public var json: Value { .members(["reason": .string(reason.rawValue), "error": .string(message)]) }
}

/// The few forms of a protobuf field that are needed.
struct ProtobufWriter {
    private(set) var bytes: [UInt8] = []

    mutating func text(_ field: UInt64, _ text: String) { if !text.isEmpty { blob(field, Array(text.utf8)) } }
    mutating func message(_ field: UInt64, _ message: ProtobufWriter) { blob(field, message.bytes) }

    mutating func number(_ field: UInt64, _ number: UInt64) {
        guard number != 0 else { return }
        varint(field << 3)
        varint(number)
    }

    private mutating func blob(_ field: UInt64, _ content: [UInt8]) {
        varint(field << 3 | 2)
        varint(UInt64(content.count))
        bytes += content
    }

    private mutating func varint(_ number: UInt64) {
        var rest = number
        while rest >= 0x80 {
            bytes.append(UInt8(truncatingIfNeeded: rest) | 0x80)
            rest >>= 7
        }
        bytes.append(UInt8(rest))
    }
}
