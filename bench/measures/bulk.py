"""One stream of bytes as fast as it goes: one hop in the clear, and through a pair with mutual TLS between the halves. GB per CPU second
of the proxies, which is what a machine can move."""

from bench import BACKEND, Pair, server_addresses
from cluster import identity
from proxies import ENVOY_COMMAND, HAPROXY_COMMAND, Peer
from report import ratio, spread


class Hop:
    def __init__(self, proxy, target):
        self.name, self.proxy, self.target = proxy.name, proxy, target


def measure(bench):
    rounds, seconds = bench.rounds((3, 0.4), (9, 2))

    def load(hop):
        return bench.caller.flood(hop.target, seconds), seconds

    haproxy = Peer(bench.client, "haproxy", "10.96.0.33", 4181, HAPROXY_COMMAND, "haproxy-tcp.cfg", awaits=False, BACKEND=BACKEND)
    envoy = Peer(bench.client, "envoy", "10.96.0.34", 4182, ENVOY_COMMAND, "envoy-tcp.yaml", awaits=False, BACKEND=BACKEND)
    for peer in (haproxy, envoy):
        peer.prepare()
    running = [(Hop(proxy, f"{address}:90"), [proxy.start()]) for proxy, address in ((bench.weft, "10.96.0.11"), (haproxy, haproxy.address), (envoy, envoy.address))]
    bench.settle(1)
    clear, _ = bench.measure_cpu(running, rounds, load)
    for _, processes in running:
        bench.stop(processes)

    server = bench.servers[0]
    third = "10.77.4.1"
    server.run("ip", "addr", "add", f"{third}/16", "dev", "eth0")
    tls = {"IDENTITY": identity("server-1"), "SERVER": third}
    haproxy_client = Peer(bench.client, "haproxy-client", "10.96.0.43", 4183, HAPROXY_COMMAND, "haproxy-tls-client.cfg", awaits=False, CREDENTIALS=bench.control.credentials("client"), **tls)
    haproxy_server = Peer(server, "haproxy-server", third, 15019, HAPROXY_COMMAND, "haproxy-tls-server.cfg", chain="PREROUTING", awaits=False, CREDENTIALS=bench.control.credentials("server-1"))
    for peer in (haproxy_client, haproxy_server):
        peer.prepare()
    pairs = [Pair("weft-proxy", bench.weft, bench.weft_servers[0], "", "10.96.0.51:90"), Pair("haproxy", haproxy_client, haproxy_server, "", "10.96.0.43:90"),
             Pair("envoy", bench.envoy_pair.client, bench.envoy_pair.server, "", "10.96.0.61:90")]
    running = [(pair, [pair.server.start(), pair.client.start()]) for pair in pairs]
    bench.settle(1)
    secret, _ = bench.measure_cpu(running, rounds, load)
    for _, processes in running:
        bench.stop(processes)

    report = bench.report
    report.title("Bytes in bulk")
    report.say(f"One stream; GB per CPU second of the proxy, or of both halves of the pair; median (min..max) of {rounds} rounds of {seconds} s.", "")

    def speeds(costs, name):
        # CPU seconds per million bytes to gigabytes per CPU second.
        return [1e-3 / cost for cost in costs[name]]

    report.table(
        ["proxy", "one hop in the clear", "pair with mutual TLS"],
        [[name, spread(speeds(clear, name)), spread(speeds(secret, name))] for name in clear])
    for what, costs, goals in (("clear", clear, {"haproxy": 1.5, "envoy": None}), ("tls", secret, {"haproxy": 1.5, "envoy": 1.0})):
        for peer, goal in goals.items():
            report.ratio(f"bulk_{what}_bytes_per_cpu_to_{peer}", ratio(speeds(costs, "weft-proxy"), speeds(costs, peer)), at_least=goal)
