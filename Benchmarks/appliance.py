#!/usr/bin/env python3
"""The whole binary, as a user starts it: from start to ready, memory while nothing happens, and
how fast documents go in."""
import time

from common import EMBEDDING_MODEL, GGUF, Heptad, figure, note, request, status_mib

STARTS = 5
IDLE_SECONDS = 3
DOCUMENTS = 6
DOCUMENT_BYTES = 48 << 10
SUITE = "appliance"


def main():
    starts, memory = [], []
    for _ in range(STARTS):
        with Heptad() as server:
            starts.append(server.seconds_to_ready)
            time.sleep(IDLE_SECONDS)
            memory.append(status_mib(server.pid, "VmRSS"))
            check_mapped(server.pid)
    figure(SUITE, "start_to_ready_s", "s", starts)
    figure(SUITE, "idle_rss_mib", "MiB", memory)

    with Heptad() as server:
        ingest(server, "warm-up.md", document(99)[:4096])
        rates = []
        for number in range(DOCUMENTS):
            content = document(number)
            began = time.perf_counter()
            ingest(server, f"report-{number}.md", content)
            rates.append(len(content) / 1024 / (time.perf_counter() - began))
        figure(SUITE, "ingest_kib_per_s", "KiB/s", rates)
        figure(SUITE, "peak_memory_mib", "MiB", [status_mib(server.pid, "VmHWM")],
               after=f"{DOCUMENTS} documents of {DOCUMENT_BYTES >> 10} KiB")


def check_mapped(pid):
    """The figure means little where a model is only mapped at its first use."""
    with open(f"/proc/{pid}/maps") as maps:
        mapped = maps.read()
    for file in (GGUF.rsplit("/", 1)[1], EMBEDDING_MODEL + "/model.safetensors"):
        if file not in mapped:
            note(f"idle_rss_mib: {file} was not mapped")


def document(number):
    """Markdown with headings and paragraphs, different for each number, the same in every run."""
    words = ("appliance ledger passage vector budget token stream gateway document answer memory "
             "index question turn model price owner folder kernel thread").split()
    state, lines, size = number * 7919 + 17, [], 0
    while size < DOCUMENT_BYTES:
        sentence = []
        for _ in range(12):
            state = (state * 1103515245 + 12345) % (1 << 31)
            sentence.append(words[(state >> 8) % len(words)])
        line = " ".join(sentence).capitalize() + ". "
        if len(lines) % 30 == 0:
            line = f"\n\n## Section {len(lines) // 30} of report {number}\n\n" + line
        elif len(lines) % 6 == 0:
            line = "\n\n" + line
        lines.append(line)
        size += len(line)
    return "".join(lines).encode()[:DOCUMENT_BYTES]


def ingest(server, name, content, seconds=300):
    """Returns when the document can be found."""
    accepted = request(server.port, "POST", f"/api/documents?name={name}", content,
                       server.headers, kind="text/markdown")
    job = accepted["ingestions"][0]["jobID"]
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        state = request(server.port, "GET", f"/api/jobs/{job}", headers=server.headers)
        if state["state"] == "completed":
            return
        if state["state"] in ("failed", "cancelled"):
            raise RuntimeError(f"{name}: {state}")
        time.sleep(0.02)
    raise RuntimeError(f"{name} was not ingested in {seconds} s")


if __name__ == "__main__":
    main()
