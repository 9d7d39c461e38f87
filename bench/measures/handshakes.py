"""Mutual TLS handshakes, full, one request-less connection after another: what one costs the server. weft-proxy has OpenSSL, Envoy
has BoringSSL, which is several times faster at this than Debian 12's OpenSSL."""

import time

from bench import server_addresses
from cluster import identity
from report import ratio, spread


class Target:
    def __init__(self, name, target):
        self.name, self.target = name, target


def measure(bench):
    tls = ["--identity", identity("server-1"), "--credentials", bench.control.credentials("client")]
    weft, envoy = bench.weft_servers[0].start(), bench.envoy_pair.server.start()
    addresses = server_addresses(1)
    running = [(Target("weft-proxy", f"{addresses[0]}:8080"), [weft]), (Target("envoy", f"{addresses[1]}:8080"), [envoy])]
    rounds, count = bench.rounds((5, 200), (9, 2000))

    def load(target):
        before = time.monotonic()
        bench.direct.shake_hands(target.target, count, *tls)
        return count, time.monotonic() - before

    bench.settle(0.5)
    costs, rates = bench.measure_cpu(running, rounds, load)
    bench.stop([weft, envoy])
    report = bench.report
    report.title("Mutual TLS handshakes")
    report.say(f"TLS 1.3, ECDSA P-256 both ways, X25519, no resumption; the server's CPU; median (min..max) of {rounds} rounds of {count:,}.", "")
    report.table(
        ["server", "CPU us per handshake", "handshakes per CPU second"],
        [[name, spread(costs[name], 0), spread([1e6 / cost for cost in costs[name]], 0)] for name in costs])
    report.ratio("handshake_cpu_to_envoy", ratio(costs["weft-proxy"], costs["envoy"]))
