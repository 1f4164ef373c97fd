"""Writes model_families.json: what llama.cpp (xllamacpp 2026.10.11549) says about tiny models.

The models are those of ModelFamily.swift: HEPTAD_FAMILIES=FOLDER swift test --filter
ModelFamilyTests/write. Then: model_families.py FOLDER model_families.json
"""

import importlib.metadata
import json
import sys
import urllib.request
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import xllamacpp

# The best tokens, and every so many of the others.
BEST, OTHERS = 6, 29


def ask(address, tokens):
    body = {
        "prompt": tokens, "n_predict": 1, "temperature": 0, "cache_prompt": False,
        "n_probs": 262, "post_sampling_probs": False, "samplers": ["temperature"],
        # The server leaves out the first byte of a character; the bias is not in what it reports.
        "logit_bias": [[97, 1000.0]],
    }
    request = urllib.request.Request(
        address + "/completion", json.dumps(body).encode(), {"Content-Type": "application/json"})
    answer = json.load(urllib.request.urlopen(request, timeout=60))
    return answer["completion_probabilities"][0]["top_logprobs"]


def answers(path, prompt, lengths):
    params = xllamacpp.CommonParams()
    params.model.path = str(path)
    params.hostnames, params.port = ["127.0.0.1"], 0
    params.n_parallel, params.n_ctx = 1, 256
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = 1
    params.ui, params.fit_params, params.warmup = False, False, False
    params.verbosity = -1
    server = xllamacpp.Server(params)
    found = []
    for length in lengths:
        top = ask(server.listening_address, prompt[:length])
        top = top[:BEST] + top[BEST::OTHERS]
        found.append({
            "prompt_tokens": length,
            "tokens": [item["id"] for item in top],
            "logprobs": [round(item["logprob"], 4) for item in top],
        })
    return {"name": path.stem, "answers": found}


if __name__ == "__main__":
    folder = Path(sys.argv[1])
    prompt, lengths = json.loads((folder / "prompt.json").read_text())
    # A process holds few servers.
    with ProcessPoolExecutor(1, get_context("spawn"), max_tasks_per_child=1) as pool:
        tasks = [pool.submit(answers, path, prompt, lengths)
                 for path in sorted(folder.glob("*.gguf"))]
        lines = ",\n".join("  " + json.dumps(task.result()) for task in tasks)
    made_by = "xllamacpp " + importlib.metadata.version("xllamacpp") + " (PyPI)"
    with open(sys.argv[2], "w") as file:
        file.write(f'{{\n "made_by": "{made_by}",\n "models": [\n{lines}\n ]\n}}\n')
