"""A server that is killed again and again while documents come in has every one of them, once."""

import random
import signal
import threading
import time
from collections import Counter

import httpx

from conftest import QUICK, Client, Server

DOCUMENTS = 2000
KILLS = 20
BATCH = 20
WAIT_SECONDS = 300
SYLLABLES = "ba ce di fo gu ha je ki lo mu na pe ri so tu va we xi yo zu".split()


def word(number):
    """A word that no other number has, and no language."""
    return "q" + "".join(SYLLABLES[number // 20 ** place % 20] for place in range(3)) + "x"


def name(number):
    return f"note-{number}.md"


def text(number):
    return (f"# Note {number}\n\nThe keeper of drawer {number} is called {word(number)}. "
            f"Whoever looks for {word(number)} asks at the desk on floor {number % 7}.\n")


def test_documents_survive_a_server_that_is_killed(tmp_path):
    server = Server(tmp_path, QUICK).start()
    dice = random.Random(20)
    done, progress = threading.Event(), [0]
    uploader = threading.Thread(target=upload_all, args=(server, progress, done), daemon=True)
    uploader.start()
    kills = during_upload = 0
    try:
        while kills < KILLS:
            # The first while they come in, the last while they are read and embedded.
            wait_for(lambda: done.is_set() or progress[0] >= DOCUMENTS * (kills + 1) // (KILLS - 3))
            time.sleep(dice.uniform(0, 0.4))
            during_upload += not done.is_set()
            server.stop(signal.SIGKILL)
            server.start()
            kills += 1
        assert during_upload >= KILLS // 2, "Too few kills met an upload."
        uploader.join(WAIT_SECONDS)
        assert done.is_set(), "Not all documents were taken."
        with Client(server, server.token) as client:
            check(client)
    finally:
        done.set()
        server.stop()


def upload_all(server, progress, done):
    """Uploads all, some at a time; what may not have been taken is sent again, as a user would."""
    while progress[0] < DOCUMENTS and not done.is_set():
        numbers = range(progress[0], min(progress[0] + BATCH, DOCUMENTS))
        files = [("file", (name(number), text(number))) for number in numbers]
        try:
            with Client(server, server.token) as client:
                answer = client.post("/api/documents", files=files)
            if answer.status_code == 202:
                progress[0] = numbers.stop
        except httpx.TransportError:
            time.sleep(0.05)
    done.set()


def check(client):
    collections = client.get("/api/collections").json()["collections"]
    assert len(collections) == 1

    def documents():
        path = f"/api/collections/{collections[0]['id']}/documents"
        return client.get(path).json()["documents"]

    wait_for(lambda: all(one["state"] in ("ready", "failed") for one in documents()))
    found = documents()
    failures = {one["name"]: one["failure"] for one in found if one["state"] == "failed"}
    assert not failures
    assert Counter(one["state"] for one in found) == {"ready": DOCUMENTS}
    names = Counter(one["name"] for one in found)
    assert len(names) == DOCUMENTS and set(names.values()) == {1}
    missed = [number for number in range(DOCUMENTS) if not is_found(client, number)]
    assert not missed


def is_found(client, number):
    question = {"text": f"Where do I find {word(number)}?", "limit": 3}
    hits = client.post("/api/search", json=question).json()["hits"]
    return bool(hits) and f"called {word(number)}." in hits[0]["passage"]["text"]


def wait_for(look):
    deadline = time.monotonic() + WAIT_SECONDS
    while time.monotonic() < deadline:
        if look():
            return
        time.sleep(0.05)
    raise AssertionError(f"It did not come within {WAIT_SECONDS} s.")
