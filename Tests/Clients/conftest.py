"""Starts the real binary and hands its address to the tests. From the repository:

    pip install -r Tests/Clients/requirements.txt && python -m pytest Tests/Clients

    HEPTAD_BINARY   the binary, by default .build/debug/heptad
    HEPTAD_MODELS   the models' folder, by default models
    CHROMIUM        the browser, by default /usr/bin/chromium
"""

import json
import os
import re
import signal
import subprocess
import threading
import time
from collections import deque
from pathlib import Path

import httpx
import pytest

# One browser for all modules.
pytest_plugins = ["browser"]

ROOT = Path(__file__).resolve().parents[2]
HANDBOOK = ROOT / "Tests/Fixtures/harbour-handbook.md"
OWNER = ("keeper", "seven lamps in a row")

# A debug binary is slow; nothing here waits longer than this for anything.
START_SECONDS = 60
JOB_SECONDS = 180
ANSWER_SECONDS = 240

RATE_LIMIT_WAITS_MAX = 6

# A fast machine is done with a short answer before a test can stop it, reload it or kill it.
LONG_ANSWERS = """
orchestration:
  local:
    output_tokens_max: 4000
    ends_loops: false
"""

# These tests are quicker than any user; the limits themselves are tested elsewhere.
QUICK = """
gateway:
  requests_per_minute: 1000000
  requests_burst: 100000
  anonymous_requests_per_minute: 1000000
  anonymous_requests_burst: 100000
""" + LONG_ANSWERS
FINAL_STATES = ("completed", "failed", "cancelled")


class Server:
    """One `heptad serve` with a data folder of its own; it may be killed and started again."""

    def __init__(self, data: Path, settings: str = ""):
        self.data = data
        self.options = ["--data", data]
        if settings:
            (data / "heptad.yaml").write_text(settings)
            self.options += ["--config", data / "heptad.yaml"]
        self.process = None
        self.output = deque(maxlen=400)

    @property
    def binary(self) -> Path:
        return ROOT / os.environ.get("HEPTAD_BINARY", ".build/debug/heptad")

    def start(self):
        models = ROOT / os.environ.get("HEPTAD_MODELS", "models")
        self._state_file.unlink(missing_ok=True)
        self.output.clear()
        self.process = subprocess.Popen(
            [self.binary, "serve", "--port", "0", "--models", models, *self.options],
            cwd=self.data, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            errors="replace")
        threading.Thread(target=self._read, args=(self.process.stdout,), daemon=True).start()
        state = self._wait_for(self._state, "server.json")
        self.address = state["address"]
        self.token = state["token"]
        self._wait_for(self._is_ready, "readiness")
        return self

    @property
    def setup_token(self) -> str:
        """From the one-time link in the banner."""
        found = self._wait_for(
            lambda: re.search(r"/#/setup/([A-Za-z0-9_\-.~]+)", self.text), "the setup link")
        return found.group(1)

    @property
    def text(self) -> str:
        return "".join(self.output)

    def stop(self, how=signal.SIGTERM, seconds=30):
        if self.process is None or self.process.poll() is not None:
            return
        self.process.send_signal(how)
        try:
            self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            pytest.fail(f"The server did not stop within {seconds} s.\n{self.text}")

    @property
    def _state_file(self) -> Path:
        return self.data / "run/server.json"

    def _state(self):
        try:
            return json.loads(self._state_file.read_text())
        except (FileNotFoundError, json.JSONDecodeError):
            return None

    def _is_ready(self):
        try:
            return httpx.get(f"{self.address}/readyz", timeout=5).status_code == 200
        except httpx.TransportError:
            return False

    def _wait_for(self, look, what):
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            if found := look():
                return found
            if self.process.poll() is not None:
                pytest.fail(f"The server exited with {self.process.returncode}.\n{self.text}")
            time.sleep(0.05)
        pytest.fail(f"No {what} within {START_SECONDS} s.\n{self.text}")

    # Reads to the end, so that a full pipe never stops the server.
    def _read(self, stream):
        for line in stream:
            self.output.append(line)


class Client(httpx.Client):
    """The native API with an API key, the command line's token, or a session's cookie."""

    def __init__(self, server, token, **options):
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        super().__init__(base_url=server.address, headers=headers, timeout=60, **options)

    def request(self, method, url, **options):
        """As usual, but a rate limit is waited for."""
        for _ in range(RATE_LIMIT_WAITS_MAX):
            answer = super().request(method, url, **options)
            if answer.status_code != 429:
                break
            time.sleep(min(10, float(answer.headers.get("Retry-After", 1))))
        return answer

    def upload(self, name, content, **fields):
        return self.post("/api/documents", data=fields, files={"file": (name, content)})

    def ingest(self, name, content, **fields):
        """Uploads one file and waits until it has been indexed; its document's id."""
        answer = self.upload(name, content, **fields)
        assert answer.status_code == 202, answer.text
        ingestion = answer.json()["ingestions"][0]
        job = self.job(ingestion["jobID"])
        assert job["state"] == "completed", job
        return ingestion["documentID"]

    def job(self, job_id):
        deadline = time.monotonic() + JOB_SECONDS
        while time.monotonic() < deadline:
            job = self.get(f"/api/jobs/{job_id}").json()
            if job["state"] in FINAL_STATES:
                return job
            time.sleep(0.25)
        pytest.fail(f"The job did not end within {JOB_SECONDS} s: {job}")

    def begin(self, question, **choices):
        """A new chat with one question in it: the chat's id and the turn's."""
        chat = self.post("/api/chats", json={"title": "Test"}).json()
        answer = self.post(f"/api/chats/{chat['id']}/turns", json={"question": question, **choices})
        assert answer.status_code == 201, answer.text
        return chat["id"], answer.json()["turnID"]

    def events(self, path, after=0, limit=None):
        """The events of a stream as (number, name, data), to its end or the first `limit`."""
        headers = {"Accept": "text/event-stream", "Last-Event-ID": str(after)}
        found = []
        with self.stream("GET", path, headers=headers, timeout=ANSWER_SECONDS) as answer:
            assert answer.status_code == 200, answer.read()
            assert answer.headers["content-type"].startswith("text/event-stream")
            event = {}
            for line in answer.iter_lines():
                if line == "" and "data" in event:
                    number = int(event["id"]) if "id" in event else None
                    found.append((number, event.get("event"), json.loads(event["data"])))
                    if limit and len(found) >= limit:
                        return found
                if line == "":
                    event = {}
                elif not line.startswith(":"):
                    field, _, value = line.partition(":")
                    event[field] = value.removeprefix(" ")
        return found


@pytest.fixture(scope="session")
def server(tmp_path_factory):
    """A server whose owner has been set up."""
    server = Server(tmp_path_factory.mktemp("data"), QUICK).start()
    answer = httpx.post(
        f"{server.address}/api/setup",
        json={"token": server.setup_token, "name": OWNER[0], "password": OWNER[1]})
    assert answer.status_code == 201, answer.text
    yield server
    server.stop()


@pytest.fixture(scope="session")
def client(server):
    """The owner, through the token that the command line uses."""
    with Client(server, server.token) as client:
        yield client


@pytest.fixture(scope="session")
def mallory(server):
    """Another user, a member, made with the command line while the server runs."""
    password = "a password of her own"
    subprocess.run(
        [server.binary, "user", "add", "mallory", "--role", "member", *server.options],
        input=f"{password}\n", text=True, check=True, cwd=server.data, timeout=START_SECONDS)
    answer = httpx.post(
        f"{server.address}/api/login", json={"name": "mallory", "password": password})
    assert answer.status_code == 200, answer.text
    cookies = {"heptad_session": answer.cookies["heptad_session"]}
    with Client(server, None, cookies=cookies) as client:
        client.headers["X-CSRF-Token"] = answer.json()["csrfToken"]
        yield client


@pytest.fixture(scope="session")
def api_key(client):
    answer = client.post("/api/keys", json={"name": "client tests"})
    assert answer.status_code == 201, answer.text
    return answer.json()["key"]


@pytest.fixture
def fresh_server(tmp_path):
    """A server nobody has set up yet."""
    server = Server(tmp_path).start()
    yield server
    server.stop()
