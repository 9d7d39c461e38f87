"""What weft-proxy holds: idle with a certificate, and for each connection that stands idle, in the clear and with mutual TLS."""

from bench import server_addresses
from cluster import identity
from place import resident_megabytes


def measure(bench):
    count = bench.rounds(2_000, 10_000)
    proxy, envoy = bench.weft_servers[0].start(), bench.envoy_pair.server.start()
    bench.settle(3)
    idle = {"weft-proxy": resident_megabytes(proxy), "envoy": resident_megabytes(envoy)}
    bench.stop([proxy, envoy])
    addresses = dict(zip(("weft-proxy", "envoy"), server_addresses(1)))
    tls = ["--identity", identity("server-1"), "--credentials", bench.control.credentials("client")]
    found = {}
    for name, server in (("weft-proxy", bench.weft_servers[0]), ("envoy", bench.envoy_pair.server)):
        kinds = {"clear": ("http1", []), "mtls": ("grpc", tls)} if name == "weft-proxy" else {"mtls": ("grpc", tls)}
        for kind, (protocol, flags) in kinds.items():
            process = server.start()
            port = 8081 if name == "envoy" else 8080
            # What the first few connections cost once is not what each costs.
            first = bench.direct.hold(f"first-{name}-{kind}", f"{addresses[name]}:{port}", protocol, 50, *flags)
            bench.settle(1)
            before = resident_megabytes(process)
            crowd = bench.direct.hold(f"crowd-{name}-{kind}", f"{addresses[name]}:{port}", protocol, count, *flags)
            bench.settle(2)
            after = resident_megabytes(process)
            found[name, kind] = ((after - before) * 1024 / count, after)
            bench.stop([crowd, first, process])

    report = bench.report
    report.title("Memory")
    report.say(f"Resident; {count:,} connections that stand idle after one request each, HTTP/1.1 in the clear, gRPC over mutual TLS.", "")
    rows = [["idle, with a certificate", f"{idle['weft-proxy']:.1f} MB", f"{idle['envoy']:.1f} MB"]]
    for kind, words in (("clear", "an idle connection in the clear"), ("mtls", "an idle connection with mutual TLS")):
        rows.append([words] + [f"{found[name, kind][0]:.2f} KiB" if (name, kind) in found else "not run" for name in ("weft-proxy", "envoy")])
    rows.append([f"with {count:,} of them"] + [f"{found[name, 'mtls'][1]:.1f} MB" for name in ("weft-proxy", "envoy")])
    report.table(["what", "weft-proxy", "envoy"], rows)
    report.ratio("idle_megabytes_to_10", idle["weft-proxy"] / 10, at_most=1.0)
    report.ratio("idle_megabytes_to_envoy", idle["weft-proxy"] / idle["envoy"], at_most=0.3)
    report.ratio("idle_connection_kib", found["weft-proxy", "clear"][0], at_most=1.0)
    report.ratio("idle_mtls_connection_kib_to_24", found["weft-proxy", "mtls"][0] / 24, at_most=1.0)
    if count == 10_000:
        report.ratio("ten_thousand_mtls_megabytes_to_250", found["weft-proxy", "mtls"][1] / 250, at_most=1.0)
