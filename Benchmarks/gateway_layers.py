"""Where a request's CPU time goes, by layer: samples of `perf`, each counted for the module whose code
was nearest to where it was taken. What the runtime or the kernel does is its caller's, as far as
frames can be followed; the rest stands under its own name."""
import collections
import os
import re
import shutil
import subprocess
import tempfile

from common import figure, note

MODULES = {
    "Gateway": "gateway", "Hummingbird": "http", "HummingbirdCore": "http", "NIOCore": "http",
    "NIOPosix": "http", "NIOHTTP1": "http", "NIOHTTPTypes": "http", "NIOHTTPTypesHTTP1": "http",
    "Inference": "inference", "Egress": "egress", "Accounting": "accounting",
    "Observability": "observability", "Core": "core", "Storage": "sqlite", "GRDB": "sqlite",
}
MANGLED = re.compile(r"\$s(\d+)")
HERTZ = 2000


def layers(ours, peers, options):
    if not shutil.which("perf"):
        note("perf is not installed, so the CPU time is not split by layer")
        return
    with tempfile.TemporaryDirectory(prefix="heptad-bench-perf-") as folder:
        record = subprocess.Popen(
            ["perf", "record", "-q", "-e", "cpu-clock", "-F", str(HERTZ), "-g", "-o",
             f"{folder}/data", "-p", str(ours.pid)],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        run = ours.measured(options.connections, options.seconds)
        record.send_signal(2)
        record.wait(30)
        counts = attributed(f"{folder}/data")
    total = sum(counts.values())
    if not total:
        note("perf took no samples")
        return
    for layer, count in counts.most_common():
        figure("gateway", "cpu_us_per_request_by_layer", "us",
               [run["cpu"] * 1000 * count / total], layer=layer, share=round(count / total, 3))


def attributed(path):
    script = subprocess.Popen(
        ["perf", "script", "-i", path, "-F", "ip,sym,dso", "--no-demangle"],
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, errors="replace",
        env=os.environ | {"LC_ALL": "C"})
    counts, frames = collections.Counter(), []
    for line in script.stdout:
        line = line.strip()
        if line:
            frames.append(line)
            continue
        if frames:
            counts[layer_of(frames)] += 1
        frames = []
    script.wait()
    return counts


def layer_of(frames):
    for frame in frames:
        if "libsqlite3" in frame:
            return "sqlite"
        if "libcurl" in frame:
            return "egress"
        found = MANGLED.search(frame)
        if found:
            start = found.end()
            module = frame[start:start + int(found[1])]
            if module in MODULES:
                return MODULES[module]
    if "[kernel" in frames[0]:
        return "kernel"
    return "runtime"
