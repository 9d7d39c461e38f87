"""The load: wrk and h2load for as much as goes, weft-bench for a fixed rate, bulk, idle connections and handshakes."""

import re
import tempfile

from place import LOAD_CPU, Failure

SECONDS = {"us": 1e-6, "ms": 0.001, "s": 1, "m": 60}
CONNECTIONS = 64


def wrk(pod, url, seconds):
    """wrk for a while. Returns the number of requests and of seconds; anything but 200 is a failure."""
    out = pod.run("wrk", "-t1", f"-c{CONNECTIONS}", f"-d{seconds}s", url, cpu=LOAD_CPU).stdout
    done = re.search(r"(\d+) requests in ([\d.]+)(ms|s|m)", out)
    if not done or "Non-2xx" in out or re.search(r"Socket errors: .*[1-9]", out):
        raise Failure(f"the load on {url} did not go well: {' '.join(out.split())}")
    return int(done[1]), float(done[2]) * SECONDS[done[3]]


def h2load(pod, url, requests, connections, streams=None, body=None, headers=(), user=None):
    """h2load for so many requests, over HTTP/1.1 without `streams`. Returns the number of requests and of seconds."""
    flags = ["--h1"] if streams is None else ["-m", streams]
    for header in headers:
        flags += ["-H", header]
    with tempfile.NamedTemporaryFile() as file:
        if body:
            file.write(body)
            file.flush()
            flags += ["-d", file.name]
        out = pod.run("h2load", *flags, "-t1", "-c", connections, "-n", requests, url, cpu=LOAD_CPU, user=user).stdout
    done = re.search(r"status codes: (\d+) 2xx", out)
    if not done or int(done[1]) != requests:
        raise Failure(f"the load on {url} did not go well: {' '.join(out.split())[:500]}")
    took = re.search(r"finished in ([\d.]+)(us|ms|s|m)", out)
    return requests, float(took[1]) * SECONDS[took[2]]


class Caller:
    """weft-bench's callers, run in a pod. `flags` are those of mutual TLS, if any."""

    def __init__(self, pod, program, user=None):
        self.pod, self.program, self.user = pod, program, user

    def command(self, what, target, *flags):
        return [self.program, what, target, *flags]

    def pace(self, target, protocol, rate, connections, seconds, body=0, warmup=0.5, allows_failures=False):
        """Requests at a fixed rate. Returns latencies in microseconds by name, and the counts."""
        done = self.pod.run(
            *self.command("pace", target, "--protocol", protocol, "--rate", rate, "--connections", connections, "--warmup", int(warmup * 1000),
                          "--length", int(seconds * 1000), "--body", body), cpu=LOAD_CPU, user=self.user)
        return parse_pace(done.stdout, target, allows_failures)

    def flood(self, target, seconds, *flags):
        """One stream of bytes. Returns their number, as counted at the other end."""
        out = self.pod.run(*self.command("flood", target, "--length", int(seconds * 1000), *flags), cpu=LOAD_CPU, user=self.user).stdout
        return int(out.split()[-1])

    def shake_hands(self, target, count, *flags):
        self.pod.run(*self.command("handshakes", target, "--count", count, *flags), cpu=LOAD_CPU, user=self.user)

    def hold(self, name, target, protocol, count, *flags):
        """Connections that stand idle after one request each, until the process that is returned is stopped."""
        process = self.pod.start(name, *self.command("hold", target, "--protocol", protocol, "--count", count, *flags), cpu=LOAD_CPU, user=self.user)
        self.pod.await_line(process, f"standing {count}", patience=180)
        return process


def parse_pace(text, target, allows_failures=False):
    lines = text.splitlines()
    words = lines[0].split() if lines else []
    values = {name: float(value) for name, value in zip(words[::2], words[1::2])}
    if "asked" not in values or (values["failed"] > 0 and not allows_failures):
        raise Failure(f"the paced load on {target} did not go well: {' / '.join(lines[:6])[:500]}")
    values["failures"] = lines[1:]
    return values
