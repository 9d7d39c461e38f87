// The policy services as a process: informers fill the index, the gRPC port opens once they have, and a webhook judges what is to
// be written. Source: linkerd2 policy-controller runtime/src.

import Base
import GRPC
import Kube
import MeshAPI
import Platform
import Transport

public final class PolicyController {
    public let controller: Controller
    public let feed: ClusterFeed
    public let inbound: InboundPolicyService
    public let outbound: OutboundPolicyService
    private let statuses: PolicyStatuses

    /// Source: linkerd2's chart, `[::]:8090` and `[::]:9990`.
    public static let defaults = ControllerOptions(address: SocketAddress(.any, 8090), adminAddress: SocketAddress(.any, 9990))

    /// Starts; the caller keeps it while it is to run. It ends itself when the host shuts down.
    /// `webhook` nil: nothing is judged.
    public static func run(host: any Host, options: ControllerOptions = defaults, policy: PolicyOptions, webhook: WebhookOptions? = nil) throws(Refusal) -> PolicyController {
        try PolicyController(host: host, options: options, policy: policy, webhook: webhook)
    }

    private init(host: any Host, options: ControllerOptions, policy: PolicyOptions, webhook: WebhookOptions?) throws(Refusal) {
        controller = try Controller(name: "policy", host: host, options: options)
        let index = ClusterIndex(clusterDomain: policy.clusterDomain)
        feed = ClusterFeed(client: controller.client, index: index, kinds: ClusterFeed.Kind.policy, policy: policy)
        inbound = InboundPolicyService(index: index, options: policy)
        outbound = OutboundPolicyService(index: index, options: policy)
        let server = controller.server
        let capacity = policy.limits.streamQueueMessagesMax
        server.register(Mesh.Inbound.getPort, unary: { [inbound] request, _, answer in answer(Self.result { () throws(GRPCStatus) in try inbound.getPort(request) }) })
        server.register(Mesh.Inbound.watchPort, capacity: capacity) { [inbound] request, _, stream in inbound.watchPort(request, stream) }
        server.register(Mesh.Outbound.get, unary: { [outbound] request, _, answer in answer(Self.result { () throws(GRPCStatus) in try outbound.get(request) }) })
        server.register(Mesh.Outbound.watch, capacity: capacity) { [outbound] request, _, stream in outbound.watch(request, stream) }
        controller.expose(feed)
        statuses = PolicyStatuses(client: controller.client, feed: feed, options: policy, metrics: controller.metrics)
        controller.onStop { [statuses] done in statuses.stop(done) }
        // Linkerd runs the policy service in the destination's pod, under its service account.
        let credentials = try controller.credentials(component: "destination", namespace: policy.controlPlaneNamespace, trustDomain: policy.identityDomain)
        let isListed = controller.awaitPart()
        feed.onSynced { [controller, statuses] in
            controller.serve(credentials: credentials)
            statuses.start()
            isListed()
        }
        feed.start()
        if let webhook { controller.serve(webhook: PolicyAdmission(host: host), webhook) }
    }

    private static func result<Response>(_ body: () throws(GRPCStatus) -> Response) -> Result<Response, GRPCStatus> {
        do throws(GRPCStatus) { return .success(try body()) } catch { return .failure(error) }
    }
}
