"""One hop of cleartext HTTP/2 with prior knowledge on both sides: weft-proxy, Envoy, nghttpx and HAProxy. nginx has no HTTP/2 towards
its upstreams."""

from bench import BACKEND
from load import h2load
from proxies import ENVOY_COMMAND, HAPROXY_COMMAND, Peer
from report import ratio, spread

PROBE = ["--http2-prior-knowledge"]


def measure(bench):
    weft = bench.weft.on("10.96.0.11", 82, PROBE)
    haproxy = Peer(bench.client, "haproxy", "10.96.0.23", 4162, HAPROXY_COMMAND, "haproxy-h2.cfg", probe=PROBE, BACKEND=BACKEND)
    envoy = Peer(bench.client, "envoy", "10.96.0.24", 4163, ENVOY_COMMAND, "envoy-h2.yaml", probe=PROBE, BACKEND=BACKEND)
    nghttpx = Peer(bench.client, "nghttpx", "10.96.0.25", 4164, ["nghttpx", "--conf=@"], "nghttpx-h2.conf", probe=PROBE, BACKEND=BACKEND)
    peers = [envoy, nghttpx, haproxy]
    for peer in peers:
        peer.prepare()
    running = [(proxy, [proxy.start()]) for proxy in [weft] + peers]
    weft.warm(running[0][1][0])
    rounds, requests = bench.rounds((4, 4_000), (9, 60_000))
    rows, ratios = [], []
    goals = {"envoy": 0.35, "nghttpx": 1.0, "haproxy": None}
    for connections, streams in ((8, 32), (32, 1)):
        costs, rates = bench.measure_cpu(running, rounds, lambda proxy: h2load(bench.client, proxy.url, requests, connections, streams))
        for name in costs:
            rows.append([f"-c {connections} -m {streams}", name, spread(costs[name]), spread(rates[name], 0)])
        for peer in peers:
            ratios.append((f"http2_c{connections}_m{streams}_cpu_per_request_to_{peer.name}", ratio(costs[weft.name], costs[peer.name]), goals[peer.name]))
    for _, processes in running:
        bench.stop(processes)

    report = bench.report
    report.title("One hop, cleartext HTTP/2")
    report.say(f"h2load, GET of 2 bytes; median (min..max) of {rounds} rounds of {requests:,} requests.", "")
    report.table(["load", "proxy", "CPU s per M requests", "requests/s"], rows)
    for name, value, goal in ratios:
        report.ratio(name, value, at_most=goal)

    if bench.is_quick:
        return

    def load(process, count):
        weft.warm(process)
        h2load(bench.client, weft.url, count, 8, 32)

    steps = bench.instructions("weft-proxy-http2", lambda wrapper: weft.start(wrapper, suffix=".callgrind"), load, (4000, 24000))
    report.say(f"User instructions per request of weft-proxy at -c 8 -m 32, by callgrind: {steps:,.0f}.", "")
    report.ratio("http2_instructions_to_6000", steps / 6000)
