#!/usr/bin/env python3
"""Quality of search on retrieval sets: by words, by meaning, by both. The sets are folders in BEIR's
layout (corpus.jsonl, queries.jsonl, qrels/test.tsv) under HEPTAD_IR or --sets; none is in the
repository. And the time of a whole search, the memory of an index, and the speed of uploads, on made text
and made vectors (--skip-quality and --skip-speed leave one of the two out)."""
import argparse
import json
import os
import subprocess
import tempfile

from common import BINARY, EMBEDDING_MODEL, MODELS, ROOT, figure, note, status_mib

SUITE = "retrieval"
METRICS = {"nDCGAt10": "ndcg_at_10", "recallAt10": "pass_at_10", "recallAt100": "recall_at_100",
           "reciprocalRankAt10": "mrr_at_10"}


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sets", default=os.environ.get(
        "HEPTAD_IR", os.path.join(ROOT, "Benchmarks/ir")), help="the folder of the sets")
    parser.add_argument("--passages", type=int, default=100_000, help="for the time of a search")
    parser.add_argument("--loaded", type=int, default=50_000, help="for memory, at most --passages")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--skip-quality", action="store_true")
    parser.add_argument("--skip-speed", action="store_true")
    options = parser.parse_args()
    if not os.access(BINARY, os.X_OK):
        raise SystemExit(f"There is no {BINARY}; run `make build`.")
    if not options.skip_speed:
        with tempfile.TemporaryDirectory(prefix="heptad-bench-") as folder:
            speed(folder, options)
    if not options.skip_quality:
        quality(options)


def speed(folder, options):
    note(f"retrieval: {options.loaded} passages of made text are indexed, which takes a minute")
    with Library(folder) as library:
        note("filled", library.ask(f"fill {options.loaded}"))
    with Library(folder) as library:
        figure(SUITE, "loaded_rss_mib", "MiB", [library.memory_growth()], passages=options.loaded)
    more = options.passages - options.loaded
    with Library(folder) as library:
        if more > 0:
            note("filled", library.ask(f"fill {more}"))
        library.ask("search 50")
        rounds = [sorted(library.ask("search 300")["milliseconds"]) for _ in range(options.rounds)]
        for name, share in [("p50", 0.5), ("p99", 0.99)]:
            times = [one[min(len(one) - 1, int(len(one) * share))] for one in rounds]
            figure(SUITE, f"step_{name}_ms", "ms", times, passages=options.passages)
    with tempfile.TemporaryDirectory(prefix="heptad-bench-") as empty, Library(empty) as library:
        library.ask("ingest 1")
        runs = [library.ask("ingest 8") for _ in range(options.rounds)]
        figure(SUITE, "ingest_passages_per_s", "1/s", [one["passages"] / one["seconds"] for one in runs],
               "embedder", [one["passages"] / one["embedder_seconds"] for one in runs])


class Library:
    """A library in a process of its own, with the embedding model of the appliance."""

    def __init__(self, folder):
        self.process = subprocess.Popen(
            [BINARY, "bench-retrieval", "--folder", folder, "--models", MODELS, "--model",
             EMBEDDING_MODEL], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def ask(self, line):
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()
        answer = self.process.stdout.readline()
        if not answer:
            raise SystemExit(f"bench-retrieval ended with {self.process.wait(10)}.")
        return json.loads(answer)

    def memory_growth(self):
        """What searching takes beyond the process with its model loaded."""
        self.ask("embed 1")
        before = status_mib(self.process.pid, "VmRSS")
        self.ask("search 200")
        return status_mib(self.process.pid, "VmRSS") - before

    def __enter__(self):
        return self

    def __exit__(self, *failure):
        self.process.stdin.close()
        self.process.wait(60)


def quality(options):
    sets = [entry.path for entry in sorted(os.scandir(options.sets), key=lambda one: one.name)
            if os.path.exists(os.path.join(entry.path, "corpus.jsonl"))] \
        if os.path.isdir(options.sets) else []
    if not sets:
        note(f"retrieval: no set in {options.sets}; Benchmarks/README.md says where to get some.")
        return
    for path in sets:
        report = measure(path)
        for row in report["figures"]:
            parameters = {"set": report["dataset"], "lane": row["lane"]}
            for key, name in METRICS.items():
                figure(SUITE, name, "", [row["metrics"][key]], **parameters)
            figure(SUITE, "search_ms", "ms", [row["millisecondsPerQuery"]], **parameters)


def measure(path):
    note(f"retrieval: {path}; the first time its vectors are made, which takes minutes")
    process = subprocess.run(
        [BINARY, "eval", "retrieval", path, "--json", "--models", MODELS,
         "--model", EMBEDDING_MODEL],
        stdout=subprocess.PIPE, text=True, timeout=7200)
    if process.returncode != 0:
        raise SystemExit(f"eval retrieval {path}: {process.returncode}")
    return json.loads(process.stdout)


if __name__ == "__main__":
    main()
