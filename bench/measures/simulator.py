"""How fast the simulator runs on a core: its own events, and requests through two proxies with real TLS between them."""

from place import PROXY_CPU


def measure(bench):
    def number(what):
        return int(bench.control_pod.run(bench.programs / "weft-bench", what, cpu=PROXY_CPU).stdout.split()[-1])

    events, requests = number("simulator"), number("mesh")
    report = bench.report
    report.title("Simulator")
    report.table(
        ["what", "value", "goal"],
        [
            ["64 connections between 32 plain nodes, 200 bytes to and fro", f"{events:,} events per CPU second", "at least 1,000,000"],
            ["HTTP through two proxies, mutual TLS, 32 requests at once", f"{requests:,} requests per CPU second", ""],
        ])
    report.ratio("simulator_events_to_million", events / 1e6, at_least=1.0)
