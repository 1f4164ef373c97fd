#!/usr/bin/env python3
"""The built-in chat model, over HTTP as users meet it, beside llama.cpp's server with the same file,
the same questions and as many threads."""
import argparse
import http.client
import json
import os
import sys
import tempfile
import time

from common import (CHAT_MODEL, GGUF, Heptad, Process, answers, figure, free_port, note,
                    status_mib)

SUITE = "local"
PEER = "llama.cpp"
ANSWER_TOKENS = 128
# Fewer say too little about speed. Both get the same question, and both may end an answer early.
ANSWER_TOKENS_MIN = 32
WORDS = ("The appliance keeps a ledger of every request and answers questions about documents "
         "stored on the local disk while it waits for new work .").split()


def run(rounds, threads):
    """Prints the figures for each count of threads."""
    for count in threads:
        with Heptad(threads=count) as ours, llama(count) as peer:
            chat(ours, peer, rounds, count)


class Endpoint:
    """One OpenAI-compatible server and what it wants beside the question."""

    def __init__(self, port, model, headers, extra):
        self.port, self.model, self.headers, self.extra = port, model, headers, extra

    def ask(self, question, tokens):
        """(prompt tokens, answer tokens, seconds to the first piece, seconds from it to the last)"""
        body = {"model": self.model, "stream": True, "stream_options": {"include_usage": True},
                "temperature": 0, "max_tokens": tokens,
                "messages": [{"role": "user", "content": question}], **self.extra}
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=300)
        try:
            began = time.perf_counter()
            connection.request("POST", "/v1/chat/completions", json.dumps(body),
                               {"Content-Type": "application/json", **self.headers})
            response = connection.getresponse()
            if response.status != 200:
                raise RuntimeError(f"{response.status}: {response.read()[:500]!r}")
            first = last = usage = None
            for line in response:
                if not line.startswith(b"data: {"):
                    continue
                now, event = time.perf_counter(), json.loads(line[6:])
                if "error" in event:
                    raise RuntimeError(str(event["error"]))
                usage = event.get("usage") or usage
                if any(choice.get("delta", {}).get("content") for choice in event["choices"]):
                    first, last = first or now, now
        finally:
            connection.close()
        if usage is None or first is None:
            raise RuntimeError("The stream had no text or no usage.")
        return (usage["prompt_tokens"], usage["completion_tokens"], first - began, last - first)

    def decode_rate(self, round):
        question = f"Write a long story, in many sentences, about traveller number {round}."
        _, tokens, _, seconds = self.ask(question, ANSWER_TOKENS)
        if tokens < ANSWER_TOKENS_MIN:
            note(f"{self.model}: an answer of {tokens} tokens only")
        return (tokens - 1) / seconds

    def prompt(self, round, repeats):
        """(tokens/s of the prompt, milliseconds to the first piece). No two prompts begin alike,
        so that none is remembered."""
        words = [f"Round {round} of {time.time_ns()} ."] + WORDS * repeats
        tokens, _, first, _ = self.ask(" ".join(words), 2)
        return tokens / first, first * 1000


def ours_endpoint(server):
    return Endpoint(server.port, CHAT_MODEL, server.headers, {})


def llama_endpoint(server):
    return Endpoint(server.port, CHAT_MODEL, {}, {"cache_prompt": False})


class llama(Process):
    def __init__(self, threads):
        self.port = free_port()
        self.path = tempfile.mktemp(prefix="heptad-bench-llama-")
        script = os.path.join(os.path.dirname(os.path.abspath(__file__)), "llama_server.py")
        super().__init__([sys.executable, script, "--model", GGUF, "--port", str(self.port),
                          "--threads", str(threads)], log=self.path)
        try:
            self.wait_until(lambda: answers(f"http://127.0.0.1:{self.port}/health"))
        except BaseException:
            self.__exit__()
            raise

    def __exit__(self, *details):
        super().__exit__(*details)
        if os.path.exists(self.path):
            os.remove(self.path)


def chat(ours, peer, rounds, threads):
    sides = [ours_endpoint(ours), llama_endpoint(peer)]
    for side in sides:
        side.ask("Hello", 8)
    decode, prompt, first = ([[], []] for _ in range(3))
    for round in range(rounds):
        # Who goes first changes, so that neither always meets the warmer processor.
        for index in (0, 1) if round % 2 == 0 else (1, 0):
            decode[index].append(sides[index].decode_rate(round))
            prompt[index].append(sides[index].prompt(round, 30)[0])
            first[index].append(sides[index].prompt(round, 1)[1])
    figure(SUITE, "decode_tokens_per_s", "tok/s", decode[0], PEER, decode[1], threads=threads)
    figure(SUITE, "prompt_tokens_per_s", "tok/s", prompt[0], PEER, prompt[1], threads=threads)
    figure(SUITE, "first_token_ms", "ms", first[0], PEER, first[1], threads=threads)
    peaks = [status_mib(process.pid, "VmHWM") for process in (ours, peer)]
    figure(SUITE, "peak_memory_mib", "MiB", peaks[:1], PEER, peaks[1:], threads=threads)


def report_peer(peer, rounds, threads):
    side = llama_endpoint(peer)
    side.ask("Hello", 8)
    for round in range(rounds):
        note(threads, "threads: decode", side.decode_rate(round), "prompt",
             side.prompt(round, 30)[0], "first token ms", side.prompt(round, 1)[1])


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--peer-only", action="store_true",
                        help="llama.cpp alone, to see that it runs")
    options = parser.parse_args()
    if not options.peer_only:
        return run(options.rounds, options.threads)
    for threads in options.threads:
        with llama(threads) as peer:
            report_peer(peer, options.rounds, threads)


if __name__ == "__main__":
    main()
