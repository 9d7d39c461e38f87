// Asks the identity service for a certificate: one call on a connection of its own, so that a broken connection never outlives
// the attempt that met it. Source: linkerd2-proxy linkerd/proxy/identity-client/src/certify.rs; facts 4.2.

import Base
import GRPC
import MeshAPI
import Platform
import Transport

/// Whoever can certify a key: the identity service, or a test's script.
protocol Certifier: AnyObject {
    /// Answers once, in a later turn.
    func certify(_ request: Mesh.Identity.CertifyRequest, _ answer: @escaping (Result<Mesh.Identity.CertifyResponse, GRPCStatus>) -> Void)
}

final class IdentityServiceCertifier: Certifier {
    private let batch: FlushBatch
    private let authority: String
    /// Made once: it remembers which of the service's addresses is next.
    private let connector: any Connector
    private let series: ControlSeries

    init(batch: FlushBatch, connector: any Connector, authority: String, series: ControlSeries) {
        self.batch = batch
        self.connector = connector
        self.authority = authority
        self.series = series
    }

    func certify(_ request: Mesh.Identity.CertifyRequest, _ answer: @escaping (Result<Mesh.Identity.CertifyResponse, GRPCStatus>) -> Void) {
        let channel = GRPCChannel(batch: batch, connector: connector, authority: authority)
        series.follow(channel)
        channel.unary(Mesh.Identity.certify, request, timeout: ProxyLimits.certifyTimeout) { result in
            channel.close()
            answer(result)
        }
    }
}
