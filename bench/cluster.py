"""The control plane: an API server with the objects of bench/cluster.yaml and a few that are made here, and the three controllers
that ship, with TLS, in a pod of their own."""

import json
import re
import time

from place import LOAD_CPU, ROOT, Failure

TRUST = "serviceaccount.identity.linkerd.cluster.local"


def identity(account, namespace="bench"):
    return f"{account}.{namespace}.{TRUST}"


class ControlPlane:
    def __init__(self, pod, programs, extra=""):
        self.pod = pod
        place = pod.place
        self.directory = place.directory / "cluster"
        self.directory.mkdir()
        self.keys = place.outputs / "identity"
        self.keys.mkdir()
        self.keys.chmod(0o777)
        own = self.directory / "made.yaml"
        own.write_text(extra)
        manifests = sorted((ROOT / "manifests/crds").glob("*.yaml")) + [ROOT / "bench/cluster.yaml", own]
        cluster = pod.start("cluster", programs / "weft-bench", "cluster", self.directory, *manifests, cpu=LOAD_CPU)
        end = time.monotonic() + 30
        while not (self.directory / "ready").exists():
            if cluster.poll() is not None or time.monotonic() > end:
                raise Failure(f"the API server did not come up: {place.said(cluster)}")
            time.sleep(0.02)
        anchors = self.directory / "ca.crt"
        shared = ["--kubeconfig", self.directory / "kubeconfig", "--log-level", "warn", "--tls", "--trust-anchors", anchors]
        asking = ["--identity-addr", f"{pod.address}:8080", "--identity-token-file", self.directory / "linkerd.linkerd-destination/token"]
        parts = {
            "identity": ["--addr", f"{pod.address}:8080", "--admin-addr", "127.0.0.1:9990", "--issuer-directory", self.directory / "issuer"],
            "destination": ["--addr", f"{pod.address}:8086", "--metrics-addr", "127.0.0.1:9996", *asking],
            "policy": ["--grpc-addr", f"{pod.address}:8090", "--admin-addr", "127.0.0.1:9991", *asking],
        }
        for (name, flags), port in zip(parts.items(), (9990, 9996, 9991)):
            process = pod.start(name, programs / "weft-controller", name, *flags, *shared, cpu=LOAD_CPU)
            pod.await_answer(process, f"http://127.0.0.1:{port}/ready")

    def environment(self, account):
        """What the injector would tell a proxy about us."""
        prefix = "LINKERD2_PROXY_"
        keys = self.keys / account
        if not keys.exists():
            keys.mkdir()
            keys.chmod(0o777)
        pod = json.dumps({"ns": "bench", "pod": account})
        return {
            prefix + "IDENTITY_SVC_ADDR": f"{self.pod.address}:8080",
            prefix + "IDENTITY_SVC_NAME": identity("linkerd-identity", "linkerd"),
            prefix + "DESTINATION_SVC_ADDR": f"{self.pod.address}:8086",
            prefix + "DESTINATION_SVC_NAME": identity("linkerd-destination", "linkerd"),
            prefix + "DESTINATION_CONTEXT": json.dumps({"ns": "bench", "nodeName": "this-machine", "pod": account}),
            prefix + "POLICY_SVC_ADDR": f"{self.pod.address}:8090",
            prefix + "POLICY_SVC_NAME": identity("linkerd-destination", "linkerd"),
            prefix + "POLICY_WORKLOAD": pod,
            prefix + "IDENTITY_LOCAL_NAME": identity(account),
            prefix + "IDENTITY_DIR": str(keys),
            prefix + "IDENTITY_TOKEN_FILE": str(self.directory / f"bench.{account}/token"),
            prefix + "IDENTITY_TRUST_ANCHORS": (self.directory / "ca.crt").read_text(),
        }

    def credentials(self, account):
        """Certificate and key of a peer that asks no identity service."""
        return self.directory / f"bench.{account}"

    def patch(self, path, change):
        """Changes an object by a merge patch, as kubectl would."""
        text = (self.directory / "kubeconfig").read_text()
        server, token = re.search(r"server: \"?(\S+?)\"?\n", text)[1], re.search(r"token: \"?(\S+?)\"?\n", text)[1]
        self.pod.run("curl", "-sf", "-X", "PATCH", "-H", f"Authorization: Bearer {token}", "-H", "Content-Type: application/merge-patch+json",
                     "-d", json.dumps(change), server + path)
