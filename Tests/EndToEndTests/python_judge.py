"""What a program written against PyPI's `kubernetes` does to `weft cluster api`: run by ClusterJudgeTests, fails on the first surprise.

Usage: python_judge.py KUBECONFIG
"""

import sys
import threading
import time

from kubernetes import client, config, watch
from kubernetes.client.rest import ApiException


def refused(status, reason, call, *arguments, **options):
    """The call is refused with this status and reason."""
    try:
        call(*arguments, **options)
    except ApiException as error:
        assert error.status == status and reason in error.body, (status, reason, error.status, error.body)
        return
    raise AssertionError(f"not refused with {status}")


def eventually(what, condition, seconds=30):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, f"still not: {what}"
        time.sleep(0.05)


def main(path):
    config.load_kube_config(path)
    core, apps, batch, policy = client.CoreV1Api(), client.AppsV1Api(), client.BatchV1Api(), client.PolicyV1Api()
    assert client.VersionApi().get_code().major == "1"
    assert any(group.name == "policy" for group in client.ApisApi().get_api_versions().groups)

    core.create_namespace(client.V1Namespace(metadata=client.V1ObjectMeta(name="judge")))
    core.create_namespaced_service_account("judge", client.V1ServiceAccount(metadata=client.V1ObjectMeta(name="robot")))

    # A watch sees what happens, in order.
    seen, ready = [], threading.Event()

    def follow():
        stream = watch.Watch()
        for event in stream.stream(core.list_namespaced_config_map, "judge", timeout_seconds=30):
            seen.append((event["type"], event["object"].metadata.name))
            ready.set()
            if seen[-1] == ("DELETED", "c-0"):
                return

    thread = threading.Thread(target=follow)
    thread.start()
    for i in range(25):
        core.create_namespaced_config_map("judge", client.V1ConfigMap(metadata=client.V1ObjectMeta(name=f"c-{i}", labels={"even": str(i % 2 == 0)}), data={"n": str(i)}))
    core.patch_namespaced_config_map("c-0", "judge", {"data": {"n": "changed"}})
    core.delete_namespaced_config_map("c-0", "judge")
    thread.join(30)
    mine = [kind for kind, name in seen if name == "c-0"]
    assert mine == ["ADDED", "MODIFIED", "DELETED"], seen

    # Pages and selectors.
    names, token = [], None
    while True:
        page = core.list_namespaced_config_map("judge", limit=7, _continue=token, label_selector="even=False")
        names += [item.metadata.name for item in page.items]
        token = page.metadata._continue
        if not token:
            break
    assert len(names) == 12 and len(set(names)) == 12, names
    assert [item.metadata.name for item in core.list_namespaced_config_map("judge", field_selector="metadata.name=c-3").items] == ["c-3"]

    # Conflicts, unknown fields, dry runs, missing things.
    old = core.read_namespaced_config_map("c-1", "judge")
    core.patch_namespaced_config_map("c-1", "judge", {"data": {"n": "x"}})
    refused(409, "Conflict", core.replace_namespaced_config_map, "c-1", "judge", old)
    refused(404, "NotFound", core.read_namespaced_config_map, "nothing", "judge")
    refused(409, "AlreadyExists", core.create_namespaced_config_map, "judge", client.V1ConfigMap(metadata=client.V1ObjectMeta(name="c-1")))
    core.create_namespaced_config_map("judge", client.V1ConfigMap(metadata=client.V1ObjectMeta(name="dry")), dry_run="All")
    refused(404, "NotFound", core.read_namespaced_config_map, "dry", "judge")
    refused(400, "strict decoding error", core.create_namespaced_config_map, "judge", {"metadata": {"name": "odd"}, "dat": {}}, field_validation="Strict")
    refused(422, "Invalid", core.create_namespaced_config_map, "judge", {"metadata": {"name": "Not A Name"}})

    # A deployment, its pods, its scale, its end.
    labels = {"app": "web"}
    template = client.V1PodTemplateSpec(metadata=client.V1ObjectMeta(labels=labels), spec=client.V1PodSpec(containers=[client.V1Container(name="web", image="web:1", ports=[client.V1ContainerPort(container_port=80)])]))
    apps.create_namespaced_deployment("judge", client.V1Deployment(metadata=client.V1ObjectMeta(name="web"), spec=client.V1DeploymentSpec(replicas=3, selector=client.V1LabelSelector(match_labels=labels), template=template)))
    core.create_namespaced_service("judge", client.V1Service(metadata=client.V1ObjectMeta(name="web"), spec=client.V1ServiceSpec(selector=labels, ports=[client.V1ServicePort(port=80)])))
    eventually("three ready pods", lambda: apps.read_namespaced_deployment("web", "judge").status.ready_replicas == 3)
    slices = client.DiscoveryV1Api()
    eventually("three endpoints", lambda: sum(len(s.endpoints or []) for s in slices.list_namespaced_endpoint_slice("judge", label_selector="kubernetes.io/service-name=web").items) == 3)
    apps.patch_namespaced_deployment_scale("web", "judge", {"spec": {"replicas": 2}})
    eventually("two pods", lambda: len(core.list_namespaced_pod("judge", label_selector="app=web").items) == 2)

    # A budget that leaves nothing to evict.
    policy.create_namespaced_pod_disruption_budget("judge", client.V1PodDisruptionBudget(metadata=client.V1ObjectMeta(name="web"), spec=client.V1PodDisruptionBudgetSpec(min_available=2, selector=client.V1LabelSelector(match_labels=labels))))
    eventually("the budget to be counted", lambda: (policy.read_namespaced_pod_disruption_budget("web", "judge").status or client.V1PodDisruptionBudgetStatus(current_healthy=0, desired_healthy=0, disruptions_allowed=0, expected_pods=0)).expected_pods == 2)
    pod = core.list_namespaced_pod("judge", label_selector="app=web").items[0].metadata.name
    refused(429, "disruption budget", core.create_namespaced_pod_eviction, pod, "judge", client.V1Eviction(metadata=client.V1ObjectMeta(name=pod)))
    refused(501, "has no agent", core.read_namespaced_pod_log, pod, "judge")

    # A job ends, and goes with its pods.
    job = client.V1PodTemplateSpec(spec=client.V1PodSpec(restart_policy="Never", containers=[client.V1Container(name="once", image="once")]))
    batch.create_namespaced_job("judge", client.V1Job(metadata=client.V1ObjectMeta(name="once"), spec=client.V1JobSpec(template=job)))
    eventually("the job to complete", lambda: batch.read_namespaced_job("once", "judge").status.succeeded == 1)
    batch.delete_namespaced_job("once", "judge", propagation_policy="Background")
    eventually("no pods of the job", lambda: not core.list_namespaced_pod("judge", label_selector="job-name=once").items)

    # Tokens and roles: nothing is allowed until it is bound.
    request = client.AuthenticationV1TokenRequest(spec=client.V1TokenRequestSpec(audiences=None or [], expiration_seconds=3600))
    token = core.create_namespaced_service_account_token("robot", "judge", request).status.token
    settings = client.Configuration.get_default_copy()
    settings.refresh_api_key_hook = None
    settings.api_key, settings.api_key_prefix = {"authorization": token}, {"authorization": "Bearer"}
    robot = client.CoreV1Api(client.ApiClient(settings))
    refused(403, "cannot list resource", robot.list_namespaced_pod, "judge")
    rbac = client.RbacAuthorizationV1Api()
    rbac.create_namespaced_role("judge", client.V1Role(metadata=client.V1ObjectMeta(name="reader"), rules=[client.V1PolicyRule(api_groups=[""], resources=["pods"], verbs=["list"])]))
    rbac.create_namespaced_role_binding("judge", {"metadata": {"name": "reader"}, "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "reader"}, "subjects": [{"kind": "ServiceAccount", "name": "robot", "namespace": "judge"}]})
    assert len(robot.list_namespaced_pod("judge").items) == 2
    refused(403, "cannot list resource", robot.list_namespaced_secret, "judge")
    review = client.AuthorizationV1Api(client.ApiClient(settings)).create_self_subject_rules_review({"spec": {"namespace": "judge"}})
    assert any("pods" in rule.resources and "list" in rule.verbs for rule in review.status.resource_rules), review

    # A custom kind.
    crd = {
        "metadata": {"name": "widgets.example.io"},
        "spec": {
            "group": "example.io", "scope": "Namespaced", "names": {"plural": "widgets", "singular": "widget", "kind": "Widget"},
            "versions": [{"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": {"type": "object", "properties": {"spec": {"type": "object", "properties": {"size": {"type": "integer", "minimum": 1, "default": 3}}}}}}}],
        },
    }
    client.ApiextensionsV1Api().create_custom_resource_definition(crd)
    custom = client.CustomObjectsApi()
    eventually("the kind to be served", lambda: served(custom))
    made = custom.create_namespaced_custom_object("example.io", "v1", "judge", "widgets", {"apiVersion": "example.io/v1", "kind": "Widget", "metadata": {"name": "a"}, "spec": {}})
    assert made["spec"]["size"] == 3
    refused(422, "should be greater than or equal to 1", custom.patch_namespaced_custom_object, "example.io", "v1", "judge", "widgets", "a", {"spec": {"size": 0}})

    # Events under both their names.
    client.EventsV1Api().create_namespaced_event("judge", {"metadata": {"name": "told"}, "eventTime": "2026-01-02T03:04:05.000000Z", "reason": "Told", "note": "a note", "action": "Tell", "type": "Normal", "reportingController": "judge", "reportingInstance": "judge-1", "regarding": {"kind": "Pod", "name": pod, "namespace": "judge"}})
    assert core.read_namespaced_event("told", "judge").message == "a note"

    # Leases, and the end of it all.
    client.CoordinationV1Api().create_namespaced_lease("judge", client.V1Lease(metadata=client.V1ObjectMeta(name="lead"), spec=client.V1LeaseSpec(holder_identity="me", lease_duration_seconds=15)))
    core.delete_namespace("judge")
    eventually("the namespace to be gone", lambda: "judge" not in [n.metadata.name for n in core.list_namespace().items])
    print("judged")


def served(custom):
    try:
        custom.list_namespaced_custom_object("example.io", "v1", "judge", "widgets")
        return True
    except ApiException as error:
        assert error.status == 404, error
        return False


main(sys.argv[1])
