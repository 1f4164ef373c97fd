#!/usr/bin/env python3
"""The models that run in our process: chat (local_chat.py) and embeddings (local_embed.py)."""
import argparse

import local_chat
import local_embed


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--only", choices=["chat", "embed"])
    options = parser.parse_args()
    if options.only != "embed":
        local_chat.run(options.rounds, options.threads)
    if options.only != "chat":
        local_embed.run(options.rounds, options.threads)


if __name__ == "__main__":
    main()
