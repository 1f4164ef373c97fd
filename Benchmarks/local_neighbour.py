#!/usr/bin/env python3
"""What the engine costs the rest of the machine: how soon the server answers while the engine is
busy, what an idle engine burns, and whether a minute of clients that come and go leaves anything."""
import argparse
import http.client
import json
import os
import random
import re
import subprocess
import sys
import threading
import time
import urllib.request

from common import Heptad, figure, note, status_mib
from local_chat import ours_endpoint

SUITE = "local"
BUSY_STREAMS = 8
SOAK_STREAMS = 4
PARTS = ("healthz", "idle", "soak")


def run(threads=2, seconds=10, soak_seconds=60, parts=PARTS):
    with Heptad(threads=threads) as server:
        endpoint = ours_endpoint(server)
        if "healthz" in parts:
            healthz(server, endpoint, threads, seconds)
        if "idle" in parts:
            idle(server, endpoint, threads, seconds)
    if "soak" in parts:
        # What was read of conversations is kept for reuse, which is no leak; here for a second only.
        with Heptad(threads=threads, inference="    cache_seconds: 1.0\n") as server:
            soak(server, ours_endpoint(server), threads, soak_seconds)


class Streams:
    """So many clients, each of which asks again when its answer has come, until the block ends."""

    def __init__(self, endpoint, count, seen=None, tokens=256):
        self.endpoint, self.seen, self.tokens = endpoint, seen, tokens
        self.is_over = threading.Event()
        self.answers = self.hang_ups = self.busy = 0
        self.failures = []
        self.lock = threading.Lock()
        self.workers = [threading.Thread(target=self.work, args=(number,))
                        for number in range(count)]

    def work(self, number):
        dice = random.Random(number)
        round = 0
        while not self.is_over.is_set():
            round += 1
            limit = self.seen(dice) if self.seen else self.tokens + 1
            question = f"{number} {round} {time.time_ns()}: write a long story."
            try:
                whole = self.endpoint.ask(
                    question, self.tokens,
                    lambda pieces: pieces < limit and not self.is_over.is_set())
                with self.lock:
                    self.answers += whole is not None
                    self.hang_ups += whole is None
            except (RuntimeError, OSError, http.client.HTTPException) as error:
                if self.is_over.is_set():
                    return
                with self.lock:
                    # A full line is an answer too, and says when to come again.
                    self.busy += str(error).startswith(("503", "429"))
                    if not str(error).startswith(("503", "429")):
                        self.failures.append(str(error))
                time.sleep(0.2)

    def __enter__(self):
        for worker in self.workers:
            worker.start()
        return self

    def __exit__(self, *_):
        self.is_over.set()
        for worker in self.workers:
            worker.join()


# In a process of its own: the clients of this one would hold the interpreter's lock.
PROBE = """
import http.client, json, sys, time
connection = http.client.HTTPConnection("127.0.0.1", int(sys.argv[1]), timeout=60)
times, end = [], time.perf_counter() + float(sys.argv[2])
while time.perf_counter() < end:
    began = time.perf_counter()
    connection.request("GET", "/healthz")
    response = connection.getresponse()
    response.read()
    assert response.status == 200
    times.append((time.perf_counter() - began) * 1000)
    time.sleep(0.01)
print(json.dumps(times))
"""


def probe(server, seconds):
    done = subprocess.run([sys.executable, "-c", PROBE, str(server.port), str(seconds)],
                          capture_output=True, text=True, check=True)
    return sorted(json.loads(done.stdout))


def healthz(server, endpoint, threads, seconds):
    with Streams(endpoint, BUSY_STREAMS) as streams:
        time.sleep(1)
        times = probe(server, seconds)
    if streams.failures:
        raise RuntimeError(f"streams failed: {streams.failures[:3]}")
    for quantile, name in ((0.5, "healthz_p50_ms"), (0.99, "healthz_p99_ms")):
        place = min(len(times) - 1, int(quantile * len(times)))
        figure(SUITE, name, "ms", [times[place]], threads=threads, streams=BUSY_STREAMS,
               requests=len(times))


def engine_ticks(pid):
    """Clock ticks of the threads with a lower priority, which are the engine's."""
    ticks = count = 0
    for thread in os.listdir(f"/proc/{pid}/task"):
        with open(f"/proc/{pid}/task/{thread}/stat") as stat:
            fields = stat.read().rsplit(")", 1)[1].split()
        if int(fields[16]) > 0:
            ticks += int(fields[11]) + int(fields[12])
            count += 1
    if not count:
        raise RuntimeError("The process has no thread of the engine's priority.")
    return ticks


def all_ticks(pid):
    with open(f"/proc/{pid}/stat") as stat:
        fields = stat.read().rsplit(")", 1)[1].split()
    return int(fields[11]) + int(fields[12])


def idle(server, endpoint, threads, seconds):
    endpoint.story(1, 32)
    time.sleep(2)
    engine, everything = engine_ticks(server.pid), all_ticks(server.pid)
    time.sleep(seconds)
    figure(SUITE, "idle_engine_ticks", "1/100 s", [engine_ticks(server.pid) - engine],
           threads=threads, seconds=seconds)
    figure(SUITE, "idle_process_ticks", "1/100 s", [all_ticks(server.pid) - everything],
           threads=threads, seconds=seconds)


def calls(server):
    """How many calls the engine says that it runs or keeps waiting; nil where it does not say."""
    wanted = urllib.request.Request(server.url + "/metrics", headers=server.headers)
    with urllib.request.urlopen(wanted, timeout=10) as response:
        text = response.read().decode()
    found = re.findall(r"^heptad_local_calls_(?:running|waiting)(?:\{[^}]*\})? (\S+)$", text, re.M)
    return sum(float(count) for count in found) if found else None


def soak(server, endpoint, threads, seconds):
    """Memory is compared after a round of warming up with as many streams, once what is kept for reuse
    has been given back; it must not grow with the time that follows."""
    def leave_early(dice):
        return dice.choice([1, 2, 5, 20, 60, 1000])

    with Streams(endpoint, SOAK_STREAMS, leave_early, tokens=96):
        time.sleep(min(10, seconds))
    time.sleep(5)
    before = status_mib(server.pid, "VmRSS")
    with Streams(endpoint, SOAK_STREAMS, leave_early, tokens=96) as streams:
        time.sleep(seconds)
    if streams.failures:
        raise RuntimeError(f"streams failed: {streams.failures[:3]}")
    deadline = time.monotonic() + 10
    while calls(server) and time.monotonic() < deadline:
        time.sleep(0.1)
    left = calls(server)
    time.sleep(5)
    after = status_mib(server.pid, "VmRSS")
    note(f"soak: {streams.answers} answers, {streams.hang_ups} hung up on, {streams.busy} told to"
         f" come again; {before:.1f} MiB before, {after:.1f} MiB after")
    shared = {"threads": threads, "streams": SOAK_STREAMS, "seconds": seconds}
    figure(SUITE, "soak_rss_before_mib", "MiB", [before], **shared)
    figure(SUITE, "soak_rss_after_mib", "MiB", [after], **shared)
    if left is not None:
        figure(SUITE, "soak_calls_left", "", [left], **shared)
    # All slots are free when as many as before are served at once.
    began = time.perf_counter()
    endpoint.streams_rate(1)
    figure(SUITE, "soak_four_answers_after_s", "s", [time.perf_counter() - began], **shared)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--soak-seconds", type=float, default=60)
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=PARTS)
    options = parser.parse_args()
    run(options.threads, options.seconds, options.soak_seconds, options.parts)


if __name__ == "__main__":
    main()
