"""Every server behind a service is restarted, one after another, as a cluster does it: its endpoint goes, its application and its proxy
are told to stop, and when they are back and ready its endpoint comes again. Meanwhile a client asks at a fixed rate, and no request
may fail."""

import threading

from bench import server_addresses
from load import CONNECTIONS

SLICE = "/apis/discovery.k8s.io/v1/namespaces/bench/endpointslices/rolling-1"
TARGET = "10.96.0.52:80"


def endpoints(ready):
    return {"endpoints": [
        {"addresses": [server_addresses(n)[0]], "conditions": {"ready": True}, "targetRef": {"kind": "Pod", "name": f"server-{n}", "namespace": "bench"}} for n in ready]}


def measure(bench):
    rate = 5000
    client = bench.weft.start()
    proxies = {n: server.start() for n, server in enumerate(bench.weft_servers, 1)}
    bench.client.await_answer(client, f"http://{TARGET}/")
    outcome = {}
    # Long enough for three restarts; stopped early it could not tell what failed late.
    seconds = bench.rounds(8, 20)

    def load():
        try:
            outcome["values"] = bench.caller.pace(TARGET, "http1", rate, CONNECTIONS, seconds, allows_failures=True)
        except Exception as failure:
            outcome["failure"] = failure

    thread = threading.Thread(target=load)
    thread.start()
    bench.settle(1)
    restarts = 0
    for number in (1, 2, 3):
        if not thread.is_alive():
            break
        bench.control.patch(SLICE, endpoints([n for n in (1, 2, 3) if n != number]))
        # The signal comes while the news of it still travels, as with a real pod.
        bench.stop([proxies[number]])
        bench.stop([bench.backends[number - 1]])
        bench.backends[number - 1] = bench.start_backend(bench.servers[number - 1], "0.0.0.0", f"backend-{number}")
        proxies[number] = bench.weft_servers[number - 1].start()
        bench.control.patch(SLICE, endpoints([1, 2, 3]))
        restarts += thread.is_alive()
        bench.settle(0.5)
    thread.join()
    bench.stop([client, *proxies.values()])
    if "failure" in outcome:
        raise outcome["failure"]
    values = outcome["values"]
    report = bench.report
    report.title("Rolling restart under load")
    report.say(
        f"{restarts} of 3 servers restarted, proxy and application, within {seconds} s of {rate:,} requests a second over {CONNECTIONS} connections; no retry by the caller.",
        f"{values['asked']:,.0f} requests counted, {values['failed']:,.0f} failed; p99 from due {values['due_p99'] / 1000:.1f} ms, longest {values['due_max'] / 1000:.1f} ms.", "")
    for line in values["failures"]:
        report.say(f"    {line}")
    report.ratio("rolling_restart_servers", restarts, at_least=3)
    report.ratio("rolling_restart_failed", values["failed"], at_most=0)
