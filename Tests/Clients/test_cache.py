"""Answers that are given again: what they cost, who gets them, and how a trace shows it."""

import json
import re
import time
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import unquote

import httpx
import pytest

from conftest import ANSWER_SECONDS, LONG_ANSWERS, OWNER, QUICK, Client, Server

SETTINGS = QUICK + """
inference:
  cache:
    exact: deterministic
accounting:
  prices:
    local/*:
      input_dollars_per_million: "1"
      output_dollars_per_million: "10"
"""


@pytest.fixture(scope="module")
def owner(tmp_path_factory):
    server = Server(tmp_path_factory.mktemp("cache"), SETTINGS).start()
    answer = httpx.post(
        f"{server.address}/api/setup",
        json={"token": server.setup_token, "name": OWNER[0], "password": OWNER[1]})
    assert answer.status_code == 201, answer.text
    with Client(server, server.token) as client:
        yield client
    server.stop()


def ask(client, question, **options):
    answer = client.post("/v1/chat/completions", timeout=ANSWER_SECONDS, json={
        "messages": [{"role": "user", "content": question}], "temperature": 0, "max_tokens": 16,
        **options})
    assert answer.status_code == 200, answer.text
    return answer


def text(answer):
    return answer.json()["choices"][0]["message"]["content"]


def spent(client):
    return client.get("/api/spend").json()["total"]


def test_what_is_asked_again_costs_nothing_and_says_what_it_saved(owner):
    question = "Name the capital of France."
    first = ask(owner, question)
    cost = int(first.headers["x-heptad-cost"])
    assert first.headers["x-heptad-cache"] == "miss" and cost > 0
    assert "x-heptad-saved" not in first.headers
    before = spent(owner)
    second = ask(owner, question)
    assert second.headers["x-heptad-cache"] == "hit"
    assert second.headers["x-heptad-cost"] == "0"
    assert int(second.headers["x-heptad-saved"]) == cost
    assert text(second) == text(first)
    assert second.json()["usage"]["total_tokens"] == first.json()["usage"]["total_tokens"]
    assert spent(owner) == before

    streamed = ""
    with owner.stream("POST", "/v1/chat/completions", json={
            "messages": [{"role": "user", "content": question}], "temperature": 0,
            "max_tokens": 16, "stream": True}) as answer:
        assert answer.headers["x-heptad-cache"] == "hit"
        for line in answer.iter_lines():
            if line.startswith("data: {"):
                for choice in json.loads(line[6:])["choices"]:
                    streamed += choice["delta"].get("content") or ""
    assert streamed == text(first)


def test_the_same_question_through_another_api_is_the_same_question(owner):
    question = "Name the capital of Italy."
    first = ask(owner, question)
    second = owner.post("/v1/responses", timeout=ANSWER_SECONDS, json={
        "input": question, "temperature": 0, "max_output_tokens": 16})
    assert second.headers["x-heptad-cache"] == "hit"
    assert second.json()["output"][0]["content"][0]["text"] == text(first)


def test_what_may_be_said_otherwise_is_asked_anew(owner):
    assert "x-heptad-cache" not in ask(owner, "Say a word.", temperature=1).headers
    seeded = [ask(owner, "Say a word.", temperature=1, seed=seed).headers["x-heptad-cache"]
              for seed in (1, 1, 2)]
    assert seeded == ["miss", "hit", "miss"]


def test_the_same_at_once_is_asked_once(owner):
    before = spent(owner)
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(
            lambda _: ask(owner, "Tell me about tides.", max_tokens=48), range(4)))
    assert len({text(answer) for answer in answers}) == 1
    uses = sorted(answer.headers["x-heptad-cache"] for answer in answers)
    assert uses.count("miss") == 1 and set(uses) <= {"miss", "joined", "hit"}
    costs = sorted(int(answer.headers["x-heptad-cost"]) for answer in answers)
    assert costs[:3] == [0, 0, 0] and spent(owner) == before + costs[3]


def test_a_trace_and_the_metrics_show_it(owner):
    question = "Name the capital of Spain."
    made, given = ask(owner, question), ask(owner, question)

    def spans(answer):
        for _ in range(100):
            found = owner.get(f"/api/traces/{answer.headers['x-trace-id']}")
            if found.status_code == 200:
                return found.json()["spans"]
        pytest.fail("No trace")

    span = next(each for each in spans(given) if each["name"].startswith("cached "))
    assert span["attributes"]["heptad.cache"] == "hit"
    assert span["attributes"]["heptad.cache.trace_id"] == made.headers["x-trace-id"]
    assert not any(each["name"].startswith("chat ") for each in spans(given))
    metrics = owner.get("/metrics").text
    assert 'heptad_cache_lookups' in metrics and 'result="hit"' in metrics
    assert "heptad_cache_bytes" in metrics

SEMANTIC = QUICK.removesuffix(LONG_ANSWERS) + """
inference:
  cache:
    semantic: always
    audit:
      share: 1
accounting:
  prices:
    local/SmolLM2-135M-Instruct.Q4_1:
      input_dollars_per_million: "1"
      output_dollars_per_million: "10"
"""


@pytest.fixture(scope="module")
def similar(tmp_path_factory):
    server = Server(tmp_path_factory.mktemp("similar"), SEMANTIC).start()
    answer = httpx.post(
        f"{server.address}/api/setup",
        json={"token": server.setup_token, "name": OWNER[0], "password": OWNER[1]})
    assert answer.status_code == 201, answer.text
    with Client(server, server.token) as client:
        yield client
    server.stop()


def test_a_paraphrase_has_the_answer_and_names_the_question(similar):
    question = "What is the capital of France?"
    first = ask(similar, question)
    assert first.headers["x-heptad-cache"] == "miss"
    before = spent(similar)
    second = ask(similar, "Tell me the capital of France")
    assert second.headers["x-heptad-cache"] == "similar"
    assert unquote(second.headers["x-heptad-cache-question"]) == question
    assert 0.92 <= float(second.headers["x-heptad-cache-similarity"]) < 1
    assert second.headers["x-heptad-cost"] == "0"
    assert second.headers["x-heptad-saved"] == first.headers["x-heptad-cost"]
    assert text(second) == text(first) and spent(similar) == before

    streamed = ""
    with similar.stream("POST", "/v1/chat/completions", json={
            "messages": [{"role": "user", "content": "Which city is the capital of France?"}],
            "temperature": 0, "max_tokens": 16, "stream": True}) as answer:
        assert answer.headers["x-heptad-cache"] == "similar"
        assert answer.headers["x-heptad-saved"] == first.headers["x-heptad-cost"]
        for line in answer.iter_lines():
            if line.startswith("data: {"):
                for choice in json.loads(line[6:])["choices"]:
                    streamed += choice["delta"].get("content") or ""
    assert streamed == text(first)

    # Both were checked in the background, on nobody's account.
    for _ in range(ANSWER_SECONDS):
        metrics = similar.get("/metrics").text
        found = re.findall(r'^heptad_cache_audits_total\{.*\} (\S+)', metrics, re.M)
        if sum(map(float, found)) >= 2:
            break
        time.sleep(1)
    assert sum(map(float, found)) == 2 and "failed" not in metrics.split("heptad_cache_audits")[-1]
    assert "heptad_cache_audit_wrong_ratio" in metrics
    assert spent(similar) == before
    assert any(each["name"] == "cache audit" for each in similar.get("/api/traces").json()["traces"])


@pytest.mark.parametrize("one, other", [
    ("Name three rivers in Europe.", "Name four rivers in Europe."),
    ("Is aspirin safe for cats?", "Is aspirin not safe for cats?"),
    ("What is the capital of Norway?", "What is the capital of Sweden?"),
    ("Convert miles to km", "Convert km to miles"),
])
def test_a_number_a_not_or_a_name_makes_another_question(similar, one, other):
    for question in (one, other):
        assert ask(similar, question).headers["x-heptad-cache"] == "miss"
    assert ask(similar, one).headers["x-heptad-cache"] == "hit"


def test_a_chat_says_so_and_asks_anew_once_documents_speak_of_it(similar):
    def turn(question):
        _, turn = similar.begin(question)
        return similar.events(f"/api/turns/{turn}/events")[-1][2]

    question, paraphrase = "What is the capital of Xanadu?", "Tell me the capital of Xanadu"
    first, second = turn(question), turn(paraphrase)
    assert first["completion"]["cache"] == "miss"
    assert second["completion"]["cache"] == "similar" and second["completion"]["cost"] == 0
    assert any(question in notice for notice in second["notices"])
    assert second["text"] == first["text"]

    for capital in ("Alph", "Kublai"):
        document = similar.ingest("xanadu.md", f"# Xanadu\n\nThe capital of Xanadu is {capital}.\n")
        for text in (question, paraphrase):
            assert "cache" not in turn(text)["completion"]
        assert similar.delete(f"/api/documents/{document}").status_code == 204
    assert turn(paraphrase)["completion"]["cache"] == "similar"
