"""What the suites share: the form of a figure, child processes, readings from /proc, our server."""
import contextlib
import http.client
import json
import os
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
BINARY = os.environ.get("HEPTAD_BINARY", os.path.join(ROOT, ".build/release/heptad"))
MODELS = os.environ.get("HEPTAD_MODELS", os.path.join(ROOT, "models"))
GGUF = os.path.join(MODELS, "SmolLM2-135M-Instruct.Q4_1.gguf")
# The names under which our server finds them in the models folder.
CHAT_MODEL = "SmolLM2-135M-Instruct.Q4_1"
EMBEDDING_MODEL = "all-MiniLM-L6-v2"


def figure(suite, metric, unit, ours, peer=None, peer_runs=None, **parameters):
    """Prints one figure: the median of our runs, beside the peer's where there is one."""
    row = {"suite": suite, "metric": metric, **parameters}
    value = statistics.median(ours)
    if peer:
        peer_value = statistics.median(peer_runs)
        row |= {"heptad": short(value), "peer": peer, "peer_value": short(peer_value)}
        row |= {"ratio": short(value / peer_value) if peer_value else None}
    else:
        row |= {"value": short(value)}
    print(json.dumps(row | {"unit": unit, "n": len(ours)}), flush=True)


def short(number):
    return float(f"{number:.4g}")


def note(*words):
    print(*words, file=sys.stderr, flush=True)


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


class Process:
    """A child in a process group of its own, which ends with the `with` block."""

    def __init__(self, arguments, log=None):
        self.log = log
        with open(log, "wb") if log else open(os.devnull, "wb") as output:
            self.began = time.perf_counter()
            self.child = subprocess.Popen(
                arguments, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT,
                start_new_session=True)
        self.pid = self.child.pid

    def wait_until(self, is_ready, seconds=60, pause=0.002):
        """Seconds from the start until `is_ready()` says so."""
        while time.perf_counter() - self.began < seconds:
            if self.child.poll() is not None:
                raise RuntimeError(f"ended with {self.child.returncode}: {self.last_words()}")
            if is_ready():
                return time.perf_counter() - self.began
            time.sleep(pause)
        raise RuntimeError(f"not ready after {seconds} s: {self.last_words()}")

    def last_words(self):
        if not self.log:
            return ""
        with open(self.log, "rb") as log:
            return log.read()[-2000:].decode(errors="replace")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for number in (signal.SIGTERM, signal.SIGKILL):
            if self.child.poll() is not None:
                return
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.pid, number)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.child.wait(15)


def answers(url):
    """Whether the address answers 200 now."""
    try:
        with urllib.request.urlopen(url, timeout=5) as response:
            return response.status == 200
    except OSError:
        return False


def status_mib(pid, key):
    """A line of /proc/PID/status, such as VmRSS, RssFile or VmHWM, in MiB."""
    with open(f"/proc/{pid}/status") as status:
        for line in status:
            if line.startswith(key + ":"):
                return int(line.split()[1]) / 1024
    return 0.0


def cpu_seconds(pid):
    with open(f"/proc/{pid}/stat") as stat:
        fields = stat.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


class Heptad(Process):
    """Our server, on a free port, with a data folder of its own. `settings` is YAML that goes on
    with `inference:`, in which limits per user are out of the way."""

    def __init__(self, threads=0, inference="", data=None):
        if not os.access(BINARY, os.X_OK):
            raise SystemExit(f"There is no {BINARY}; run `make build`.")
        self.folder = data or tempfile.mkdtemp(prefix="heptad-bench-")
        self.keeps_folder = data is not None
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        settings = os.path.join(self.folder, "bench.yaml")
        with open(settings, "w") as file:
            file.write(
                "gateway:\n  requests_per_minute: 1000000\n  requests_burst: 1000000\n"
                "  streams_max: 10000\n"
                f"inference:\n  local:\n    threads: {threads}\n{inference}")
        super().__init__(
            [BINARY, "serve", "--config", settings, "--data", self.folder, "--models", MODELS,
             "--host", "127.0.0.1", "--port", str(self.port)],
            log=os.path.join(self.folder, "bench.log"))
        try:
            self.seconds_to_ready = self.wait_until(lambda: answers(self.url + "/readyz"))
        except BaseException:
            self.__exit__()
            raise

    @property
    def headers(self):
        """Acts as the owner, as the command line does."""
        with open(os.path.join(self.folder, "run/server.json")) as file:
            return {"Authorization": "Bearer " + json.load(file)["token"]}

    def __exit__(self, *details):
        super().__exit__(*details)
        if not self.keeps_folder:
            shutil.rmtree(self.folder, ignore_errors=True)


def request(port, method, path, body=None, headers=None, kind="application/json"):
    """The decoded answer; raises with the server's words when it is none of 2xx."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=300)
    try:
        if body is not None and not isinstance(body, bytes):
            body = json.dumps(body).encode()
        connection.request(method, path, body, {"Content-Type": kind, **(headers or {})})
        response = connection.getresponse()
        answer = response.read()
        if response.status >= 300:
            raise RuntimeError(f"{method} {path}: {response.status} {answer[:500]!r}")
        return json.loads(answer) if answer else None
    finally:
        connection.close()
