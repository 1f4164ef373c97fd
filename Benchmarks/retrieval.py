#!/usr/bin/env python3
"""Quality of search on retrieval sets: by words, by meaning, by both. The sets are folders in BEIR's
layout (corpus.jsonl, queries.jsonl, qrels/test.tsv) under HEPTAD_IR or --sets; none is in the
repository."""
import argparse
import json
import os
import subprocess

from common import BINARY, EMBEDDING_MODEL, MODELS, ROOT, figure, note

SUITE = "retrieval"
METRICS = {"nDCGAt10": "ndcg_at_10", "recallAt10": "pass_at_10", "recallAt100": "recall_at_100",
           "reciprocalRankAt10": "mrr_at_10"}


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sets", default=os.environ.get(
        "HEPTAD_IR", os.path.join(ROOT, "Benchmarks/ir")), help="the folder of the sets")
    options = parser.parse_args()
    if not os.access(BINARY, os.X_OK):
        raise SystemExit(f"There is no {BINARY}; run `make build`.")
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
