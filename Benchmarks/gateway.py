#!/usr/bin/env python3
"""What the gateway adds to a hosted model on its way to a mock provider on this machine, beside nginx
as a plain reverse proxy (the limit) and LiteLLM's proxy (what a user would pick): requests/s and CPU
time at saturation, added latency at a fixed rate, streams, memory, and where the CPU time goes. The
load generator, the mock and all gateways share the cores, so CPU seconds are the least disturbed."""
import argparse
import contextlib
import json
import os
import shutil
import subprocess
import tempfile

from common import ROOT, Heptad, Process, answers, cpu_seconds, figure, free_port, note, request, \
    status_mib
from gateway_layers import layers

SUITE = "gateway"
SOURCES = os.path.join(os.path.dirname(os.path.abspath(__file__)), "gateway")
BUILT = os.path.join(ROOT, ".build/bench-gateway")
LITELLM = os.path.join(ROOT, ".build/litellm-venv")
LITELLM_VERSION = "litellm[proxy]==1.106.2"
MODELS = ["mock-t20", "mock-t100-i50", "mock-t20-i50"]
KEY = "sk-bench"
PARTS = ["saturation", "latency", "streams", "memory", "layers"]
PEERS = ["nginx", "litellm"]


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=PARTS)
    parser.add_argument("--peers", nargs="*", choices=PEERS, default=PEERS)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--connections", type=int, default=32, help="at saturation")
    parser.add_argument("--seconds", type=float, default=4)
    parser.add_argument("--rate", type=int, default=500, help="requests/s for latency")
    parser.add_argument("--streams", type=int, default=1000)
    parser.add_argument("--requests", type=int, default=200_000, help="for memory")
    parser.add_argument("--only", choices=["peer"], help="the mock alone, to see that it runs")
    options = parser.parse_args()

    load, mock = build("loadgen"), build("mockup")
    port = free_port()
    with contextlib.ExitStack() as stack:
        upstream = stack.enter_context(Process([mock, str(port)]))
        direct = Gateway("direct", port, KEY, upstream.pid, load)
        upstream.wait_until(lambda: direct.run(seconds=0.1)["requests"] > 0)
        if options.only:
            note(direct.run(options.connections, options.seconds))
            return
        ours = heptad(stack, port, load)
        peers = {"direct": direct}
        for name in options.peers:
            peer = {"nginx": nginx, "litellm": litellm}[name](stack, port, load)
            if peer:
                peers[name] = peer
        for gateway in [ours, *peers.values()]:
            gateway.run(8, 1)
        for part in options.parts:
            globals()[part](ours, peers, options)


# --- What is measured


def saturation(ours, peers, options):
    """Closed loop: every connection asks again as soon as it is answered."""
    runs = {gateway: [] for gateway in [ours, *peers.values()]}
    for _ in range(options.rounds):
        for gateway, results in runs.items():
            results.append(gateway.measured(options.connections, options.seconds))
    for peer in peers.values():
        figure(SUITE, "saturation_rps", "1/s", column(runs[ours], "rps"), peer.name,
               column(runs[peer], "rps"), connections=options.connections)
        if peer.name != "direct":
            figure(SUITE, "cpu_s_per_1k_requests", "s", column(runs[ours], "cpu"), peer.name,
                   column(runs[peer], "cpu"), connections=options.connections)
    # As a peer publishes its own: ten connections, all that two cores give.
    ten = [ours.run(10, options.seconds) for _ in range(options.rounds)]
    for metric, unit in (("rps", "1/s"), ("p50_ms", "ms"), ("p99_ms", "ms")):
        figure(SUITE, f"ten_connections_{metric}", unit, column(ten, metric), connections=10)


def latency(ours, peers, options):
    """Open loop: requests are due at a fixed rate, whatever became of those before."""
    runs = {gateway: [] for gateway in [ours, *peers.values()]}
    for _ in range(options.rounds):
        for gateway, results in runs.items():
            if gateway.name == "litellm" and options.rate > 100:
                continue  # More than it can take: its queue only grows.
            results.append(gateway.run(256, options.seconds, options.rate))
    bare = runs[peers["direct"]]
    for quantile in ("p50", "p99"):
        def added(gateway):
            return [run[quantile + "_ms"] - base[quantile + "_ms"]
                    for run, base in zip(runs[gateway], bare)]
        for peer in peers.values():
            if peer.name == "direct" or not runs[peer]:
                continue
            figure(SUITE, "added_latency_ms", "ms", added(ours), peer.name, added(peer),
                   rate=options.rate, quantile=quantile)
        if len(peers) == 1:
            figure(SUITE, "added_latency_ms", "ms", added(ours), rate=options.rate,
                   quantile=quantile)


def streams(ours, peers, options):
    """Streams of 100 tokens at 20 a second: all of them, on time."""
    for gateway in [ours, *(peer for peer in peers.values() if peer.name != "litellm")]:
        first = gateway.stream(20, "mock-t20-i50", ramp=2000)
        run = gateway.stream(options.streams, "mock-t100-i50", ramp=2000)
        name = "stream" if gateway is ours else f"{gateway.name}_stream"
        lost = options.streams * 100 - run["tokens"]
        figure(SUITE, name + "_first_token_p99_ms", "ms", [first["ttfb_p99_ms"]], streams=20)
        for metric, value, unit in (
                ("tokens_lost", lost, ""), ("first_token_p99_ms", run["ttfb_p99_ms"], "ms"),
                ("gap_p99_ms", run["gap_p99_ms"], "ms"), ("total_p50_ms", run["p50_ms"], "ms"),
                ("cpu_s_per_1k_tokens", run["cpu"], "s"),
                ("rss_mib", status_mib(gateway.pid, "VmRSS"), "MiB")):
            figure(SUITE, f"{name}_{metric}", unit, [value], streams=options.streams)


def memory(ours, peers, options):
    before = status_mib(ours.pid, "VmRSS")
    figure(SUITE, "rss_mib", "MiB", [before])
    left = options.requests
    while left > 0:
        done = ours.run(options.connections, 10)["requests"]
        if not done:
            raise RuntimeError("nothing is answered any more")
        left -= done
    figure(SUITE, "rss_after_mib", "MiB", [status_mib(ours.pid, "VmRSS")],
           requests=options.requests)


def column(runs, key):
    return [run[key] for run in runs]


# --- Who is measured


class Gateway:
    def __init__(self, name, port, key, pid, load, workers=()):
        self.name, self.port, self.key, self.pid, self.load = name, port, key, pid, load
        self.workers = workers

    def run(self, connections=4, seconds=1.0, rate=0):
        more = ["-r", str(rate), "-w", "0.5"] if rate else []
        return self.ask(["-m", MODELS[0], "-c", str(connections), "-s", str(seconds), "-t", "20",
                         *more], seconds + 60)

    def stream(self, count, model, ramp):
        before = self.cpu()
        run = self.ask(["-S", "-m", model, "-c", str(count), "-R", str(ramp), "-t", "120"], 180)
        return run | {"cpu": (self.cpu() - before) * 1000 / max(1, run["tokens"])}

    def measured(self, connections, seconds):
        before = self.cpu()
        run = self.run(connections, seconds)
        return run | {"cpu": (self.cpu() - before) * 1000 / max(1, run["requests"])}

    def cpu(self):
        return sum(cpu_seconds(pid) for pid in [self.pid, *children(self.pid)])

    def ask(self, arguments, timeout):
        ended = subprocess.run([self.load, "-p", str(self.port), "-a", self.key, *arguments],
                               capture_output=True, text=True, timeout=timeout)
        if ended.returncode != 0:
            return {"requests": 0}
        result = json.loads(ended.stdout)
        if result["errors"] or result["non200"]:
            note(f"{self.name}: {result['errors']} errors, {result['non200']} refusals")
        return result


def heptad(stack, mock_port, load):
    """Ours with authentication by key, metering at a price, the ledger and tracing."""
    models = "".join(f"    {model}:\n      candidates: [mock/{model}]\n" for model in MODELS)
    server = stack.enter_context(Heptad(inference=(
        f"  providers:\n    mock:\n      base_url: http://127.0.0.1:{mock_port}/v1\n"
        f"      api_key: {KEY}\n      concurrency_max: 2000\n"
        f"  models:\n{models}egress:\n  requests_max: 4096\naccounting:\n  prices:\n    \"mock/*\":\n"
        "      input_dollars_per_million: \"1\"\n      output_dollars_per_million: \"2\"\n")))
    key = request(server.port, "POST", "/api/keys", {"name": "bench"}, server.headers)["key"]
    return Gateway("heptad", server.port, key, server.pid, load)


def nginx(stack, mock_port, load):
    program = shutil.which("nginx", path=os.environ.get("PATH", "") + ":/usr/sbin")
    if not program:
        note("nginx is not installed; it is left out")
        return None
    folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="heptad-bench-nginx-"))
    port = free_port()
    paths = "".join(f"{kind}_temp_path {folder}/{kind}; "
                    for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
    with open(f"{folder}/nginx.conf", "w") as file:
        file.write(f"""worker_processes 2; daemon off; pid {folder}/pid; error_log {folder}/log warn;
{"user root;" if os.getuid() == 0 else ""}
events {{ worker_connections 4096; }}
http {{ access_log off; {paths} keepalive_requests 1000000;
  upstream mock {{ server 127.0.0.1:{mock_port}; keepalive 256; keepalive_requests 1000000; }}
  server {{ listen 127.0.0.1:{port} reuseport;
    location / {{ proxy_pass http://mock; proxy_http_version 1.1; proxy_set_header Connection "";
      proxy_buffering off; proxy_read_timeout 300s; }} }} }}""")
    process = stack.enter_context(
        Process([program, "-c", f"{folder}/nginx.conf", "-p", folder, "-e", f"{folder}/log"]))
    gateway = Gateway("nginx", port, KEY, process.pid, load)
    process.wait_until(lambda: gateway.run(seconds=0.1)["requests"] > 0)
    return gateway


def litellm(stack, mock_port, load):
    """Two workers, nothing switched on but the key; from the Python package index."""
    program = os.path.join(LITELLM, "bin/litellm")
    if not os.path.exists(program):
        subprocess.run(["python3", "-m", "venv", LITELLM], check=True)
        subprocess.run([f"{LITELLM}/bin/python", "-m", "pip", "install", "--quiet",
                        LITELLM_VERSION], check=True)
    folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="heptad-bench-litellm-"))
    port = free_port()
    models = [{"model_name": model, "litellm_params": {
        "model": "openai/" + model, "api_base": f"http://127.0.0.1:{mock_port}/v1",
        "api_key": KEY, "input_cost_per_token": 1e-6, "output_cost_per_token": 2e-6}}
        for model in MODELS]
    with open(f"{folder}/config.yaml", "w") as file:  # JSON is YAML.
        json.dump({"model_list": models, "general_settings": {"master_key": KEY},
                   "litellm_settings": {"telemetry": False, "num_retries": 0}}, file)
    os.environ.update(LITELLM_LOCAL_MODEL_COST_MAP="True", LITELLM_MODE="PRODUCTION",
                      LITELLM_LOG="ERROR", LITELLM_TELEMETRY="False", NO_DOCS="True",
                      DISABLE_ADMIN_UI="True")
    process = stack.enter_context(Process(
        [program, "--config", f"{folder}/config.yaml", "--host", "127.0.0.1", "--port", str(port),
         "--num_workers", "2"], log=f"{folder}/log"))
    process.wait_until(lambda: answers(f"http://127.0.0.1:{port}/health/liveliness"), 180, 0.5)
    return Gateway("litellm", port, KEY, process.pid, load)


def children(pid):
    """All processes below one."""
    found = []
    with contextlib.suppress(OSError):
        with open(f"/proc/{pid}/task/{pid}/children") as file:
            for child in map(int, file.read().split()):
                found += [child, *children(child)]
    return found


def build(name):
    source, built = os.path.join(SOURCES, name + ".c"), os.path.join(BUILT, name)
    os.makedirs(BUILT, exist_ok=True)
    if not os.path.exists(built) or os.path.getmtime(built) < os.path.getmtime(source):
        compiler = os.environ.get("CC", "clang")
        subprocess.run([compiler, "-O2", "-w", "-o", built, source], check=True)
    return built


if __name__ == "__main__":
    main()
