"""The proxies: weft-proxy as the injector would run it, and peers that are configured by a file of bench/peers."""

import copy

from place import PROXY_CPU, PROXY_USER, ROOT

ENVOY = ROOT / ".build/bench/bin/envoy"
ENVOY_COMMAND = [ENVOY, "--concurrency", "1", "--disable-hot-restart", "-l", "error", "-c", "@"]
HAPROXY_COMMAND = ["haproxy", "-db", "-f", "@"]


class Peer:
    """Another proxy in a pod, which gets what is sent to an address, as weft-proxy does: by a REDIRECT rule."""

    def __init__(self, pod, name, address, port, command, template, chain="OUTPUT", ports=None, probe=(), awaits=True, **values):
        """`ports`: which port of the address leads to which port of the proxy's; None: all to `port`."""
        self.pod, self.name, self.address, self.port, self.template = pod, name, address, port, template
        self.chain, self.ports, self.probe, self.awaits = chain, ports, probe, awaits
        self.url = f"http://{address}:80/"
        self.arguments, self.values = command, values

    def prepare(self):
        self.configuration = self.pod.place.fill(self.template, PORT=self.port, NAME=f"{self.name}.", **self.values)
        for called, own in (self.ports or {None: self.port}).items():
            self.pod.redirect(self.chain, self.address, own, called)

    def start(self, wrapper=(), suffix=""):
        arguments = [str(a).replace("@", str(self.configuration)) for a in self.arguments]
        process = self.pod.start(self.name + suffix, *wrapper, *arguments, cpu=PROXY_CPU, user=PROXY_USER)
        if self.awaits:
            self.pod.await_answer(process, self.url, *self.probe, patience=120 if wrapper else 30)
        else:
            self.pod.await_listener(process, self.port)
        return process


class Weft:
    """weft-proxy beside a workload. Its environment is that of Linkerd's."""

    outbound, inbound, admin = 4140, 4143, 4191

    def __init__(self, pod, programs, control, account, ports):
        self.pod, self.programs, self.control, self.account, self.ports = pod, programs, control, account, ports
        self.name = "weft-proxy"

    def prepare(self):
        self.pod.run(self.programs / "weft-init", "--incoming-proxy-port", self.inbound, "--outgoing-proxy-port", self.outbound, "--proxy-uid", PROXY_USER, "--ipv6=false")

    def start(self, wrapper=(), suffix="", variables=()):
        environment = {
            "LINKERD2_PROXY_OUTBOUND_LISTEN_ADDR": f"127.0.0.1:{self.outbound}",
            "LINKERD2_PROXY_INBOUND_LISTEN_ADDR": f"0.0.0.0:{self.inbound}",
            "LINKERD2_PROXY_ADMIN_LISTEN_ADDR": f"127.0.0.1:{self.admin}",
            "LINKERD2_PROXY_DESTINATION_PROFILE_NETWORKS": "10.0.0.0/8",
            "LINKERD2_PROXY_INBOUND_IPS": self.pod.address,
            "LINKERD2_PROXY_INBOUND_PORTS": ",".join(map(str, self.ports)),
            "LINKERD2_PROXY_SHUTDOWN_GRACE_PERIOD": "5s",
            "LINKERD2_PROXY_LOG": "error",
            **self.control.environment(self.account),
            **dict(variables),
        }
        process = self.pod.start(f"{self.name}.{self.account}{suffix}", *wrapper, self.programs / "weft-proxy", cpu=PROXY_CPU, user=PROXY_USER, environment=environment)
        self.pod.await_answer(process, f"http://127.0.0.1:{self.admin}/ready", patience=120 if wrapper else 30)
        return process

    def on(self, service, port=80, probe=()):
        """The same proxy, called by a service's address."""
        other = copy.copy(self)
        other.address, other.url, other.probe = service, f"http://{service}:{port}/", probe
        return other

    def warm(self, process):
        """The first request asks the control plane."""
        self.pod.await_answer(process, self.url, *self.probe)
