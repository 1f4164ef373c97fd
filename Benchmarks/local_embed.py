#!/usr/bin/env python3
"""Embeddings of the built-in model beside onnxruntime: both in a process of their own, the same token
ids, as many threads, at the same priority, in turns. Ours in single precision beside theirs, and our
default beside their int8; of their graphs, plain and fused, the faster counts."""
import argparse
import contextlib
import json
import os
import statistics
import subprocess
import sys
import tempfile

import embed_peer
from common import BINARY, EMBEDDING_MODEL, MODELS, figure, note

SUITE = "local"
PEER = "onnxruntime"
# Our engine's threads run at this priority, so that serving goes first; the peer's do here too.
NICENESS = 10
WORDS = ("time year people way day man thing woman life child world school state family student "
         "group").split()
# Ours, and what it is measured beside.
MODES = {"float32": ["float32", "float32-fused"], "auto": ["int8", "int8-fused"]}
PEER_NAMES = {"float32": PEER + " f32", "auto": PEER + " int8"}


class Worker(contextlib.AbstractContextManager):
    """A child that answers a line of JSON with one."""

    def __init__(self, arguments):
        self.child = subprocess.Popen(
            ["nice", "-n", str(NICENESS), *arguments], stdin=subprocess.PIPE,
            stdout=subprocess.PIPE, text=True)

    def ask(self, **job):
        self.child.stdin.write(json.dumps(job) + "\n")
        self.child.stdin.flush()
        line = self.child.stdout.readline()
        if not line:
            raise RuntimeError(f"{self.child.args} ended with {self.child.wait()}")
        return json.loads(line)

    def __exit__(self, *_):
        self.child.stdin.close()
        try:
            self.child.wait(15)
        except subprocess.TimeoutExpired:
            self.child.kill()


def run(rounds, threads, seconds=0.5):
    """Prints the figures for each count of threads."""
    model = os.path.join(MODELS, EMBEDDING_MODEL)
    with tempfile.TemporaryDirectory(prefix="heptad-bench-") as graphs:
        embed_peer.export(model, graphs)
        for count in threads:
            measure(model, graphs, rounds, count, seconds)


def measure(model, graphs, rounds, threads, seconds):
    with open(os.path.join(model, "vocab.txt"), encoding="utf-8") as file:
        vocabulary = {line.rstrip("\n"): number for number, line in enumerate(file)}
    with contextlib.ExitStack() as stack:
        ours = {mode: stack.enter_context(Worker(
            [BINARY, "bench-embeddings", EMBEDDING_MODEL, "--models", MODELS,
             "--threads", str(threads), "--precision", mode])) for mode in MODES}
        peer = stack.enter_context(Worker(
            [sys.executable, embed_peer.__file__, graphs, "--threads", str(threads)]))
        for tokens in (16, 64, 256):
            for batch in (1, 32):
                # Each word is one token; two more stand around them.
                rows = [[WORDS[(row + place * 7) % 16] for place in range(tokens - 2)]
                        for row in range(batch)]
                texts = [" ".join(row) for row in rows]
                ids = [[vocabulary[word] for word in ["[CLS]", *row, "[SEP]"]] for row in rows]
                for mode, kinds in MODES.items():
                    # None is our side: a mode of ours and a graph of the peer's may share a name.
                    rates = {kind: [] for kind in [None, *kinds]}
                    for round in range(rounds + 1):
                        # The first round warms up. Who goes first changes.
                        for kind in list(rates) if round % 2 else reversed(rates):
                            answer = (
                                ours[mode].ask(texts=texts, seconds=seconds) if kind is None
                                else peer.ask(ids=ids, kind=kind, seconds=seconds))
                            rates[kind] += [answer["sentences_per_s"]] if round else []
                            if answer.get("tokens", tokens * batch) != tokens * batch:
                                note(f"embed: {answer['tokens']} tokens were counted")
                    best = max(kinds, key=lambda kind: statistics.median(rates[kind]))
                    figure(SUITE, "embed_sentences_per_s", "1/s", rates[None], PEER_NAMES[mode],
                           rates[best], tokens=tokens, batch=batch, threads=threads,
                           mode="f32" if mode == "float32" else "default", peer_graph=best)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    options = parser.parse_args()
    run(options.rounds, options.threads)


if __name__ == "__main__":
    main()
