#!/usr/bin/env python3
"""Vector search: our index beside its peers, over the same clustered unit vectors, ten best.

The vectors are a mixture, as embeddings are: 1,000 middles on the sphere (one for 20 rows where there are
fewer), of sizes that fall off like Zipf's, and around each noise with 0.9 times the middle's length.
`--vectors FILE.npy` takes others; the last 1,000 of them are then the questions. Every side answers on one
thread, except where a figure says `threads`. Memory is what a process grew by, in MiB."""
import argparse
import json
import multiprocessing
import os
import subprocess
import tempfile
import time

import numpy

from common import BINARY, figure, note, status_mib

SUITE = "vector"
BEST = 10
QUESTIONS = 1000
PEERS = {"exact": ["faiss", "numpy", "sqlite-vec"], "ann": ["faiss-ivf", "hnswlib", "usearch"]}


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--dimensions", type=int, default=384)
    parser.add_argument("--vectors", help="a .npy file of unit vectors instead of made ones")
    parser.add_argument("--recall", type=float, default=0.99, help="peers are set to reach it")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--kinds", nargs="+", choices=PEERS, default=list(PEERS))
    parser.add_argument("--peers", nargs="*", help="only these")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="heptad-bench-") as folder:
        base, questions = vectors(options)
        base.tofile(folder + "/base.f32")
        questions.tofile(folder + "/questions.f32")
        shape = (len(base), base.shape[1])
        truth = nearest(base, questions)
        filtered = nearest(base[::10], questions) * 10
        del base
        for kind in options.kinds:
            compare(kind, folder, shape, truth, filtered, options)


def vectors(options):
    if options.vectors:
        given = numpy.ascontiguousarray(numpy.load(options.vectors), dtype=numpy.float32)
        return given[:-QUESTIONS], given[-QUESTIONS:]
    random = numpy.random.default_rng(7)
    dimensions = options.dimensions
    count = max(1, min(1000, options.rows // 20))
    middles = random.standard_normal((count, dimensions), dtype=numpy.float32)
    middles /= numpy.linalg.norm(middles, axis=1, keepdims=True)
    weights = 1 / (numpy.arange(count) + 10)

    def draw(rows):
        drawn = numpy.empty((rows, dimensions), numpy.float32)
        for start in range(0, rows, 50_000):
            part = drawn[start:start + 50_000]
            noise = random.standard_normal(part.shape, dtype=numpy.float32)
            chosen = random.choice(count, len(part), p=weights / weights.sum())
            part[:] = middles[chosen] + noise * (0.9 / numpy.sqrt(dimensions))
            part /= numpy.linalg.norm(part, axis=1, keepdims=True)
        return drawn
    return draw(options.rows), draw(QUESTIONS)


def best(scores):
    found = numpy.argpartition(scores, len(scores) - BEST)[-BEST:]
    return found[numpy.argsort(-scores[found])]


def nearest(base, questions):
    return numpy.array([best(row) for start in range(0, len(questions), 100)
                        for row in questions[start:start + 100] @ base.T])


def recall(found, truth):
    shares = [len(set(map(int, one)) & set(map(int, true))) / BEST
              for one, true in zip(found, truth)]
    return float(numpy.mean(shares))


def compare(kind, folder, shape, truth, filtered, options):
    parameters = {"rows": shape[0], "dimensions": shape[1]}
    names = [name for name in PEERS[kind] if not options.peers or name in options.peers]
    ours = Ours(kind, folder, shape)
    sides = {"heptad": ours}
    for name in names:
        try:
            sides[name] = Child(name, folder, shape, truth, options.recall)
        except Exception as problem:
            note(f"{name} takes no part: {problem!r}")
    try:
        results = {name: [] for name in sides}
        for _ in range(options.rounds):
            for name, side in sides.items():
                results[name].append(side.round())
        print_figures(kind, sides, results, truth, parameters)
        share = recall(ours.ask(f"1 {BEST} filtered")["nearest"], filtered)
        figure(SUITE, f"{kind}_filtered_recall", "", [share], **parameters, share=0.1)
        note(kind, "memory at the end, anonymous and of files:", ours.memory_now())
    finally:
        for side in sides.values():
            side.close()


def print_figures(kind, sides, results, truth, parameters):
    found = {name: recall(results[name][0]["nearest"], truth[:len(results[name][0]["nearest"])])
             for name in sides}
    for name, side in sides.items():
        if name == "heptad":
            continue
        pair = parameters | {"recall": round(found["heptad"], 4),
                             "peer_recall": round(found[name], 4)}
        for metric in ["qps", "batch32_qps", "batch32_threads2_qps"]:
            mine = metric.replace("_threads2", "")
            runs = [one[metric] for one in results[name] if metric in one]
            if runs:
                figure(SUITE, f"{kind}_{metric}", "1/s", [one[mine] for one in results["heptad"]],
                       name, runs, **pair)
        figure(SUITE, f"{kind}_build_s", "s", [sides["heptad"].build_s], name, [side.build_s],
               **parameters)
        figure(SUITE, f"{kind}_memory_mib", "MiB", [sides["heptad"].memory_mib], name,
               [side.memory_mib], **parameters)


class Ours:
    """Our index in our binary. Its memory is all it grew by, less the rows as they were given, which
    lie in a file, of which the system keeps what there is room for."""

    def __init__(self, kind, folder, shape):
        if not os.access(BINARY, os.X_OK):
            raise SystemExit(f"There is no {BINARY}; run `make build`.")
        arguments = [BINARY, "bench-vectors", "--rows", folder + "/base.f32", "--queries",
                     folder + "/questions.f32", "--dimensions", str(shape[1])]
        self.exact = kind == "exact"
        self.process = subprocess.Popen(
            arguments + ([] if self.exact else ["--lists"]), stdin=subprocess.PIPE,
            stdout=subprocess.PIPE, text=True)
        built = self.read()
        self.build_s = built["build_seconds"]
        note("heptad", kind, built)

    def read(self):
        line = self.process.stdout.readline()
        if not line:
            raise SystemExit(f"bench-vectors ended with {self.process.wait(10)}.")
        return json.loads(line)

    def ask(self, line):
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()
        return self.read()

    def round(self):
        one, many = self.ask(f"1 {BEST}"), self.ask(f"32 {BEST}")
        memory = self.memory_now()
        self.memory_mib = memory["anonymous"] + memory["lists"]
        return {"nearest": one["nearest"], "qps": QUESTIONS / one["seconds"],
                "batch32_qps": QUESTIONS / many["seconds"]}

    def memory_now(self):
        """By what it is: our own, the mapped lists, the mapped rows."""
        sums, path = {"anonymous": 0, "lists": 0, "rows": 0}, ""
        with open(f"/proc/{self.process.pid}/smaps") as maps:
            for line in maps:
                words = line.split()
                if not words[0].endswith(":"):
                    path = words[5] if len(words) > 5 else ""
                elif words[0] == "Rss:" and path.endswith(".ivf"):
                    sums["lists"] += int(words[1]) / 1024
                elif words[0] == "Rss:" and path.endswith(".f32"):
                    sums["rows"] += int(words[1]) / 1024
                elif words[0] == "Anonymous:":
                    sums["anonymous"] += int(words[1]) / 1024
        return {name: round(size, 1) for name, size in sums.items()}

    def close(self):
        self.process.stdin.close()
        self.process.wait(30)


class Child:
    """A peer in a process of its own, so that its memory is its own."""

    def __init__(self, name, folder, shape, truth, wanted):
        self.pipe, other = multiprocessing.get_context("spawn").Pipe()
        self.process = multiprocessing.get_context("spawn").Process(
            target=serve, args=(other, name, folder, shape, truth, wanted), daemon=True)
        self.process.start()
        other.close()
        built = self.pipe.recv()
        if "problem" in built:
            raise RuntimeError(built["problem"])
        self.build_s, self.memory_mib = built["build_s"], built["memory_mib"]
        note(name, built)

    def round(self):
        self.pipe.send("round")
        return self.pipe.recv()

    def close(self):
        self.pipe.close()
        self.process.join(30)


def serve(pipe, name, folder, shape, truth, wanted):
    try:
        base = numpy.fromfile(folder + "/base.f32", numpy.float32).reshape(shape)
        questions = numpy.fromfile(folder + "/questions.f32", numpy.float32)
        questions = questions.reshape(-1, shape[1])
        peer = MAKERS[name](shape)
        before = status_mib(os.getpid(), "RssAnon")
        began = time.perf_counter()
        peer.build(base)
        build_s = time.perf_counter() - began
        memory = status_mib(os.getpid(), "RssAnon") - before
        del base
        effort = settle(peer, questions, truth, wanted)
        pipe.send({"build_s": build_s, "memory_mib": memory, "effort": effort})
        while True:
            pipe.recv()
            pipe.send(measure(peer, questions))
    except EOFError:
        pass
    except Exception as problem:
        pipe.send({"problem": repr(problem)})


def settle(peer, questions, truth, wanted):
    """The least effort that reaches the recall: found on the very questions, to the peer's gain."""
    for effort in peer.efforts:
        peer.set(effort)
        if recall([peer.one(question) for question in questions], truth) >= wanted:
            return effort
    return peer.efforts[-1] if peer.efforts else None


def measure(peer, questions, seconds=3):
    answers, began = [], time.perf_counter()
    for question in questions:
        answers.append(peer.one(question))
        if time.perf_counter() - began > seconds:
            break
    result = {"nearest": answers, "qps": len(answers) / (time.perf_counter() - began)}
    for threads, metric in [(1, "batch32_qps"), (2, "batch32_threads2_qps")]:
        count, began = 0, time.perf_counter()
        for start in range(0, len(questions), 32):
            if peer.batch(questions[start:start + 32], threads) is None:
                return result
            count += len(questions[start:start + 32])
            if time.perf_counter() - began > seconds:
                break
        result[metric] = count / (time.perf_counter() - began)
    return result


class Peer:
    efforts = ()

    def __init__(self, shape):
        self.shape = shape

    def batch(self, questions, threads):
        return None


class Faiss(Peer):
    def build(self, base):
        import faiss
        self.faiss = faiss
        self.make(base)
        faiss.omp_set_num_threads(1)

    def make(self, base):
        self.index = self.faiss.IndexFlatIP(self.shape[1])
        self.index.add(base)

    def one(self, question):
        return self.index.search(question[None], BEST)[1][0]

    def batch(self, questions, threads):
        self.faiss.omp_set_num_threads(threads)
        found = self.index.search(questions, BEST)[1]
        self.faiss.omp_set_num_threads(1)
        return found


class FaissLists(Faiss):
    """Four lists for each square root of the rows, and ten rounds of training: faiss's own advice. It
    builds on two threads."""
    efforts = (2, 4, 6, 8, 10, 12, 16, 20, 24, 32, 48, 64, 96, 128)

    def make(self, base):
        lists = int(4 * numpy.sqrt(len(base)))
        quantizer = self.faiss.IndexFlatIP(self.shape[1])
        self.index = self.faiss.IndexIVFFlat(
            quantizer, self.shape[1], lists, self.faiss.METRIC_INNER_PRODUCT)
        self.quantizer = quantizer
        self.index.cp.niter = 10
        self.index.train(numpy.ascontiguousarray(base[::max(1, len(base) // (lists * 39))]))
        self.index.add(base)

    def set(self, effort):
        self.index.nprobe = effort


class Numpy(Peer):
    def build(self, base):
        self.base = base.copy()

    def one(self, question):
        return best(self.base @ question)

    def batch(self, questions, threads):
        if threads > 1:
            return None
        return [best(row) for row in questions @ self.base.T]


class Hnswlib(Peer):
    efforts = (16, 32, 64, 96, 128, 192, 256, 384)

    def build(self, base):
        import hnswlib
        self.index = hnswlib.Index(space="ip", dim=self.shape[1])
        self.index.init_index(max_elements=len(base), ef_construction=100, M=16)
        self.index.set_num_threads(2)
        self.index.add_items(base)

    def set(self, effort):
        self.index.set_ef(effort)

    def one(self, question):
        return self.index.knn_query(question, k=BEST, num_threads=1)[0][0]

    def batch(self, questions, threads):
        return self.index.knn_query(questions, k=BEST, num_threads=threads)[0]


class Usearch(Peer):
    efforts = (16, 32, 64, 96, 128, 192, 256, 384)

    def build(self, base):
        from usearch.index import Index
        self.index = Index(ndim=self.shape[1], metric="ip", dtype="f32", connectivity=16,
                           expansion_add=100)
        self.index.add(numpy.arange(len(base)), base, threads=2)

    def set(self, effort):
        self.index.expansion_search = effort

    def one(self, question):
        return self.index.search(question, BEST, threads=1).keys

    def batch(self, questions, threads):
        return self.index.search(questions, BEST, threads=threads).keys


class SqliteVec(Peer):
    """All in memory. Needs a Python whose sqlite3 loads extensions."""

    def build(self, base):
        import sqlite3
        import sqlite_vec
        self.database = sqlite3.connect(":memory:")
        self.database.enable_load_extension(True)
        sqlite_vec.load(self.database)
        self.database.execute(
            f"create virtual table v using vec0(id integer primary key, e float[{self.shape[1]}] "
            "distance_metric=cosine)")
        with self.database:
            self.database.executemany(
                "insert into v(id, e) values (?, ?)",
                ((row, vector.tobytes()) for row, vector in enumerate(base)))

    def one(self, question):
        rows = self.database.execute(
            f"select id from v where e match ? and k = {BEST} order by distance",
            (question.tobytes(),))
        return [row[0] for row in rows]


MAKERS = {"faiss": Faiss, "numpy": Numpy, "sqlite-vec": SqliteVec, "faiss-ivf": FaissLists,
          "hnswlib": Hnswlib, "usearch": Usearch}


if __name__ == "__main__":
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    main()
