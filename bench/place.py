"""Where a run takes place: pods, which are network namespaces on a bridge of the run's own, and the processes started in them.

All that is measured, and all that loads it, runs at a raised priority, so that what else the machine does at the time waits."""

import contextlib
import os
import re
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
#: The load and the backends share a CPU, the proxy under test has another.
LOAD_CPU, PROXY_CPU = 0, 1
#: The user that weft-init exempts from redirection; Linkerd's.
PROXY_USER = 2102
PRIORITY = -10


class Failure(Exception):
    """Said to the user as one line."""


def run(*arguments, check=True, **options):
    done = subprocess.run([str(a) for a in arguments], capture_output=True, text=True, **options)
    if check and done.returncode != 0:
        said = (done.stderr or done.stdout).strip().splitlines()
        raise Failure(f"{' '.join(map(str, arguments))[:300]}: exit {done.returncode}: {' / '.join(said[-3:])}")
    return done


class Pod:
    """A network namespace on the run's bridge."""

    def __init__(self, place, name, addresses):
        self.place, self.name, self.addresses = place, name, addresses
        self.namespace = f"{place.name}-{name}"

    @property
    def address(self):
        return self.addresses[0]

    def make(self):
        run("ip", "netns", "add", self.namespace)
        self.run("ip", "link", "set", "lo", "up")
        outer = f"to-{self.name}"[:15]
        self.run("ip", "link", "add", "eth0", "type", "veth", "peer", "name", outer)
        if self.place.bridge is self:
            self.run("ip", "link", "add", "bridge0", "type", "bridge")
            self.run("ip", "link", "set", "bridge0", "up")
            self.run("ip", "link", "set", outer, "master", "bridge0")
        else:
            self.run("ip", "link", "set", outer, "netns", self.place.bridge.namespace)
            self.place.bridge.run("ip", "link", "set", outer, "master", "bridge0")
        self.place.bridge.run("ip", "link", "set", outer, "up")
        for address in self.addresses:
            self.run("ip", "addr", "add", f"{address}/16", "dev", "eth0")
        self.run("ip", "link", "set", "eth0", "up")
        self.run("ip", "route", "add", "default", "dev", "eth0", "src", self.address)

    def command(self, arguments, cpu=None, user=None):
        command = ["ip", "netns", "exec", self.namespace, "nice", "-n", PRIORITY]
        if cpu is not None:
            command += ["taskset", "-c", cpu]
        if user is not None:
            command += ["setpriv", "--reuid", user, "--regid", user, "--clear-groups"]
        return [str(a) for a in command + list(arguments)]

    def run(self, *arguments, cpu=None, user=None, check=True):
        return run(*self.command(arguments, cpu, user), check=check)

    def redirect(self, chain, address, to, port=None):
        """What comes to the address (on that port) goes to the other port, before anybody else's rules; `to` None: nowhere else."""
        match = ["-p", "tcp", "-d", address] + (["--dport", port] if port else [])
        self.run("iptables-legacy", "-t", "nat", "-I", chain, *match, *(["-j", "REDIRECT", "--to-ports", to] if to else ["-j", "ACCEPT"]))

    def start(self, name, *arguments, cpu=None, user=None, environment=None):
        """Starts a program whose pid is the process's own: every wrapper execs the next."""
        with open(self.place.directory / f"{name}.out", "ab") as log:
            process = subprocess.Popen(
                self.command(arguments, cpu, user), stdout=log, stderr=log, stdin=subprocess.DEVNULL, start_new_session=True,
                env={**os.environ, **(environment or {})})
        process.name = name
        self.place.processes.append(process)
        return process

    def await_answer(self, process, url, *flags, user=None, patience=30):
        """Until `url` is answered with 200. `flags` are curl's."""
        end = time.monotonic() + patience
        while time.monotonic() < end:
            if process.poll() is not None:
                raise Failure(f"{process.name} ended with {process.returncode}: {self.place.said(process)}")
            answer = self.run("curl", "-s", "-o", os.devnull, "-m", "2", "-w", "%{http_code}", *flags, url, user=user, check=False)
            if answer.stdout == "200":
                return
            time.sleep(0.05)
        raise Failure(f"{process.name} gave no answer at {url} within {patience} s: {self.place.said(process)}")

    def await_listener(self, process, port, patience=30):
        """Until somebody listens on a port of the pod's loopback."""
        end = time.monotonic() + patience
        while time.monotonic() < end and process.poll() is None:
            if self.run("bash", "-c", f"</dev/tcp/127.0.0.1/{port}", user=PROXY_USER, check=False).returncode == 0:
                return
            time.sleep(0.05)
        raise Failure(f"{process.name} does not listen on port {port}: {self.place.said(process)}")

    def await_line(self, process, beginning, patience=60):
        """Until the process has said a line that begins so. Returns it."""
        end = time.monotonic() + patience
        while time.monotonic() < end:
            for line in self.place.output(process).splitlines():
                if line.startswith(beginning):
                    return line
            if process.poll() is not None:
                break
            time.sleep(0.02)
        raise Failure(f"{process.name} did not say {beginning!r}: {self.place.said(process)}")


class Place:
    """A run's directory, pods and processes."""

    def __init__(self):
        self.name = f"weft-bench-{os.getpid()}"
        self.directory = Path(tempfile.mkdtemp(prefix=f"{self.name}-"))
        self.directory.chmod(0o755)
        #: Where the proxies' own user may write.
        self.outputs = self.directory / "outputs"
        self.outputs.mkdir()
        self.outputs.chmod(0o777)
        self.processes = []
        self.pods = []
        #: The pod that has the bridge.
        self.bridge = None

    def __enter__(self):
        self.remove_stale()
        return self

    def __exit__(self, *_):
        for process in reversed(self.processes):
            self.stop(process)
        for pod in reversed(self.pods):
            run("ip", "netns", "del", pod.namespace, check=False)
        shutil.rmtree(self.directory, ignore_errors=True)

    def pod(self, name, *addresses):
        """The first pod made holds the bridge."""
        pod = Pod(self, name, addresses)
        if self.bridge is None:
            self.bridge = pod
        self.pods.append(pod)
        pod.make()
        return pod

    @staticmethod
    def remove_stale():
        """What runs left behind that were killed."""
        for line in run("ip", "netns", "list").stdout.splitlines():
            name = line.split()[0]
            found = re.fullmatch(r"weft-bench-(\d+)(-.*)?", name)
            if found and not Path(f"/proc/{found[1]}").exists():
                for pid in run("ip", "netns", "pids", name).stdout.split():
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(int(pid), signal.SIGKILL)
                run("ip", "netns", "del", name)
                for directory in Path(tempfile.gettempdir()).glob(f"weft-bench-{found[1]}-*"):
                    shutil.rmtree(directory, ignore_errors=True)

    def stop(self, process, patience=20):
        if process in self.processes:
            self.processes.remove(process)
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(patience)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def output(self, process):
        return (self.directory / f"{process.name}.out").read_text(errors="replace")

    def said(self, process):
        return " / ".join(self.output(process).strip().splitlines()[-3:]) or "nothing"

    def fill(self, template, **values):
        """A configuration of bench/peers with its `@NAME@` filled in."""
        text = (ROOT / "bench/peers" / template).read_text()
        for name, value in {"RUN": self.outputs, **values}.items():
            text = text.replace(f"@{name}@", str(value))
        left = re.search(r"@[A-Z_]+@", text)
        if left:
            raise Failure(f"{template} asks for {left[0]}")
        path = self.directory / f"{values.get('NAME', '')}{template}"
        path.write_text(text)
        path.chmod(0o644)
        return path


# What a process used.


def tasks(pid):
    """The task directories of a process and of its descendants."""
    found = []
    with contextlib.suppress(FileNotFoundError):
        for task in Path(f"/proc/{pid}/task").iterdir():
            found.append(task)
            for child in (task / "children").read_text().split():
                found += tasks(child)
    return found


def cpu_seconds(*processes):
    return sum(int((task / "schedstat").read_text().split()[0]) for process in processes for task in tasks(process.pid)) / 1e9


def resident_megabytes(process):
    return int(re.search(r"VmRSS:\s+(\d+)", Path(f"/proc/{process.pid}/status").read_text())[1]) / 1024
