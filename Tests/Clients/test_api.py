"""The native API over raw HTTP: bad input, other people's identifiers, a server that is killed."""

import random
import re
import signal
import time

import httpx
import pytest

from conftest import HANDBOOK, LONG_ANSWERS, OWNER, Client, Server

NOBODY = "01890a5d-ac96-774b-bcce-b302099a8057"
LONG_QUESTION = "Write a long story about a lighthouse, its keeper and everything around them."


def problem(answer, status):
    """The sentence of a refusal, after checking its form."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"].startswith("application/problem+json")
    body = answer.json()
    assert body["status"] == status and body["title"] and body["code"]
    assert body["detail"].endswith((".", "?", "!")), body["detail"]
    return body["detail"]


# Uploads

@pytest.mark.parametrize("name", ["photo.png", "archive.zip", "program.exe", "none"])
def test_an_unsupported_type_is_refused(client, name):
    sentence = problem(client.upload(name, bytes([0x89, 0x50, 0, 1, 2, 0xff]) * 50), 415)
    assert len(sentence) > 20


def test_an_empty_file_is_refused(client):
    assert "empty" in problem(client.upload("empty.md", b""), 400)


def test_a_file_of_100_megabytes_is_refused(client, server):
    content = b"A line that is as long as any other line.\n" * 2_500_000
    try:
        answer = client.upload("huge.txt", content)
    except httpx.TransportError:
        # A server may hang up once it has answered; it must still be there.
        pass
    else:
        problem(answer, 413)
    assert client.get("/api/session").status_code == 200


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        ("multipart/form-data; boundary=x", b"--x\r\nContent-Disposition: form-data; name=\"file\"; "
         b"filename=\"a.md\"\r\n\r\nhalf a file"),
        ("multipart/form-data; boundary=x", b"no boundary anywhere"),
        ("multipart/form-data; boundary=x", b""),
        ("multipart/form-data", b"--x\r\n\r\nhello\r\n--x--\r\n"),
        ("multipart/form-data; boundary=x", b"--x\r\n\r\n--x--\r\n"),
        ("multipart/form-data; boundary=x", b"--x\r\nContent-Disposition: form-data; name=\"other\""
         b"\r\n\r\nhello\r\n--x--\r\n"),
    ],
    ids=["cut off", "no boundary", "empty", "boundary not named", "part without a name", "no file"])
def test_a_corrupt_multipart_body_is_refused(client, content_type, body):
    answer = client.post(
        "/api/documents", content=body, headers={"Content-Type": content_type})
    problem(answer, 400)


def test_random_multipart_bytes_never_stop_the_server(client):
    dice = random.Random(7)
    good = (b"--x\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a.md\"\r\n"
            b"Content-Type: text/markdown\r\n\r\n# Hello\r\n--x--\r\n")
    for _ in range(60):
        body = bytearray(good)
        for _ in range(dice.randint(1, 6)):
            body[dice.randrange(len(body))] = dice.randrange(256)
        cut = bytes(body[:dice.randint(1, len(body))])
        answer = client.post("/api/documents", content=cut, headers={
            "Content-Type": "multipart/form-data; boundary=x"})
        assert answer.status_code in (202, 400, 413, 415, 429), answer.text
    assert client.get("/healthz").status_code == 200


def test_a_raw_body_is_an_upload_too(client):
    answer = client.post(
        "/api/documents", params={"name": "raw.md"}, content="# Raw\n\nThe raft is green.\n".encode())
    assert answer.status_code == 202, answer.text
    ingestion = answer.json()["ingestions"][0]
    assert answer.headers["location"] == f"/api/jobs/{ingestion['jobID']}"
    assert client.job(ingestion["jobID"])["state"] == "completed"
    document = client.get(f"/api/documents/{ingestion['documentID']}").json()
    assert document["document"]["name"] == "raw.md" and "green" in document["text"]


def test_the_events_of_a_job_end_with_its_last_state(client):
    answer = client.upload("short.md", b"# Short\n\nOne sentence.\n")
    job_id = answer.json()["ingestions"][0]["jobID"]
    events = client.events(f"/api/jobs/{job_id}/events")
    assert {name for _, name, _ in events} == {"job"}
    assert events[-1][2]["state"] == "completed"


def test_deleting_a_document_takes_it_out_of_search(client):
    document = client.ingest("otter.md", "# Otters\n\nThe otter Zebulon sleeps in dock nine.\n".encode())
    hits = client.post("/api/search", json={"text": "Where does Zebulon sleep?"}).json()["hits"]
    assert any(hit["passage"]["documentID"] == document for hit in hits)
    assert client.delete(f"/api/documents/{document}").status_code == 204
    hits = client.post("/api/search", json={"text": "Where does Zebulon sleep?"}).json()["hits"]
    assert not any(hit["passage"]["documentID"] == document for hit in hits)
    problem(client.get(f"/api/documents/{document}"), 404)


def test_a_passage_lies_where_its_offsets_say(client):
    """Offsets count Unicode scalars, also behind characters that take two UTF-16 units."""
    document = client.ingest(HANDBOOK.name, HANDBOOK.read_bytes())
    text = client.get(f"/api/documents/{document}").json()["text"]
    hits = client.post("/api/search", json={"text": "Who repairs the boats on Thursdays?"}).json()["hits"]
    passage = next(hit["passage"] for hit in hits if hit["passage"]["documentID"] == document)
    assert words(text[passage["start"]:passage["end"]]) == words(passage["text"])


def words(text):
    return re.findall(r"\w+", text)


# JSON

@pytest.mark.parametrize(
    "body", [b"", b"{", b"[]", b"null", b"\xff\xfe", b'{"question": 7}', b'{"question": "  "}',
             b"[" * 100_000])
def test_a_bad_question_is_refused(client, body):
    chat = client.post("/api/chats", json={}).json()
    answer = client.post(f"/api/chats/{chat['id']}/turns", content=body,
                         headers={"Content-Type": "application/json"})
    problem(answer, 400)


def test_an_unknown_model_is_refused_before_the_answer_begins(client):
    chat = client.post("/api/chats", json={}).json()
    answer = client.post(f"/api/chats/{chat['id']}/turns",
                         json={"question": "Hello?", "model": "no-such-model"})
    assert "no-such-model" in problem(answer, 404)
    assert client.get(f"/api/chats/{chat['id']}").json()["entries"] == []


# Identity

def test_without_a_session_everything_is_refused(server):
    for path in ("chats", "collections", "models", "traces", "spend", "keys"):
        problem(httpx.get(f"{server.address}/api/{path}"), 401)


def test_the_session_says_whether_setup_is_needed(server, fresh_server):
    assert httpx.get(f"{server.address}/api/session").json()["setupNeeded"] is False
    assert httpx.get(f"{fresh_server.address}/api/session").json()["setupNeeded"] is True


def test_a_setup_link_works_once(fresh_server):
    body = {"token": fresh_server.setup_token, "name": "first", "password": "a long password"}
    link = f"{fresh_server.address}/api/setup/{body['token']}"
    assert httpx.get(link).status_code == 204
    assert httpx.post(f"{fresh_server.address}/api/setup", json=body).status_code == 201
    problem(httpx.get(link), 404)
    assert httpx.post(f"{fresh_server.address}/api/setup", json=body).status_code >= 400


def test_a_change_with_the_cookie_needs_the_csrf_token(server):
    with httpx.Client(base_url=server.address) as browser:
        session = browser.post("/api/login", json={"name": OWNER[0], "password": OWNER[1]})
        assert session.status_code == 200, session.text
        cookie = session.headers["set-cookie"].lower()
        assert "httponly" in cookie and "samesite=lax" in cookie
        problem(browser.post("/api/chats", json={}), 403)
        token = {"X-CSRF-Token": session.json()["csrfToken"]}
        assert browser.post("/api/chats", json={}, headers=token).status_code == 201
        other = {**token, "Origin": "https://elsewhere.example"}
        problem(browser.post("/api/chats", json={}, headers=other), 403)
        assert browser.post("/api/logout", headers=token).status_code == 204
        problem(browser.get("/api/chats"), 401)


@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", "/api/chats/{}"), ("DELETE", "/api/chats/{}"), ("POST", "/api/chats/{}/turns"),
     ("GET", "/api/turns/{}/events"), ("POST", "/api/turns/{}/cancel"),
     ("GET", "/api/collections/{}/documents"), ("DELETE", "/api/collections/{}"),
     ("GET", "/api/documents/{}"), ("DELETE", "/api/documents/{}"), ("GET", "/api/jobs/{}"),
     ("GET", "/api/jobs/{}/events"), ("POST", "/api/jobs/{}/cancel"), ("DELETE", "/api/keys/{}")])
@pytest.mark.parametrize("identifier", [NOBODY, "not-an-identifier"])
def test_an_identifier_of_nobody_is_not_found(client, method, path, identifier):
    body = {"json": {"question": "Hello?"}} if path.endswith("/turns") else {}
    assert client.request(method, path.format(identifier), **body).status_code == 404


@pytest.fixture(scope="module")
def owned(client):
    """The owner's things, by the name of their place in a path."""
    document = client.ingest("secret.md", "# Secret\n\nThe safe opens with 4711.\n".encode())
    job = client.upload("job.md", b"# A job\n").json()["ingestions"][0]["jobID"]
    client.job(job)
    chat, turn = client.begin("Hello?")
    outcome = client.events(f"/api/turns/{turn}/events")[-1][2]
    collection = client.get(f"/api/documents/{document}").json()["document"]["collectionID"]
    key = client.post("/api/keys", json={"name": "owned"}).json()["id"]
    return {"chat": chat, "turn": turn, "collection": collection, "document": document, "job": job,
            "key": key, "trace": outcome["traceID"]}


@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", "/api/chats/{chat}"), ("POST", "/api/chats/{chat}/turns"),
     ("GET", "/api/turns/{turn}/events"), ("POST", "/api/turns/{turn}/cancel"),
     ("GET", "/api/collections/{collection}/documents"), ("GET", "/api/documents/{document}"),
     ("GET", "/api/jobs/{job}"), ("GET", "/api/jobs/{job}/events"), ("POST", "/api/jobs/{job}/cancel"),
     ("GET", "/api/traces/{trace}"), ("DELETE", "/api/keys/{key}"),
     ("DELETE", "/api/documents/{document}"), ("DELETE", "/api/collections/{collection}"),
     ("DELETE", "/api/chats/{chat}")])
def test_another_users_identifier_is_not_found(client, mallory, owned, method, path):
    body = {"json": {"question": "Hello?"}} if path.endswith("/turns") else {}
    assert mallory.request(method, path.format(**owned), **body).status_code == 404
    if method == "GET" and not path.endswith("/events"):
        wait_until_found(client, path.format(**owned))


# It is there, only not for her. A trace is written a moment after its request.
def wait_until_found(client, path, seconds=15):
    deadline = time.monotonic() + seconds
    while client.get(path).status_code != 200:
        assert time.monotonic() < deadline, path
        time.sleep(0.2)


def test_another_user_finds_and_uploads_nothing_of_mine(mallory, owned):
    for path, key in [("chats", "chats"), ("collections", "collections"), ("keys", "keys")]:
        found = mallory.get(f"/api/{path}").json()[key]
        assert not {each["id"] for each in found} & set(owned.values())
    question = {"text": "What opens the safe?"}
    assert mallory.post("/api/search", json=question).json()["hits"] == []
    answer = mallory.post("/api/search", json={**question, "collectionIDs": [owned["collection"]]})
    assert answer.status_code == 404 or answer.json()["hits"] == []
    upload = mallory.upload("mine.md", b"# Mine\n", collectionID=owned["collection"])
    assert upload.status_code == 404


# Restart

def test_a_killed_server_keeps_the_partial_answer(tmp_path):
    server = Server(tmp_path, LONG_ANSWERS).start()
    try:
        with Client(server, server.token) as client:
            chat, turn = client.begin(LONG_QUESTION)
            seen = wait_for_text(client, chat)
        server.stop(signal.SIGKILL)
        server.start()
        with Client(server, server.token) as client:
            answer = client.get(f"/api/chats/{chat}").json()["entries"][-1]
            assert answer["turnState"] == "interrupted"
            assert answer["text"].startswith(seen)
            events = client.events(f"/api/turns/{turn}/events")
            assert events[-1][1] == "ended" and events[-1][2]["state"] == "interrupted"
            assert [number for number, _, _ in events] == list(range(1, len(events) + 1))
    finally:
        server.stop()


# The log is written in groups, each 50 ms: what was shown so long ago is on disk.
def wait_for_text(client, chat, characters=40, seconds=120):
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        answer = client.get(f"/api/chats/{chat}").json()["entries"][-1]
        assert answer["turnState"] == "running", answer
        if len(answer["text"]) >= characters:
            time.sleep(0.2)
            return answer["text"]
        time.sleep(0.02)
    pytest.fail(f"No text within {seconds} s.")


def test_a_stream_resumes_after_the_last_event(client):
    _, turn = client.begin("What is a lighthouse?")
    path = f"/api/turns/{turn}/events"
    whole = client.events(path)
    assert [number for number, _, _ in whole] == list(range(1, len(whole) + 1))
    assert whole[-1][1] == "ended"
    half = whole[len(whole) // 2][0]
    assert client.events(path, after=half) == [event for event in whole if event[0] > half]


def test_a_cancelled_answer_keeps_what_it_wrote(client):
    chat, turn = client.begin(LONG_QUESTION)
    wait_for_text(client, chat, characters=10)
    assert client.post(f"/api/turns/{turn}/cancel").status_code == 204
    outcome = client.events(f"/api/turns/{turn}/events")[-1][2]
    assert outcome["state"] == "cancelled" and outcome["text"]
    assert client.post(f"/api/turns/{turn}/cancel").status_code == 204


# The page

def test_the_page_is_served_with_its_policy_and_validated_by_its_tag(server):
    answer = httpx.get(server.address)
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    policy = answer.headers["content-security-policy"]
    assert "script-src 'self'" in policy and "unsafe" not in policy
    assert answer.headers["x-content-type-options"] == "nosniff"
    again = httpx.get(server.address, headers={"If-None-Match": answer.headers["etag"]})
    assert again.status_code == 304 and again.content == b""


@pytest.mark.parametrize("path", ["/../etc/passwd", "/%2e%2e/etc/passwd", "/main.js/", "/.git/config"])
def test_other_files_are_not_served(server, path):
    assert httpx.get(server.address + path).status_code == 404
