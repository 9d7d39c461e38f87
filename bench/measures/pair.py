"""Two proxies between a caller and a server, mutual TLS and HTTP/2 between them, beside a pair of Envoys configured the same way:
CPU of both halves per request as fast as it goes, latency added at a fixed rate, and memory of each half under load."""

import statistics

from load import CONNECTIONS, h2load
from place import resident_megabytes
from report import ratio, spread

BODY = 1024
GRPC = ["content-type: application/grpc", "te: trailers"]


def clients():
    """The two kinds of caller: a name, and what h2load needs to be it."""
    return {
        "HTTP/1.1": {"body": b"x" * BODY},
        "gRPC": {"streams": 1, "body": bytes([0, 0, 0, BODY >> 8, BODY & 255]) + b"x" * BODY, "headers": GRPC},
    }


def measure(bench):
    report = bench.report
    running = [(pair, pair.start()) for pair in (bench.weft_pair, bench.envoy_pair)]
    cpu(bench, running)
    memory(bench, running)
    latency(bench)
    for _, processes in running:
        bench.stop(processes)
    instructions(bench)
    return report


def cpu(bench, running):
    rounds, requests = bench.rounds((5, 2_000), (9, 40_000))
    rows, ratios = [], []
    for kind, options in clients().items():
        costs, rates = bench.measure_cpu(running, rounds, lambda pair: h2load(bench.client, pair.url, requests, CONNECTIONS, **options))
        rows += [[kind, name, spread(costs[name]), spread(rates[name], 0)] for name in costs]
        ratios.append((f"pair_{kind.replace('/1.1', '1').lower()}_cpu_per_request_to_envoy", ratio(costs["weft-proxy"], costs["envoy"])))
    report = bench.report
    report.title("A pair, mutual TLS and HTTP/2 between the halves")
    report.say(
        f"Both halves together; bodies of {BODY} bytes both ways, {CONNECTIONS} connections; all telemetry on, retries on; median (min..max) of {rounds} rounds of",
        f"{requests:,} requests.", "")
    report.table(["client", "pair", "CPU s per M requests", "requests/s"], rows)
    for name, value in ratios:
        report.ratio(name, value, at_most=0.4)


def latency(bench):
    rounds, seconds = bench.rounds((3, 1), (7, 4))
    report = bench.report
    report.title("Latency that a pair adds")
    report.say(
        f"Open loop, POST of {BODY} bytes, {CONNECTIONS} connections, each request timed from when it was due; median of {rounds} rounds of {seconds} s, interleaved with rounds",
        "without any proxy, whose medians are taken off for the added microseconds.", "")
    rows = []
    targets = {
        "none": (bench.direct, f"{bench.servers[0].addresses[2]}:8080"), "weft-proxy": (bench.caller, bench.weft_pair.target), "envoy": (bench.caller, bench.envoy_pair.target)}
    for rate in bench.rounds((1000,), (1000, 5000)):
        found = {name: [] for name in targets}
        for number in range(rounds):
            for name, (caller, target) in list(targets.items())[number % 3:] + list(targets.items())[:number % 3]:
                found[name].append(caller.pace(target, "http1", rate, CONNECTIONS, seconds, body=BODY))
        medians = {name: {q: statistics.median(values[f"due_{q}"] for values in all_values) for q in ("p50", "p99", "p999")} for name, all_values in found.items()}
        added = {name: {q: medians[name][q] - medians["none"][q] for q in ("p50", "p99")} for name in targets}
        for name in targets:
            rows.append([f"{rate:,}/s", name] + [f"{medians[name][q]:,.0f}" for q in ("p50", "p99", "p999")] + [f"{added[name][q]:,.0f}" for q in ("p50", "p99")])
        for q in ("p50", "p99"):
            # A machine too busy to run the load on time shows less latency with a proxy than without: that is no figure.
            if min(added["weft-proxy"][q], added["envoy"][q]) > 0:
                report.ratio(f"pair_added_{q}_at_{rate}_to_envoy", added["weft-proxy"][q] / added["envoy"][q], at_most=0.7)
    report.table(["rate", "pair", "p50 us", "p99 us", "p99.9 us", "added p50 us", "added p99 us"], rows)


def memory(bench, running):
    seconds = bench.rounds(2, 10)
    rows, most = [], {}
    for pair, processes in running:
        bench.caller.pace(pair.target, "http1", 1000, 100, seconds, body=BODY)
        found = [resident_megabytes(process) for process in processes]
        most[pair.name] = max(found)
        rows.append([pair.name] + [f"{value:.1f} MB" for value in found])
    bench.report.title("Resident memory under load")
    bench.report.say(f"After {seconds} s of 1,000 requests a second over 100 connections.", "")
    bench.report.table(["pair", "client's half", "server's half"], rows)
    bench.report.ratio("loaded_megabytes_to_20", most["weft-proxy"] / 20, at_most=1.0)
    bench.report.ratio("loaded_megabytes_to_envoy", most["weft-proxy"] / most["envoy"], at_most=0.3)


def instructions(bench):
    """Of each half by itself, over a pair whose other half runs free."""
    if bench.is_quick:
        return
    pair = bench.weft_pair
    rows = []
    for kind, options in clients().items():
        found = []
        for half, other in ((pair.client, pair.server), (pair.server, pair.client)):
            def load(process, count):
                beside = other.start()
                pair.client.pod.await_answer(process, pair.url, patience=60)
                h2load(bench.client, pair.url, count, 8, **options)
                bench.stop([beside])
            found.append(bench.instructions(f"pair-{half.account}-{kind.replace('/', '')}", lambda wrapper: half.start(wrapper, suffix=".callgrind"), load, (1000, 5000)))
        rows.append([kind] + [f"{value:,.0f}" for value in found])
    bench.report.say("User instructions per request of weft-proxy's halves, by callgrind, TLS included:", "")
    bench.report.table(["client", "client's half", "server's half"], rows)
