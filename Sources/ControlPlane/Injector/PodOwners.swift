// Whose pod it is: the Deployment behind a ReplicaSet, the CronJob behind a Job, or the owner itself. A pod is often created before
// the watch has told of its ReplicaSet; that one is then asked for directly. Source: linkerd2 controller/k8s/metadata_api.go.

import Base
import Documents
import Kube
import OrderedCollections
import Platform

final class PodOwners {
    struct Owner {
        /// As written: `Deployment`.
        var kind: String
        var key: KubeKey
        var uid: String
        /// nil for kinds that we do not know.
        var resource: KubeResource?

        fileprivate init(_ reference: KubeOwner, in namespace: String) {
            kind = reference.kind
            key = KubeKey(namespace, reference.name)
            uid = reference.uid
            resource = PodOwners.kinds.first { $0.kind == reference.kind && $0.group == reference.apiVersion.split(separator: "/").dropLast().first.map(String.init) ?? "" }
        }
    }

    fileprivate static let kinds: [KubeResource] = [
        .deployments, .replicaSets, .statefulSets, .daemonSets, .jobs, .cronJobs, KubeResource(group: "", version: "v1", plural: "replicationcontrollers", kind: "ReplicationController"),
    ]

    /// The kinds that have owners themselves.
    let informers: [Informer]
    private let client: KubeClient
    private let limits: ControlPlaneLimits
    private var lookUps = 0

    init(client: KubeClient, limits: ControlPlaneLimits) {
        self.client = client
        self.limits = limits
        informers = [KubeResource.replicaSets, .jobs].map { resource in
            var shape = Informer.Shape(metadataOnly: true)
            shape.trimName = "owners"
            shape.trim = { object in
                object.annotations = [:]
                object.labels = [:]
            }
            return Informer(client: client, resource, shape: shape)
        }
    }

    func stop() { for informer in informers { informer.stop() } }

    /// Answers at once when it is known. nil: the pod is nobody's, or more than one's.
    func find(ofPod pod: KubeObject, in namespace: String, _ answer: @escaping (Owner?) -> Void) {
        let references = pod.ownerReferences
        guard references.count == 1 else { return answer(nil) }
        let owner = Owner(references[0], in: namespace)
        guard let resource = owner.resource, let informer = informers.first(where: { $0.resource == resource }) else { return answer(owner) }
        if let object = informer[owner.key], object.uid == owner.uid || owner.uid.isEmpty { return answer(Self.above(owner, object)) }
        guard lookUps < limits.ownersLookedUpMax else { return answer(owner) }
        lookUps += 1
        var isAnswered = false
        var timer: TimerID?
        let finish = { [self] (found: Owner) in
            if isAnswered { return }
            isAnswered = true
            lookUps -= 1
            if let timer { client.host.cancel(timer) }
            answer(found)
        }
        let call = client.get(resource, owner.key) { result in
            switch result {
            case .success(let object): finish(Self.above(owner, object))
            case .failure: finish(owner)
            }
        }
        // The pod's creation waits for us: a name for a label is not worth more of its time.
        timer = client.host.after(limits.ownerLookUpTimeout) {
            call.cancel()
            finish(owner)
        }
    }

    /// The owner's owner; the owner itself when it has none, several, or one of a foreign group.
    private static func above(_ owner: Owner, _ object: KubeObject) -> Owner {
        let references = object.ownerReferences
        guard references.count == 1 else { return owner }
        let parent = Owner(references[0], in: owner.key.namespace)
        return parent.resource == nil ? owner : parent
    }
}
