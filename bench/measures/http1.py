"""One hop of HTTP/1.1: weft-proxy beside a client, nginx, HAProxy and Envoy; 64 connections, a GET of two bytes."""

from bench import BACKEND
from load import CONNECTIONS, h2load, wrk
from proxies import ENVOY_COMMAND, HAPROXY_COMMAND, Peer
from report import ratio, spread


def measure(bench):
    weft = bench.weft.on("10.96.0.11")
    nginx = Peer(bench.client, "nginx", "10.96.0.12", 4151, ["nginx", "-c", "@"], "nginx.conf", BACKEND=BACKEND)
    haproxy = Peer(bench.client, "haproxy", "10.96.0.13", 4152, HAPROXY_COMMAND, "haproxy.cfg", BACKEND=BACKEND)
    envoy = Peer(bench.client, "envoy", "10.96.0.14", 4153, ENVOY_COMMAND, "envoy.yaml", BACKEND=BACKEND)
    peers = [nginx, haproxy, envoy]
    for peer in peers:
        peer.prepare()
    running = [(proxy, [proxy.start()]) for proxy in [weft] + peers]
    weft.warm(running[0][1][0])
    rounds, seconds = bench.rounds((4, 1), (9, 3))
    costs, rates = bench.measure_cpu(running, rounds, lambda proxy: wrk(bench.client, proxy.url, seconds))
    for _, processes in running:
        bench.stop(processes)

    def counted(proxy, counts):
        def load(process, count):
            if proxy is weft:
                weft.warm(process)
            h2load(bench.client, proxy.url, count, connections=8)
        return bench.instructions(f"{proxy.name}-http1", lambda wrapper: proxy.start(wrapper, suffix=".callgrind"), load, counts)

    counts = bench.rounds((1000, 3000), (2000, 12000))
    steps = {proxy.name: counted(proxy, counts) for proxy in bench.rounds([weft], [weft, nginx, haproxy])}

    report = bench.report
    report.title("One hop, HTTP/1.1")
    report.say(
        f"Keep-alive, {CONNECTIONS} connections, GET of 2 bytes, REDIRECT before every proxy; median (min..max) of {rounds} rounds of {seconds} s. Instructions: user",
        f"mode, by callgrind, h2load --h1 -c8, slope between {counts[0]:,} and {counts[1]:,} requests.", "")
    report.table(
        ["proxy", "CPU s per M requests", "to nginx", "requests/s", "instructions/request"],
        [[name, spread(costs[name]), f"{ratio(costs[name], costs['nginx']):.2f}", spread(rates[name], 0), f"{steps[name]:,.0f}" if name in steps else "not run"] for name in costs])
    goals = {"nginx": 0.85, "haproxy": None, "envoy": 0.4}
    for peer in peers:
        report.ratio(f"cpu_per_request_to_{peer.name}", ratio(costs[weft.name], costs[peer.name]), at_most=goals[peer.name])
    report.ratio("http1_instructions_to_6000", steps[weft.name] / 6000, at_most=1.0)
    for peer in peers:
        if peer.name in steps:
            report.ratio(f"instructions_per_request_to_{peer.name}", steps[weft.name] / steps[peer.name])
