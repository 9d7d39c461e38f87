// The flag that tells how proxies talk HTTP/2 to meshed endpoints: JSON in the spelling of the API's Go structs.
// Source: linkerd2 controller/cmd/destination/main.go, `--meshed-http2-client-params`.

import Base
import Documents
import Kube
import MeshAPI
import SwiftProtobuf

extension Mesh.Destination.Http2ClientParams {
    /// `{"keep_alive":{"interval":{"seconds":10},"timeout":{"seconds":3},"while_idle":true}}`, and `flow_control` with
    /// `initial_stream_window_size`, `initial_connection_window_size`, `adaptive_flow_control`.
    public init(flag text: String) throws(Refusal) {
        self.init()
        let document: Value
        do throws(DocumentError) { document = try Value(json: Array(text.utf8)) } catch { throw Refusal("the HTTP/2 client parameters are no JSON: \(error)") }
        guard case .object = document else { throw Refusal("the HTTP/2 client parameters are a JSON object") }
        if let found = document.member("keep_alive") {
            if let interval = Self.duration(found.member("interval")) { keepAlive.interval = interval }
            if let timeout = Self.duration(found.member("timeout")) { keepAlive.timeout = timeout }
            keepAlive.whileIdle = found.flag("while_idle") ?? false
        }
        if let found = document.member("flow_control") {
            flowControl.initialStreamWindowSize = found.number("initial_stream_window_size").flatMap { UInt32(exactly: $0) } ?? 0
            flowControl.initialConnectionWindowSize = found.number("initial_connection_window_size").flatMap { UInt32(exactly: $0) } ?? 0
            flowControl.adaptiveFlowControl = found.flag("adaptive_flow_control") ?? false
        }
    }

    private static func duration(_ value: Value?) -> Mesh.Duration? {
        guard let value else { return nil }
        let nanos = value.number("nanos").flatMap { Int32(exactly: $0) } ?? 0
        return Mesh.Duration(seconds: value.number("seconds") ?? 0, nanos: nanos)
    }
}
