"""What policy costs: a server with one authorization and one with a hundred, a service with one route and one with a hundred, as a profile
has routes and as HTTPRoutes are. The one that applies is always the last."""

from cluster import identity
from load import CONNECTIONS, h2load
from report import ratio, spread

MANY = 100
#: Services by what they have, with their addresses.
PROFILES = {1: "10.96.0.53", MANY: "10.96.0.54"}
ROUTES = {1: "10.96.0.57", MANY: "10.96.0.58"}
AUTHORIZATIONS = {1: ("10.96.0.55", 2), MANY: ("10.96.0.56", 3)}


def service(name, address, server):
    return f"""---
apiVersion: v1
kind: Service
metadata: {{ name: {name}, namespace: bench }}
spec: {{ clusterIP: {address}, ports: [{{ name: http, port: 80, targetPort: 8080 }}] }}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {{ name: {name}-1, namespace: bench, labels: {{ kubernetes.io/service-name: {name} }} }}
addressType: IPv4
endpoints: [{{ addresses: [10.77.1.{server}], conditions: {{ ready: true }}, targetRef: {{ kind: Pod, name: server-{server}, namespace: bench }} }}]
ports: [{{ name: http, port: 8080, protocol: TCP }}]
"""


def many():
    """The objects, for the cluster's manifest."""
    text = ""
    for count, address in PROFILES.items():
        text += service(f"profile-{count}", address, 1)
        routes = [f"    - {{ name: route-{n}, condition: {{ method: GET, pathRegex: /part-{n}/.* }} }}\n" for n in range(count - 1)]
        text += f"""---
apiVersion: linkerd.io/v1alpha2
kind: ServiceProfile
metadata: {{ name: profile-{count}.bench.svc.cluster.local, namespace: bench }}
spec:
  routes:
{''.join(routes)}    - {{ name: last, condition: {{ method: POST, pathRegex: /.* }} }}
"""
    for count, address in ROUTES.items():
        text += service(f"routes-{count}", address, 1)
        for n in range(count):
            # The least specific match, which all others go before.
            path = "/" if n == count - 1 else f"/part-{n}/"
            text += f"""---
apiVersion: policy.linkerd.io/v1beta3
kind: HTTPRoute
metadata: {{ name: routes-{count}-{n:03}, namespace: bench }}
spec:
  parentRefs: [{{ group: core, kind: Service, name: routes-{count}, port: 80 }}]
  rules: [{{ matches: [{{ path: {{ type: PathPrefix, value: "{path}" }} }}] }}]
"""
    for count, (address, server) in AUTHORIZATIONS.items():
        text += service(f"authorizations-{count}", address, server)
        text += f"""---
apiVersion: policy.linkerd.io/v1beta3
kind: Server
metadata: {{ name: server-{server}, namespace: bench }}
spec: {{ podSelector: {{ matchLabels: {{ app: server-{server} }} }}, port: 8080, proxyProtocol: HTTP/2 }}
"""
        for n in range(count):
            who = identity("client" if n == count - 1 else f"stranger-{n}")
            text += f"""---
apiVersion: policy.linkerd.io/v1alpha1
kind: MeshTLSAuthentication
metadata: {{ name: server-{server}-from-{n:03}, namespace: bench }}
spec: {{ identities: ["{who}"] }}
---
apiVersion: policy.linkerd.io/v1alpha1
kind: AuthorizationPolicy
metadata: {{ name: server-{server}-allows-{n:03}, namespace: bench }}
spec:
  targetRef: {{ group: policy.linkerd.io, kind: Server, name: server-{server} }}
  requiredAuthenticationRefs: [{{ group: policy.linkerd.io, kind: MeshTLSAuthentication, name: server-{server}-from-{n:03} }}]
"""
    return text


class Target:
    def __init__(self, name, address):
        self.name, self.url = name, f"http://{address}:80/"


def measure(bench):
    rounds, requests = bench.rounds((4, 2_000), (15, 20_000))
    client = bench.weft.start()
    servers = {n: server.start() for n, server in enumerate(bench.weft_servers, 1)}
    profiles = [(Target(f"{count} route{'s' * (count > 1)} of a profile", address), [client]) for count, address in PROFILES.items()]
    routes = [(Target(f"{count} HTTPRoute{'s' * (count > 1)}", address), [client]) for count, address in ROUTES.items()]
    authorizations = [(Target(f"{count} authorization{'s' * (count > 1)}", address), [servers[server]]) for count, (address, server) in AUTHORIZATIONS.items()]
    report = bench.report
    rows = []
    for half, targets in (("client's", profiles), ("client's", routes), ("server's", authorizations)):
        for target, _ in targets:
            bench.client.await_answer(client, target.url, "-X", "POST")
        costs, _ = bench.measure_cpu(targets, rounds, lambda target: h2load(bench.client, target.url, requests, CONNECTIONS, body=b"x" * 1024))
        one, hundred = targets[0][0].name, targets[1][0].name
        rows += [[half, name, spread(costs[name])] for name in costs]
        report.ratio(f"{hundred.replace(' ', '_').lower()}_to_one", ratio(costs[hundred], costs[one]), at_most=1.1)
    bench.stop([client, *servers.values()])
    report.title("What policy costs")
    report.say(f"A pair; CPU of the half that decides; the last of all is the one that applies; median (min..max) of {rounds} rounds of {requests:,} requests.", "")
    report.table(["half", "with", "CPU s per M requests"], rows)
