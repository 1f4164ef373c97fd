#!/usr/bin/env python3
"""The models that run in our process: chat (local_chat.py), embeddings (local_embed.py), and what
they cost the rest of the machine (local_neighbour.py)."""
import argparse

import local_chat
import local_embed
import local_neighbour


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--soak-seconds", type=float, default=60)
    parser.add_argument("--only", choices=["chat", "embed", "neighbour"])
    options = parser.parse_args()
    if options.only in (None, "chat"):
        local_chat.run(options.rounds, options.threads)
    if options.only in (None, "embed"):
        local_embed.run(options.rounds, options.threads)
    if options.only in (None, "neighbour"):
        local_neighbour.run(threads=max(options.threads), soak_seconds=options.soak_seconds)


if __name__ == "__main__":
    main()
