"""What all measures share: the pods, the programs, the control plane, the proxies by name, and how a round is measured."""

import re
import time

from cluster import ControlPlane, identity
from load import Caller
from measures.policy import many
from place import LOAD_CPU, PROXY_USER, Failure, cpu_seconds
from proxies import ENVOY_COMMAND, Peer, Weft
from report import Report

CLIENT, BACKEND = "10.77.0.1", "10.77.0.2"
CONTROL = "10.77.9.1"


def server_addresses(number):
    """Of a server's pod: behind weft-proxy, behind Envoy or HAProxy, behind nothing."""
    return [f"10.77.{kind}.{number}" for kind in (1, 2, 3)]


class Pair:
    """Two proxies between a caller and a server, as one thing to be measured."""

    def __init__(self, name, client, server, url, target):
        #: `target` is host and port for weft-bench's callers.
        self.name, self.client, self.server, self.url, self.target = name, client, server, url, target

    def start(self):
        server = self.server.start()
        client = self.client.start()
        self.client.pod.await_answer(client, self.url)
        return [client, server]


class Bench:
    def __init__(self, place, programs, is_quick):
        self.place, self.programs, self.is_quick = place, programs, is_quick
        self.report = Report()
        self.control_pod = place.pod("control", CONTROL)
        self.client = place.pod("client", CLIENT, BACKEND)
        self.servers = [place.pod(f"server-{n}", *server_addresses(n)) for n in (1, 2, 3)]
        self.control = ControlPlane(self.control_pod, programs, many())
        self.caller = Caller(self.client, programs / "weft-bench")
        #: Whom weft-init lets pass: for what goes to a server directly.
        self.direct = Caller(self.client, programs / "weft-bench", user=PROXY_USER)
        self.weft = Weft(self.client, programs, self.control, "client", [8080])
        self.weft.prepare()
        self.weft_servers = []
        for n, pod in enumerate(self.servers, 1):
            server = Weft(pod, programs, self.control, f"server-{n}", [8080, 9000])
            server.prepare()
            pod.redirect("PREROUTING", server_addresses(n)[2], None)
            self.weft_servers.append(server)
        nginx = self.client.start("backend", "nginx", "-c", place.fill("backend.conf", BACKEND=BACKEND), cpu=LOAD_CPU)
        self.client.await_answer(nginx, f"http://{BACKEND}:8080/", user=PROXY_USER)
        self.sink = self.start_backend(self.client, BACKEND, "sink", ports=(8083, 9000))
        self.backends = [self.start_backend(pod, "0.0.0.0", f"backend-{n}") for n, pod in enumerate(self.servers, 1)]

        server_address = server_addresses(1)[1]
        shared = {"SERVER": server_address, "IDENTITY": identity("server-1")}
        envoy_client = Peer(
            self.client, "envoy-client", "10.96.0.61", 4171, ENVOY_COMMAND, "envoy-pair-client.yaml", ports={80: 4171, 90: 4172}, awaits=False,
            BYTES_PORT=4172, CREDENTIALS=self.control.credentials("client"), **shared)
        envoy_server = Peer(
            self.servers[0], "envoy-server", server_address, 15006, ENVOY_COMMAND, "envoy-pair-server.yaml", chain="PREROUTING", awaits=False,
            ports={8080: 15006, 8081: 15007, 9000: 15009}, GRPC_PORT=15007, BYTES_PORT=15009, CREDENTIALS=self.control.credentials("server-1"))
        for peer in (envoy_client, envoy_server):
            peer.prepare()
        self.weft_pair = Pair("weft-proxy", self.weft, self.weft_servers[0], "http://10.96.0.51:80/", "10.96.0.51:80")
        self.envoy_pair = Pair("envoy", envoy_client, envoy_server, "http://10.96.0.61:80/", "10.96.0.61:80")

    def start_backend(self, pod, address, name, ports=(8080, 9000)):
        process = pod.start(name, self.programs / "weft-bench", "backend", address, "--http", ports[0], "--bytes", ports[1], cpu=LOAD_CPU)
        pod.await_answer(process, f"http://{'127.0.0.1' if address == '0.0.0.0' else address}:{ports[0]}/", user=PROXY_USER)
        return process

    def rounds(self, quick, full):
        return quick if self.is_quick else full

    def stop(self, processes):
        for process in processes:
            self.place.stop(process)

    def measure_cpu(self, running, rounds, load):
        """What a unit of work costs each proxy, in CPU seconds per million, and how many were done a second: a list by name.

        `running` is pairs of a proxy and its processes, all of which run all the time; `load` takes a proxy and returns work and seconds."""
        costs, rates = {proxy.name: [] for proxy, _ in running}, {proxy.name: [] for proxy, _ in running}
        for proxy, _ in running:
            load(proxy)
        for number in range(rounds):
            turn = number % len(running)
            for proxy, processes in running[turn:] + running[:turn]:
                before = cpu_seconds(*processes)
                done, seconds = load(proxy)
                costs[proxy.name].append((cpu_seconds(*processes) - before) / done * 1e6)
                rates[proxy.name].append(done / seconds)
        return costs, rates

    def instructions(self, name, start, load, counts):
        """User instructions per request of the process that `start` starts under the given wrapper: the slope between two numbers of
        requests, each over a process of its own, so that starting up cancels out."""
        totals = []
        for count in counts:
            out = self.place.outputs / f"{name}.{count}.callgrind"
            process = start(["valgrind", "--tool=callgrind", f"--callgrind-out-file={out}"])
            load(process, count)
            self.place.stop(process, patience=60)
            counted = [int(n) for part in self.place.outputs.glob(f"{out.name}*") for n in re.findall(r"^(?:summary|totals): (\d+)", part.read_text(errors="replace"), re.M)[:1]]
            if not counted:
                raise Failure(f"{name} left no count of its instructions: {self.place.said(process)}")
            totals.append(sum(counted))
        return (totals[1] - totals[0]) / (counts[1] - counts[0])

    @staticmethod
    def settle(seconds):
        time.sleep(seconds)
