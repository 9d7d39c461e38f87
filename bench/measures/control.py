"""What the control plane costs: endpoints of a large cluster told to many proxies, a large pod injected, and ten thousand pods brought up in the
simulator. The controllers are the processes that ship, over real sockets; API server, proxies and load are weft-bench's."""

import re


def measure(bench):
    def values(what, *arguments):
        said = bench.control_pod.run(bench.programs / "weft-bench", what, *arguments).stdout
        return {name: float(value) for name, value in re.findall(r"^([a-z0-9_]+) ([\d.]+)$", said, re.M)}

    directory = bench.place.directory
    destination = values("destination", directory, "--seconds", 3 if bench.is_quick else 30)
    injector = values("injector", directory, "--reviews", 300 if bench.is_quick else 2000)
    count = 1_000 if bench.is_quick else 10_000
    pods = values("pods", count)
    report = bench.report
    report.title("Control plane")
    report.say(
        "Destination: 1,000 services, 10,000 pods, 1,000 proxies that follow 11 services each, 100 changes of pods a second; timed from a change's write "
        "to the last proxy that follows the service. Injector: reviews of a pod of 200 KB over TLS, one after another.", "")
    report.table(
        ["what", "value", "goal"],
        [
            ["change to last proxy, p50", f"{destination['change_to_last_proxy_p50_milliseconds']:.1f} ms", ""],
            ["change to last proxy, p99", f"{destination['change_to_last_proxy_p99_milliseconds']:.1f} ms", "at most 100 ms"],
            ["cores of destination meanwhile", f"{destination['controller_cores']:.3f}", "at most 1"],
            ["resident memory of destination, peak", f"{destination['controller_peak_megabytes']:.0f} MB", "at most 300 MB"],
            ["review of a 200 KB pod, p50", f"{injector['review_p50_milliseconds']:.1f} ms", ""],
            ["review of a 200 KB pod, p99", f"{injector['review_p99_milliseconds']:.1f} ms", "at most 5 ms"],
            ["CPU of the injector for one, TLS and all", f"{injector['review_cpu_milliseconds']:.1f} ms", ""],
            [f"{count:,} pods ready in the simulator", f"{pods['pods_ready_seconds']:.1f} s, {pods['pods_ready_cpu_seconds']:.1f} s of CPU", "10,000 in at most 60 s"],
            ["its memory, peak", f"{pods['pods_ready_peak_megabytes']:.0f} MB", "at most 4,096 MB"],
        ])
    report.ratio("destination_p99_to_100ms", destination["change_to_last_proxy_p99_milliseconds"] / 100, at_most=1.0)
    report.ratio("destination_memory_to_300mb", destination["controller_peak_megabytes"] / 300, at_most=1.0)
    report.ratio("injector_p99_to_5ms", injector["review_p99_milliseconds"] / 5, at_most=1.0)
    report.ratio("pods_cpu_to_minute", pods["pods_ready_cpu_seconds"] / 60 * 10_000 / count, at_most=1.0)
