#!/usr/bin/env python3
"""One exact search after the other over unit vectors: our index, faiss's flat one, and numpy. The
ten best of 100,000 x 384; each side uses all cores in its own way."""
import argparse
import json
import os
import subprocess
import time

import faiss
import numpy

from common import BINARY, figure, note

SUITE = "vector"
BEST = 10


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--dimensions", type=int, default=384)
    parser.add_argument("--queries", type=int, default=50, help="in each round")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", choices=["peers"], help="without our binary")
    options = parser.parse_args()

    random = numpy.random.default_rng(7)
    base = unit(random, options.rows, options.dimensions)
    queries = unit(random, options.queries, options.dimensions)
    index = faiss.IndexFlatIP(options.dimensions)
    index.add(base)
    peers = {"faiss": lambda query: index.search(query[None], BEST)[1][0],
             "numpy": lambda query: best(base @ query)}
    check(peers, queries)

    ours, theirs = [], {name: [] for name in peers}
    for _ in range(options.rounds):
        if not options.only:
            ours.append(heptad(options))
        for name, search in peers.items():
            began = time.perf_counter()
            for query in queries:
                search(query)
            theirs[name].append((time.perf_counter() - began) * 1000 / len(queries))
    for name, runs in theirs.items():
        if options.only:
            note(name, sorted(runs)[len(runs) // 2], "ms a query")
            continue
        parameters = {"rows": options.rows, "dimensions": options.dimensions}
        figure(SUITE, "exact_qps", "1/s", [1000 / ms for ms in ours], name,
               [1000 / ms for ms in runs], **parameters)
        figure(SUITE, "exact_ms", "ms", ours, name, runs, **parameters)


def unit(random, rows, dimensions):
    vectors = random.standard_normal((rows, dimensions), dtype=numpy.float32)
    return vectors / numpy.linalg.norm(vectors, axis=1, keepdims=True)


def best(scores):
    found = numpy.argpartition(scores, len(scores) - BEST)[-BEST:]
    return found[numpy.argsort(-scores[found])]


def check(peers, queries):
    """The peers must agree before their speed is worth anything; that also warms them up."""
    for query in queries[:5]:
        found = [set(map(int, search(query))) for search in peers.values()]
        if any(one != found[0] for one in found):
            raise SystemExit(f"The peers disagree: {found}")


def heptad(options):
    """Our index in our binary, over vectors of the same kind."""
    if not os.access(BINARY, os.X_OK):
        raise SystemExit(f"There is no {BINARY}; run `make build`.")
    process = subprocess.run(
        [BINARY, "bench-vectors", "--rows", str(options.rows), "--dimensions",
         str(options.dimensions), "--queries", str(options.queries)],
        capture_output=True, text=True, timeout=300)
    if process.returncode != 0:
        raise SystemExit(f"bench-vectors: {process.stderr[-2000:]}")
    return json.loads(process.stdout.strip().splitlines()[-1])["ms_per_query"]


if __name__ == "__main__":
    main()
