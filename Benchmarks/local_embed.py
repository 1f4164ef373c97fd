"""Embeddings of the built-in model, over HTTP as users meet them."""
import argparse
import time

from common import EMBEDDING_MODEL, Heptad, figure, note, request

SUITE = "local"


def run(rounds, threads):
    """Prints the figures for each count of threads."""
    for count in threads:
        with Heptad(threads=count) as ours:
            embed(ours, rounds, count)


def embed(server, rounds, threads, seconds=1.0):
    words = ("time year people way day man thing woman life child world school state family "
             "student group").split()
    for tokens in (16, 64, 256):
        for batch in (1, 32):
            # Each word is one token; two more stand around them.
            texts = [" ".join(words[(row + place * 7) % 16] for place in range(tokens - 2))
                     for row in range(batch)]
            rates = []
            for round in range(rounds + 1):
                count, began = 0, time.perf_counter()
                while count == 0 or time.perf_counter() - began < seconds:
                    answer = request(server.port, "POST", "/v1/embeddings",
                                     {"model": EMBEDDING_MODEL, "input": texts}, server.headers)
                    count += len(answer["data"])
                # The first round warms up.
                rates += [count / (time.perf_counter() - began)] if round else []
            used = answer["usage"]["prompt_tokens"]
            if used != tokens * batch:
                note(f"embed: {used} tokens were counted, {tokens * batch} expected")
            figure(SUITE, "embed_sentences_per_s", "1/s", rates, tokens=tokens, batch=batch,
                   threads=threads)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    options = parser.parse_args()
    run(options.rounds, options.threads)


if __name__ == "__main__":
    main()
