#!/usr/bin/env python3
"""The built-in chat model, over HTTP as users meet it, beside llama.cpp's server with the same file,
the same questions and as many threads; and beside llama.cpp's best case, the same model as Q4_0."""
import argparse
import contextlib
import http.client
import json
import math
import os
import subprocess
import sys
import tempfile
import threading
import time

from common import (BINARY, CHAT_MODEL, GGUF, MODELS, ROOT, Heptad, Process, answers, figure,
                    free_port, note, request, status_mib)

SUITE = "local"
PEER, BEST_PEER = "llama.cpp", "llama.cpp Q4_0"
LOOKUP_PEER = "llama.cpp ngram-simple"
# How many tokens have to match, and how many are drafted: its defaults, 12 and 48, are for long texts.
LOOKUP = (4, 8)
ANSWER_TOKENS = 128
PROMPT_TOKENS = 512
STREAMS = 4
# The tokens that end an answer of this model. Both sides are kept from them, so that all answers
# have their full length.
END_TOKENS = {"0": -100, "2": -100}
WORDS = ("The appliance keeps a ledger of every request and answers questions about documents "
         "stored on the local disk while it waits for new work .").split()
PARTS = ("speed", "drafts", "start", "nll")
PASSAGE = (
    "Backups are made every night at three o'clock and are kept for fourteen days. The administrator "
    "restores a backup with the command heptad restore, which stops the server for about a minute. "
    "Licences are paid once a year, on the first of March, by bank transfer to the account that the "
    "invoice names. Visitors get a badge at the gate and are fetched there by whoever invited them. The "
    "canteen is open from half past eleven to two, and what is left is sold at half its price.")
# Of one conversation, for both sides: it bounds what each keeps of those that have ended.
CONTEXT_TOKENS = 2048


def run(rounds, threads, parts=PARTS):
    """Prints the figures for each count of threads."""
    with tempfile.TemporaryDirectory(prefix="heptad-bench-") as folder:
        best = os.path.join(folder, "Q4_0.gguf")
        if "speed" in parts:
            note("re-quantising to Q4_0")
            here = os.path.dirname(os.path.abspath(__file__))
            subprocess.run([sys.executable, os.path.join(here, "requantize.py"), GGUF, best],
                           check=True, stdout=sys.stderr)
        for count in threads:
            if "speed" in parts:
                one_stream(best, rounds, count)
                streams_together(best, rounds, count)
            if "drafts" in parts:
                drafts(rounds, count)
            if "start" in parts:
                start(rounds, count)
    if "nll" in parts:
        surprise()


class Endpoint:
    """One OpenAI-compatible server and what it wants beside the question."""

    def __init__(self, port, model, headers, extra):
        self.port, self.model, self.headers, self.extra = port, model, headers, extra
        self.words_for_prompt = None
        # What llama.cpp says of its drafts.
        self.drafted = self.accepted = 0

    def ask(self, question, tokens, seen=None):
        """(prompt tokens, answer tokens, when asked, when the first piece came, when the last).
        `seen` is called with the count of pieces after each; when it says no, we hang up."""
        body = {"model": self.model, "stream": True, "stream_options": {"include_usage": True},
                "temperature": 0, "max_tokens": tokens,
                "messages": [{"role": "user", "content": question}], **self.extra}
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=300)
        try:
            asked = time.perf_counter()
            connection.request("POST", "/v1/chat/completions", json.dumps(body),
                               {"Content-Type": "application/json", **self.headers})
            response = connection.getresponse()
            if response.status != 200:
                raise RuntimeError(f"{response.status}: {response.read()[:500]!r}")
            first = last = usage = None
            pieces = 0
            for line in response:
                if not line.startswith(b"data: {"):
                    continue
                now, event = time.perf_counter(), json.loads(line[6:])
                if "error" in event:
                    raise RuntimeError(str(event["error"]))
                usage = event.get("usage") or usage
                self.drafted += event.get("timings", {}).get("draft_n", 0)
                self.accepted += event.get("timings", {}).get("draft_n_accepted", 0)
                if any(choice.get("delta", {}).get("content") for choice in event["choices"]):
                    first, last, pieces = first or now, now, pieces + 1
                    if seen and not seen(pieces):
                        return None
        finally:
            connection.close()
        if usage is None or first is None:
            raise RuntimeError("The stream had no text or no usage.")
        return usage["prompt_tokens"], usage["completion_tokens"], asked, first, last

    def story(self, number, tokens=ANSWER_TOKENS):
        """Asks for more than `tokens`; no two questions begin alike, so that none is remembered."""
        question = f"{number} {time.time_ns()}: write a long story, in many sentences."
        answer = self.ask(question, tokens)
        if answer[1] < tokens:
            note(f"{self.model}: an answer of {answer[1]} tokens, not {tokens}")
        return answer

    def decode_rate(self, round):
        _, tokens, _, first, last = self.story(round)
        return (tokens - 1) / (last - first)

    def quote_rate(self, round):
        """The answer stands in the passage, as it mostly does with retrieval. It may end by itself."""
        _, tokens, _, first, last = self.ask(
            f"Round {round} of {time.time_ns()}.\n\n{PASSAGE}\n\nHow are backups made and restored? "
            "Answer by quoting the sentences of the text above.", ANSWER_TOKENS)
        return (tokens - 1) / (last - first)

    def prompt_rate(self, round):
        count, _, asked, first, _ = self.ask(self.text(round, self.words()), 1)
        return count / (first - asked)

    def first_token_ms(self, round):
        _, _, asked, first, _ = self.ask(self.text(round, len(WORDS)), 2)
        return (first - asked) * 1000

    def streams_rate(self, round):
        """Tokens/s of all streams, from the first piece of any to the last of all."""
        answers = [None] * STREAMS

        def one(index):
            answers[index] = self.story(round * STREAMS + index)

        workers = [threading.Thread(target=one, args=(index,)) for index in range(STREAMS)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
        if None in answers:
            raise RuntimeError("A stream broke.")
        tokens = sum(answer[1] for answer in answers) - STREAMS
        return tokens / (max(answer[4] for answer in answers)
                         - min(answer[3] for answer in answers))

    def text(self, round, words):
        start = f"Round {round} of {time.time_ns()} ."
        return " ".join([start] + [WORDS[place % len(WORDS)] for place in range(words)])

    def words(self):
        """How many words make a prompt of `PROMPT_TOKENS`; nearly each is a token."""
        if self.words_for_prompt is None:
            words = PROMPT_TOKENS - 60
            for _ in range(3):
                words += PROMPT_TOKENS - self.ask(self.text(0, words), 1)[0]
            self.words_for_prompt = words
        return self.words_for_prompt


def our_server(threads, speculation="auto"):
    return Heptad(threads, f"    context_tokens_max: {CONTEXT_TOKENS}\n"
                           f"    speculation: {speculation}\n")


def ours_endpoint(server):
    endpoint = Endpoint(server.port, CHAT_MODEL, server.headers, {"logit_bias": END_TOKENS})
    try:
        endpoint.ask("Hello", 2)
    except RuntimeError as error:
        note("our server does not take logit_bias, so answers may end early:", error)
        endpoint.extra = {}
    return endpoint


class llama(Process):
    """llama.cpp's server with a model file."""

    def __init__(self, threads, parallel=1, file=GGUF, lookup=(0, 0)):
        self.port = free_port()
        self.path = tempfile.mktemp(prefix="heptad-bench-llama-")
        script = os.path.join(os.path.dirname(os.path.abspath(__file__)), "llama_server.py")
        super().__init__([sys.executable, script, "--model", file, "--port", str(self.port),
                          "--threads", str(threads), "--parallel", str(parallel), "--context",
                          str(CONTEXT_TOKENS), "--lookup", str(lookup[0]), "--drafted",
                          str(lookup[1])], log=self.path)
        try:
            self.wait_until(lambda: answers(f"http://127.0.0.1:{self.port}/health"))
        except BaseException:
            self.__exit__()
            raise

    @property
    def endpoint(self):
        return Endpoint(self.port, CHAT_MODEL, {}, {"cache_prompt": False, "ignore_eos": True})

    def __exit__(self, *details):
        super().__exit__(*details)
        if os.path.exists(self.path):
            os.remove(self.path)


def compare(sides, rounds, measure):
    """The runs of each side, which take turns. Who goes first changes, so that nobody always meets
    the warmer processor."""
    runs = [[] for _ in sides]
    for round in range(rounds):
        order = list(range(len(sides)))
        for index in order if round % 2 == 0 else reversed(order):
            runs[index].append(measure(sides[index], round))
    return runs


def report(metric, unit, runs, peers, **parameters):
    for peer, peer_runs in zip(peers, runs[1:]):
        figure(SUITE, metric, unit, runs[0], peer, peer_runs, **parameters)


def one_stream(best, rounds, threads):
    with our_server(threads) as ours, llama(threads) as peer:
        sides = [ours_endpoint(ours), peer.endpoint]
        compare(sides, 1, lambda side, round: side.decode_rate(round))
        # The memory of both after the same work, before anything else is asked of ours.
        compare(sides, 1, lambda side, round: side.prompt_rate(round))
        peaks = [[status_mib(process.pid, "VmHWM")] for process in (ours, peer)]
        report("peak_memory_mib", "MiB", peaks, [PEER], threads=threads)
    # The kernels of both, each token read alone.
    with our_server(threads, "off") as ours, llama(threads) as peer:
        with llama(threads, file=best) as best_peer:
            sides = [ours_endpoint(ours), peer.endpoint, best_peer.endpoint]
            peers = [PEER, BEST_PEER]
            for side in sides:
                side.words()
            for metric, unit, measure in (
                    ("decode_tokens_per_s", "tok/s", Endpoint.decode_rate),
                    ("prompt_tokens_per_s", "tok/s", Endpoint.prompt_rate),
                    ("first_token_ms", "ms", Endpoint.first_token_ms)):
                runs = compare(sides, rounds, measure)
                report(metric, unit, runs, peers, threads=threads)


def drafts(rounds, threads):
    """The same story and an answer that quotes, as we are shipped, with drafts and without; beside
    llama.cpp as it is shipped, and with drafts by n-grams."""
    with (our_server(threads) as ours, our_server(threads, "off") as plain, llama(threads) as peer,
          llama(threads, lookup=LOOKUP) as lookup_peer):
        sides = [ours_endpoint(ours), ours_endpoint(plain), peer.endpoint, lookup_peer.endpoint]
        peers = ["heptad, speculation off", PEER, LOOKUP_PEER]
        for metric, measure in (("drafted_story_tokens_per_s", Endpoint.decode_rate),
                                ("drafted_quote_tokens_per_s", Endpoint.quote_rate)):
            for side in sides:
                measure(side, -1)
                side.drafted = side.accepted = 0
            before = our_drafts(sides[0])
            runs = compare(sides, rounds, measure)
            report(metric, "tok/s", runs, peers, threads=threads)
            drafted, accepted = (now - then for now, then in zip(our_drafts(sides[0]), before))
            figure(SUITE, metric.replace("tokens_per_s", "accepted"), "",
                   [accepted / max(1, drafted)], LOOKUP_PEER,
                   [sides[-1].accepted / max(1, sides[-1].drafted)], threads=threads,
                   drafted=drafted, peer_drafted=sides[-1].drafted)


def our_drafts(side):
    """(drafted, accepted) tokens since the server began."""
    connection = http.client.HTTPConnection("127.0.0.1", side.port, timeout=30)
    try:
        connection.request("GET", "/metrics", headers=side.headers)
        lines = connection.getresponse().read().decode().splitlines()
    finally:
        connection.close()
    return [int(sum(float(line.split()[-1]) for line in lines
                    if line.startswith(f"heptad_local_{kind}_tokens_total")))
            for kind in ("drafted", "accepted")]


def streams_together(best, rounds, threads):
    with (our_server(threads) as ours, llama(threads, STREAMS) as peer,
          llama(threads, STREAMS, best) as best_peer):
        sides = [ours_endpoint(ours), peer.endpoint, best_peer.endpoint]
        for side in sides:
            side.story(0, 8)
        runs = compare(sides, rounds, Endpoint.streams_rate)
        report(f"parallel{STREAMS}_tokens_per_s", "tok/s", runs, [PEER, BEST_PEER],
               threads=threads)


def start(rounds, threads):
    """From the start of the process to the first piece of an answer."""
    def seconds(make, endpoint):
        with make() as server:
            first = endpoint(server).ask("Hello", 2)[3]
            return first - server.began

    sides = [
        (lambda: our_server(threads),
         lambda server: Endpoint(server.port, CHAT_MODEL, server.headers, {})),
        (lambda: llama(threads), lambda server: server.endpoint)]
    runs = compare(sides, rounds, lambda side, round: seconds(*side) * 1000)
    report("start_to_first_token_ms", "ms", runs, [PEER], threads=threads)


def surprise():
    """How surprised the model is by a text, in nats a token and as perplexity: beside what an exact
    pass in single precision gave for a fixed one, and beside llama.cpp, asked now, for the project's
    own pages. All rounding moves a short text's mean by some tenths of a percent either way."""
    with open(os.path.join(ROOT, "Tests/Fixtures/llm_nll.json")) as file:
        reference = json.load(file)
    report_surprise(our_surprise(reference["ids"]), "exact", reference["f32_mean_nll"],
                    tokens=len(reference["ids"]))
    pages = ""
    for name in ("README.md", "Sources/Appliance/Appliance.docc/Architecture.md",
                 "Sources/Appliance/Appliance.docc/Operations.md"):
        with open(os.path.join(ROOT, name)) as file:
            pages += file.read()
    with llama(2) as peer:
        ids = request(peer.port, "POST", "/tokenize", {"content": pages})["tokens"][:8 * PROMPT_TOKENS]
        windows = [ids[start:start + PROMPT_TOKENS]
                   for start in range(0, len(ids) - PROMPT_TOKENS + 1, PROMPT_TOKENS)]
        ours = theirs = 0
        for number, window in enumerate(windows):
            note(f"llama.cpp's surprise: {number} of {len(windows)} windows")
            ours += our_surprise(window) / len(windows)
            theirs += peer_surprise(peer.port, window) / len(windows)
    report_surprise(ours, PEER, theirs, tokens=len(windows) * PROMPT_TOKENS)


def our_surprise(tokens):
    done = subprocess.run([BINARY, "bench-surprise", CHAT_MODEL, "--models", MODELS],
                          input=json.dumps(tokens), capture_output=True, text=True, timeout=600)
    if done.returncode:
        raise RuntimeError(f"bench-surprise: {done.stderr}")
    return json.loads(done.stdout)["mean_nats"]


def peer_surprise(port, tokens):
    """llama.cpp's server has no word for it, but says how likely the next tokens are. The first
    thousand nearly always suffice; to list the whole vocabulary takes it half a second."""
    total = 0
    for place in range(1, len(tokens)):
        for listed in (1000, 1 << 20):
            answer = request(port, "POST", "/completion",
                             {"prompt": tokens[:place], "n_predict": 1, "cache_prompt": True,
                              "n_probs": listed, "temperature": 0})
            found = [entry["logprob"]
                     for entry in answer["completion_probabilities"][0]["top_logprobs"]
                     if entry["id"] == tokens[place]]
            if found:
                break
        total -= found[0]
    return total / (len(tokens) - 1)


def report_surprise(ours, peer, theirs, **parameters):
    figure(SUITE, "mean_nll", "nats", [ours], peer, [theirs], **parameters)
    figure(SUITE, "perplexity", "", [math.exp(ours)], peer, [math.exp(theirs)], **parameters)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=PARTS)
    parser.add_argument("--peer-only", action="store_true",
                        help="llama.cpp alone, to see that it runs")
    options = parser.parse_args()
    if not options.peer_only:
        return run(options.rounds, options.threads, options.parts)
    for threads in options.threads:
        with llama(threads) as peer:
            side = peer.endpoint
            for round in range(options.rounds):
                note(threads, "threads: decode", side.decode_rate(round), "prompt",
                     side.prompt_rate(round), "first token ms", side.first_token_ms(round))


if __name__ == "__main__":
    main()
