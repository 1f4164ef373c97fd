#!/usr/bin/env python3
"""What the gateway adds to a hosted model: requests/s, CPU time, latency and memory on the way to a
mock provider on this machine, beside the mock alone. The load generator, the mock and we share the
cores, so CPU seconds are the least disturbed figure."""
import argparse
import json
import os
import subprocess

from common import ROOT, Heptad, Process, cpu_seconds, figure, free_port, note, status_mib

SUITE = "gateway"
SOURCES = os.path.join(os.path.dirname(os.path.abspath(__file__)), "gateway")
BUILT = os.path.join(ROOT, ".build/bench-gateway")
MODEL = "mock-t20"
KEY = "sk-bench"


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--connections", type=int, default=32)
    parser.add_argument("--seconds", type=float, default=4)
    parser.add_argument("--rate", type=int, default=200, help="requests/s for latency")
    parser.add_argument("--only", choices=["peer"], help="the mock alone, to see that it runs")
    options = parser.parse_args()

    load, mock = build("loadgen"), build("mockup")
    port = free_port()
    with Process([mock, str(port)]) as upstream:
        upstream.wait_until(lambda: run(load, port, KEY, seconds=0.1)["requests"] > 0)
        if options.only:
            note(run(load, port, KEY, options.connections, options.seconds))
            return
        settings = (f"  providers:\n    mock:\n      base_url: http://127.0.0.1:{port}/v1\n"
                    f"      api_key: {KEY}\n"
                    f"  models:\n    {MODEL}:\n      candidates: [mock/{MODEL}]\n")
        with Heptad(inference=settings) as server:
            measure(server, load, port, options)


def measure(server, load, mock_port, options):
    token = server.headers["Authorization"].removeprefix("Bearer ")
    run(load, server.port, token, options.connections, 1)
    rates, direct, cpu, added = [], [], [], {"p50": [], "p99": []}
    for _ in range(options.rounds):
        before = cpu_seconds(server.pid)
        ours = run(load, server.port, token, options.connections, options.seconds)
        cpu.append((cpu_seconds(server.pid) - before) * 1000 / ours["requests"])
        rates.append(ours["rps"])
        direct.append(run(load, mock_port, KEY, options.connections, options.seconds)["rps"])

        slow = run(load, server.port, token, 64, options.seconds, options.rate)
        bare = run(load, mock_port, KEY, 64, options.seconds, options.rate)
        for quantile, runs in added.items():
            runs.append(slow[quantile + "_ms"] - bare[quantile + "_ms"])
    figure(SUITE, "saturation_rps", "1/s", rates, "direct", direct,
           connections=options.connections)
    figure(SUITE, "cpu_s_per_1k_requests", "s", cpu, connections=options.connections)
    for quantile, runs in added.items():
        figure(SUITE, "added_latency_ms", "ms", runs, rate=options.rate, quantile=quantile)
    figure(SUITE, "rss_mib", "MiB", [status_mib(server.pid, "VmRSS")])


def run(load, port, key, connections=4, seconds=1.0, rate=0):
    arguments = [load, "-p", str(port), "-a", key, "-m", MODEL, "-c", str(connections),
                 "-s", str(seconds), "-t", "10"]
    if rate:
        arguments += ["-r", str(rate), "-w", "0.5"]
    ended = subprocess.run(arguments, capture_output=True, text=True, timeout=seconds + 30)
    if ended.returncode != 0:
        return {"requests": 0}
    result = json.loads(ended.stdout)
    if result["errors"] or result["non200"]:
        note(f"port {port}: {result['errors']} errors, {result['non200']} refusals")
    return result


def build(name):
    source, built = os.path.join(SOURCES, name + ".c"), os.path.join(BUILT, name)
    os.makedirs(BUILT, exist_ok=True)
    if not os.path.exists(built) or os.path.getmtime(built) < os.path.getmtime(source):
        compiler = os.environ.get("CC", "clang")
        subprocess.run([compiler, "-O2", "-w", "-o", built, source], check=True)
    return built


if __name__ == "__main__":
    main()
