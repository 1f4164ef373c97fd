"""The page in headless Chromium, from the setup link to a cited answer."""

import json
import re
import textwrap
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import httpx
import pytest
from playwright.sync_api import expect

from browser import (
    ANSWER_MILLISECONDS, DESKTOP, JOB_MILLISECONDS, PHONE, SCREENSHOTS, Visit, fits_the_width)
from conftest import ANSWER_SECONDS, HANDBOOK, JOB_SECONDS, OWNER, ROOT, Client, Server

FACT_QUESTION = "How much is charged for a lost oar?"
LONG_QUESTION = "Tell a long story about a lighthouse keeper, with many details."


@pytest.fixture(scope="session")
def handbook(client):
    """The sample document, indexed; its id."""
    return client.ingest(HANDBOOK.name, HANDBOOK.read_bytes())


def words(text):
    return " ".join(re.findall(r"\w+", text))


def text_of(answer):
    return answer.locator(".prose").inner_text()


def wait_for_text(answer, characters=20):
    deadline = time.monotonic() + ANSWER_SECONDS
    while len(text_of(answer)) < characters:
        assert time.monotonic() < deadline, "no text"
        assert answer.get_attribute("aria-busy") == "true", f"ended early: {text_of(answer)!r}"
        time.sleep(0.05)


# The whole way, once

def test_from_the_setup_link_to_a_cited_answer(visit, fresh_server):
    trip = visit(fresh_server)
    page = trip.page
    page.goto("/")
    expect(page.get_by_role("heading", name="Heptad waits for its owner")).to_be_visible()

    page.goto(f"/#/setup/{fresh_server.setup_token}")
    expect(page.get_by_label("Name")).to_be_focused()
    assert page.locator("form input").count() == 2
    page.get_by_label("Name").fill(OWNER[0])
    page.get_by_label("Password").fill(OWNER[1])
    trip.screenshot("01-setup")
    page.get_by_role("button", name="Start").click()
    expect(page.get_by_role("heading", name="Ask your own documents")).to_be_visible()
    trip.screenshot("02-first-run")

    page.set_input_files("#welcome-files", HANDBOOK)
    upload = page.locator(".upload")
    expect(upload.locator("progress")).to_be_visible()
    expect(upload.locator(".upload-state")).to_have_text(
        "Ready to be asked about", timeout=JOB_MILLISECONDS)
    expect(page.get_by_role("heading", name="What would you like to know?")).to_be_visible()
    trip.screenshot("03-ready")

    answer = trip.complete(trip.ask(FACT_QUESTION))
    expect(page).to_have_url(re.compile(r"#/chats/[0-9a-f-]{36}$"))
    expect(page.locator(".chat-link", has_text="How much is charged")).to_have_attribute(
        "aria-current", "page")
    assert len(text_of(answer)) > 10
    figures = answer.locator(".figures").inner_text()
    assert "free" in figures and re.search(r"\d+ tokens? in, \d+ out", figures)
    trip.screenshot("04-answer")

    mark = answer.locator(".citation").first
    expect(mark).to_have_attribute("aria-label", re.compile(r"^Source \d+: harbour-handbook"))
    mark.click()
    panel = page.get_by_role("complementary", name="Source")
    expect(panel.get_by_role("heading", name=HANDBOOK.name)).to_be_visible()
    expect(panel.locator("mark")).to_be_in_viewport()
    passage = panel.locator("mark").inner_text()
    assert passage and words(passage) in words(HANDBOOK.read_text())
    trip.screenshot("05-passage")
    page.keyboard.press("Escape")
    expect(panel).to_be_hidden()
    expect(mark).to_be_focused()

    answer.get_by_role("link", name="Trace").click()
    spans = page.locator(".span")
    expect(spans.first).to_be_visible(timeout=15_000)
    assert spans.count() >= 4
    spans.first.get_by_role("button").click()
    expect(spans.first.locator(".facts")).to_be_visible()
    trip.screenshot("06-trace")


# Streams

def test_a_reload_in_mid_answer_goes_on(signed_in, client, handbook):
    trip = signed_in()
    trip.search_nothing()
    answer = trip.ask(LONG_QUESTION)
    wait_for_text(answer)
    before = text_of(answer)
    trip.page.reload()
    answer = trip.page.locator(".answer")
    expect(answer).to_have_count(1)
    trip.complete(answer)
    assert text_of(answer).startswith(before.strip()[:15])
    chat = trip.page.url.rsplit("/", 1)[1]
    outcome = client.get(f"/api/chats/{chat}").json()["entries"][-1]["outcome"]
    assert outcome["state"] == "completed"
    # The markup's own characters are gone from the page; the words are all there.
    assert words(text_of(answer)) == words(outcome["text"])


@pytest.mark.parametrize("how", ["Escape", "button"])
def test_stop_ends_the_answer_and_keeps_its_text(signed_in, handbook, how):
    trip = signed_in()
    trip.search_nothing()
    answer = trip.ask(LONG_QUESTION)
    stop = trip.page.get_by_role("button", name="Stop the answer")
    expect(stop).to_be_visible()
    wait_for_text(answer)
    if how == "Escape":
        trip.page.keyboard.press("Escape")
    else:
        stop.click()
    expect(answer.locator(".message.cancelled")).to_be_visible(timeout=30_000)
    assert len(text_of(answer)) >= 20
    expect(trip.page.get_by_role("button", name="Send")).to_be_visible()
    trip.page.reload()
    expect(trip.page.locator(".answer .message.cancelled")).to_be_visible()


def test_a_broken_stream_is_opened_again(signed_in, handbook):
    trip = signed_in()
    trip.expected.append("/events")
    problem = {"status": 503, "detail": "The log is busy.", "code": "unavailable"}
    broken = [
        dict(status=200, content_type="text/event-stream",
             body=f"event: error\ndata: {json.dumps(problem)}\n\n"),
        dict(status=503, content_type="application/problem+json",
             body=json.dumps({"status": 503, "detail": "Restarting.", "code": "unavailable"})),
        dict(status=200, content_type="text/event-stream", body=": nothing yet\n\n"),
    ]
    trip.page.route("**/events", lambda route: (
        route.fulfill(**broken.pop(0)) if broken else route.continue_()))
    answer = trip.complete(trip.ask(FACT_QUESTION))
    assert broken == [] and len(text_of(answer)) > 10


def test_a_refused_question_comes_back_with_the_reason(signed_in, handbook):
    trip = signed_in()
    trip.expected.append("/turns")
    sentence = "The monthly budget of $5.00 is used up. Wait for December."
    trip.page.route("**/turns", lambda route: route.fulfill(
        status=402, content_type="application/problem+json",
        body=json.dumps({"status": 402, "detail": sentence, "code": "budgetExceeded"})))
    trip.page.get_by_label("Your question").fill(FACT_QUESTION)
    trip.page.keyboard.press("Enter")
    expect(trip.page.get_by_role("alert").filter(has_text=sentence)).to_be_visible()
    expect(trip.page.get_by_label("Your question")).to_have_value(FACT_QUESTION)
    assert trip.page.locator(".question").count() == 0


# What an answer rests on

ORACLE = "Oars are counted by the oracle of Delphi at midnight."
HALF = "The charge for oars is often discussed."


def judged_chat(client, handbook):
    """A chat as the server keeps one: an answer with a good, a weak and an invented sentence."""
    hit = client.post("/api/search", json={"text": FACT_QUESTION, "limit": 1}).json()["hits"][0]
    passage = hit["passage"]
    said = next(line for line in re.split(r"(?<=\.)\s", passage["text"]) if "oar" in line)
    start = passage["start"] + passage["text"].index(said)
    good = said.rstrip(".") + " [1]."
    text = f"{good} {HALF}\n\n- **Oracle**: {ORACLE}\n\n| a | b |\n|---|---|\n| 1 | 2 |\n"

    def verdict(sentence, support, **more):
        place = text.index(sentence)
        return {"start": place, "end": place + len(sentence), "support": support, "method": "words",
                "score": 0.5, "wrongNumbers": [], **more}

    outcome = {
        "state": "completed", "text": text, "notices": [], "totalMilliseconds": 900,
        "citations": [{"number": 1, "passage": passage, "origin": "model"}],
        "verdicts": [
            verdict(good, "quoted", number=1, evidenceStart=start, evidenceEnd=start + len(said)),
            verdict(HALF, "weak", number=1,
                    reason="Passage 1 says something like it, and not quite this."),
            verdict(f"**Oracle**: {ORACLE}", "unsupported", reason="None of the passages says this."),
            verdict("| 1 | 2 |", "unsupported", reason="None of the passages says this."),
        ]}
    moment = "2026-11-01T00:00:00.000Z"
    chat = {"id": "01890a5d-ac96-774b-bcce-b302099a8057", "title": "Oars", "createdAt": moment,
            "updatedAt": moment}
    entry = {"createdAt": moment, "id": chat["id"], "role": "user", "text": FACT_QUESTION}
    answer = {**entry, "role": "assistant", "text": text, "turnState": "completed",
              "turnID": "01890a5d-ac96-774b-bcce-b302099a8058", "outcome": outcome}
    return {"chat": chat, "entries": [entry, answer]}, said


def test_what_no_passage_bears_out_is_underlined_with_the_reason(signed_in, client, handbook):
    trip = signed_in()
    page = trip.page
    body, said = judged_chat(client, handbook)
    page.route(f"**/api/chats/{body['chat']['id']}", lambda route: route.fulfill(json=body))
    page.goto(f"/#/chats/{body['chat']['id']}")
    answer = page.locator(".answer")
    expect(answer.locator(".doubted.weak")).to_have_text(HALF)
    expect(answer.locator(".doubted.unsupported").first).to_have_text("Oracle")
    assert " ".join(answer.locator(".doubted.unsupported").all_inner_texts()) == f"Oracle : {ORACLE}"
    # Markdown means what it did, and the table has its two cells.
    expect(answer.locator("li strong .doubted")).to_have_text("Oracle")
    expect(answer.locator("tbody td")).to_have_count(2)
    assert not re.search("[\u2e28\u2e29\ue000-\uf8ff]", answer.inner_text())
    expect(answer.locator(".borne-out")).to_have_text("1 of 4 sentences borne out")
    for name, width, height in (("desktop", 1280, 800), ("tablet", 820, 900), ("phone", 360, 740)):
        page.set_viewport_size({"width": width, "height": height})
        page.wait_for_timeout(200)
        assert fits_the_width(page), name
        trip.screenshot(f"verdicts-{name}")
    page.set_viewport_size(DESKTOP["viewport"])

    sign = answer.get_by_role("button", name="Your documents do not bear this out")
    expect(sign).to_have_attribute("title", re.compile("None of the passages says this"))
    sign.click()
    note = answer.get_by_role("note")
    expect(note).to_contain_text("None of the passages says this.")
    trip.screenshot("verdicts-reason")
    sign.click()
    expect(note).to_have_count(0)

    answer.locator(".citation").first.click()
    panel = page.get_by_role("complementary", name="Source")
    expect(panel.locator("mark .evidence")).to_have_text(said)
    expect(panel.locator("mark .evidence")).to_be_in_viewport()
    trip.screenshot("verdicts-evidence")
    page.keyboard.press("Escape")
    expect(answer.get_by_role("link", name="Why these sources?")).to_have_attribute(
        "href", f"#/search?turn={body['entries'][1]['turnID']}&chat={body['chat']['id']}")


def test_an_answers_verdicts_come_with_it_and_stay(client, handbook):
    chat, turn = client.begin(FACT_QUESTION)
    ended = client.events(f"/api/turns/{turn}/events")[-1][2]
    kept = client.get(f"/api/chats/{chat}").json()["entries"][-1]["outcome"]
    assert kept == ended and ended["verdicts"]
    for verdict in ended["verdicts"]:
        assert 0 <= verdict["start"] < verdict["end"] <= len(ended["text"])
        assert verdict["support"] in ("quoted", "supported", "weak", "unsupported")
    assert ended["search"]["text"] == FACT_QUESTION
    spans = []
    for _ in range(40):
        answer = client.get(f"/api/traces/{ended['traceID']}")
        spans = answer.json()["spans"] if answer.status_code == 200 else []
        if any(span["name"] == "attribute" for span in spans):
            break
        time.sleep(0.25)
    attributes = next(span["attributes"] for span in spans if span["name"] == "attribute")
    assert len(attributes["heptad.verdicts"].splitlines()) == min(24, len(ended["verdicts"]))


# Why it was not found

def small_pdf(*pages):
    """A PDF with a paragraph of text on each page."""
    objects = ["<< /Type /Catalog /Pages 2 0 R >>", "", "<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>"]
    kids = []
    for text in pages:
        lines = "".join(f"({line}) Tj 0 -14 Td " for line in textwrap.wrap(text, 80))
        stream = f"BT /F1 12 Tf 72 720 Td {lines}ET"
        objects.append(f"<< /Length {len(stream)} >>\nstream\n{stream}\nendstream")
        objects.append(f"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Contents {len(objects)} 0 R"
                       " /Resources << /Font << /F1 3 0 R >> >> >>")
        kids.append(f"{len(objects)} 0 R")
    objects[1] = f"<< /Type /Pages /Kids [{' '.join(kids)}] /Count {len(pages)} >>"
    body, places = "%PDF-1.4\n", []
    for number, text in enumerate(objects, 1):
        places.append(len(body))
        body += f"{number} 0 obj\n{text}\nendobj\n"
    table = "".join(f"{place:010} 00000 n \n" for place in places)
    size = len(objects) + 1
    return (f"{body}xref\n0 {size}\n0000000000 65535 f \n{table}trailer\n"
            f"<< /Size {size} /Root 1 0 R >>\nstartxref\n{len(body)}\n%%EOF\n").encode()


@pytest.fixture(scope="session")
def fleet(client):
    """A collection in which the wanted passage is far down; its id and that of the document."""
    collection = client.post("/api/collections", json={"name": "Fleet"}).json()["id"]
    for number in range(9):
        client.ingest(f"ferry-{number}.txt", f"Ferry {number} ferry timetable: the ferry leaves.",
                      collectionID=collection)
    wanted = client.ingest("museum.pdf", small_pdf(
        "This museum shows many things that were found on the shore. " * 25,
        "In a side room stands the model of a ferry that nobody remembers any more."),
        collectionID=collection)
    return collection, wanted


def test_a_search_says_why_and_what_helps(signed_in, client, handbook, fleet):
    collection, wanted = fleet
    chat, turn = client.begin("When does the ferry leave by the timetable?", collectionIDs=[collection])
    client.events(f"/api/turns/{turn}/events")
    trip = signed_in()
    page = trip.page
    page.goto(f"/#/chats/{chat}")
    page.get_by_role("link", name="Why these sources?").click()
    expect(page.get_by_role("heading", name="Why these sources?")).to_be_visible()
    expect(page.get_by_label("Question", exact=True)).to_have_value(
        "When does the ferry leave by the timetable?")
    rows = page.get_by_role("region", name="What was found").locator("tbody tr")
    expect(rows.first).to_be_visible(timeout=30_000)
    assert rows.count() >= 9
    expect(rows.first).to_contain_text("The answer had it")
    expect(page.locator("tr.given")).not_to_have_count(0)
    expect(page.locator("tr.pastLimit").first).to_contain_text("Further down")

    page.get_by_label("Which document should have been found?").select_option(wanted)
    finding = page.locator(".finding").first
    expect(finding).to_contain_text(re.compile(r"Its best passage is at rank \d+, and the model is given 4"))
    document = page.get_by_role("region", name="The document museum.pdf")
    expect(document.locator(".words .missing").first).to_be_visible()
    document.locator("summary").click()
    expect(document.locator(".excerpt .document")).to_contain_text("found on the shore")
    for name, width, height in (("desktop", 1280, 1100), ("tablet", 820, 1200), ("phone", 360, 1600)):
        page.set_viewport_size({"width": width, "height": height})
        page.wait_for_timeout(200)
        assert fits_the_width(page), name
        trip.screenshot(f"search-{name}")
    page.set_viewport_size(DESKTOP["viewport"])

    # The source opens at its page.
    document.get_by_role("button", name=re.compile("museum.pdf.*Page 2")).click()
    panel = page.get_by_role("complementary", name="Source")
    expect(panel.locator(".panel-head .tag")).to_have_text(re.compile(r"^(Page 1 – )?Page 2$"))
    expect(panel.locator("mark")).to_contain_text("In a side room")
    expect(panel.locator("mark")).to_be_in_viewport()
    trip.screenshot("search-page-of-a-pdf")
    page.keyboard.press("Escape")

    label = finding.get_by_role("button", name=re.compile(r"Give the model \d+ passages"))
    passages = int(re.search(r"\d+", label.inner_text()).group())
    label.click()
    expect(page.locator(".finding").first).to_contain_text("It was found")

    page.get_by_label("Which document should have been found?").select_option("")
    expect(rows.first).to_be_visible()
    page.get_by_label("Which document should have been found?").select_option(wanted)
    page.get_by_role("button", name="Ask again in the chat with them").click()
    expect(page).to_have_url(re.compile(f"#/chats/{chat}"))
    expect(page.locator(".answer")).to_have_count(2)
    trip.complete(page.locator(".answer").last)
    assert client.get(f"/api/chats/{chat}").json()["chat"]["passagesMax"] == passages
    last = client.get(f"/api/chats/{chat}").json()["entries"][-1]["turnID"]
    events = client.events(f"/api/turns/{last}/events")
    given = next(data["passages"] for _, name, data in events if name == "passages")
    assert "museum.pdf" in [each["documentName"] for each in given]


def test_a_search_is_tried_in_a_collection_and_a_document_read_again(signed_in, client, handbook, fleet):
    trip = signed_in()
    page = trip.page
    page.get_by_role("link", name="Search test").click()
    page.get_by_label("Question", exact=True).fill(FACT_QUESTION)
    expect(page.get_by_label("Search in").locator("option", has_text="Fleet")).to_have_count(1)
    page.get_by_label("Search in").select_option(label="Fleet")
    page.get_by_label("Which document should have been found?").select_option(handbook)
    expect(page.locator(".finding").first).to_contain_text("in a collection that was not searched")
    page.get_by_role("button", name="Search all collections").click()
    expect(page.locator(".finding").first).to_contain_text("It was found")

    page.get_by_text("Only some documents").click()
    page.get_by_label("Of any of these types").fill("xlsx, csv")
    page.get_by_label("Only my own").check()
    page.get_by_role("button", name="Search", exact=True).click()
    expect(page.locator(".finding").first).to_contain_text("the filter, or the choice of a collection")
    trip.screenshot("search-filtered")
    page.get_by_role("button", name="Search all documents").click()
    expect(page.locator(".finding").first).to_contain_text("It was found")
    expect(page.get_by_label("Of any of these types")).to_have_value("")

    renewed = client.post(f"/api/documents/{handbook}/renew", json={"vectorsOnly": True}).json()
    assert client.job(renewed["jobID"])["state"] == "completed"
    before = client.get(f"/api/documents/{handbook}").json()["document"]["passageCount"]
    renewed = client.post(f"/api/documents/{handbook}/renew", json={}).json()
    assert client.job(renewed["jobID"])["state"] == "completed"
    assert client.get(f"/api/documents/{handbook}").json()["document"]["passageCount"] == before


def test_a_document_without_text_is_said_to_be_that(signed_in, client, fleet):
    collection, _ = fleet
    documents = {}
    for name, content in (("scan.pdf", small_pdf("")), ("torn.pdf", b"%PDF-1.4 torn in half")):
        ingestion = client.upload(name, content, collectionID=collection).json()["ingestions"][0]
        assert client.job(ingestion["jobID"])["state"] == "failed"
        documents[name] = ingestion["documentID"]
    trip = signed_in()
    page = trip.page
    page.goto("/#/search?question=ferry")
    finding = page.locator(".finding").first
    chosen = page.get_by_label("Which document should have been found?")
    expect(chosen.locator("option", has_text="torn.pdf")).to_have_count(1)
    chosen.select_option(documents["torn.pdf"])
    expect(finding).to_contain_text("damaged")
    with page.expect_response(lambda answer: answer.url.endswith("/renew")) as renewed:
        finding.get_by_role("button", name="Read it again").click()
    assert client.job(renewed.value.json()["jobID"])["state"] == "failed"
    expect(finding).to_contain_text("damaged", timeout=30_000)

    chosen.select_option(documents["scan.pdf"])
    expect(finding).to_contain_text("“scan.pdf” has no text: its pages are pictures")
    trip.screenshot("search-scan")
    finding.get_by_role("button", name="Put in a file with text").click()
    expect(page.get_by_role("heading", name="Documents", level=1)).to_be_visible()
    for document in documents.values():
        client.delete(f"/api/documents/{document}")


def test_nobody_is_told_of_anothers_documents(client, mallory, handbook, fleet):
    collection, wanted = fleet
    _, turn = client.begin(FACT_QUESTION)
    client.events(f"/api/turns/{turn}/events")
    for body in ({"question": FACT_QUESTION, "documentID": handbook}, {"turnID": turn},
                 {"question": "ferry", "collectionIDs": [collection]}):
        assert client.post("/api/search/explain", json=body).status_code == 200
        assert mallory.post("/api/search/explain", json=body).status_code == 404
    answer = mallory.post("/api/search/explain", json={"question": FACT_QUESTION})
    assert answer.status_code == 200 and answer.json()["rows"] == []
    assert answer.json()["search"]["documentCount"] == 0
    assert mallory.post(f"/api/documents/{wanted}/renew", json={}).status_code == 404


# Phones and keyboards

def test_every_page_fits_a_phone(signed_in, handbook):
    trip = signed_in(**PHONE)
    page = trip.page
    answer = trip.complete(trip.ask(FACT_QUESTION))
    assert fits_the_width(page)
    trip.screenshot("phone-answer")
    answer.locator(".citation").first.tap()
    sheet = page.get_by_role("complementary", name="Source")
    expect(sheet.locator("mark")).to_be_in_viewport()
    assert sheet.bounding_box()["width"] == 360
    trip.screenshot("phone-passage")
    sheet.get_by_role("button", name="Close the source").tap()

    for name in ("Documents", "Search test", "Traces", "Spend", "API keys", "Model gateway",
                 "Teams"):
        page.get_by_role("button", name="Chats and pages").tap()
        page.get_by_role("link", name=name, exact=True).tap()
        expect(page.get_by_role("heading", name=name, level=1)).to_be_visible()
        page.wait_for_timeout(300)
        assert fits_the_width(page), name
        trip.screenshot(f"phone-{name.lower().replace(' ', '-')}")
    page.goto("/#/traces")
    page.locator(".rows a").first.tap()
    expect(page.locator(".span").first).to_be_visible(timeout=15_000)
    assert fits_the_width(page)
    trip.screenshot("phone-trace")


def test_the_keyboard_is_enough(visit, handbook):
    trip = visit()
    page = trip.page
    page.goto("/")
    expect(page.get_by_label("Name")).to_be_focused()
    page.keyboard.type(OWNER[0])
    page.keyboard.press("Tab")
    page.keyboard.type(OWNER[1])
    page.keyboard.press("Enter")
    question = page.get_by_label("Your question")
    expect(question).to_be_focused()
    page.keyboard.type("First line")
    page.keyboard.press("Shift+Enter")
    page.keyboard.type("second line")
    expect(question).to_have_value("First line\nsecond line")
    question.fill(FACT_QUESTION)
    page.keyboard.press("Enter")
    answer = trip.complete(page.locator(".answer").last)
    expect(question).to_be_focused()

    answer.locator(".citation").first.focus()
    page.keyboard.press("Enter")
    panel = page.get_by_role("complementary", name="Source")
    expect(panel.get_by_role("button", name="Close the source")).to_be_focused()
    page.keyboard.press("Enter")
    expect(panel).to_be_hidden()
    expect(answer.locator(".citation").first).to_be_focused()

    page.locator(".skip").focus()
    expect(page.locator(".skip")).to_be_in_viewport()
    expect(page.locator(".skip")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.get_by_role("main")).to_be_focused()


# Pages

def test_documents_are_uploaded_refused_and_deleted(signed_in, client):
    trip = signed_in()
    trip.expected.append("/api/documents")
    page = trip.page
    page.goto("/#/documents")
    page.get_by_label("Name of the new collection").fill("Boats")
    page.keyboard.press("Enter")
    expect(page.get_by_role("button", name="Boats", exact=True)).to_have_attribute(
        "aria-pressed", "true")
    page.set_input_files("#files", [
        {"name": "one.md", "mimeType": "text/markdown", "buffer": b"# One\n\nThe tug is red.\n"},
        {"name": "two.txt", "mimeType": "text/plain", "buffer": b"The ferry is blue.\n"},
        {"name": "photo.png", "mimeType": "image/png", "buffer": bytes([137, 80, 78, 71, 0, 255])},
        {"name": "empty.md", "mimeType": "text/markdown", "buffer": b""},
    ])
    refused = page.locator(".upload.failed")
    expect(refused).to_have_count(2, timeout=30_000)
    expect(refused.filter(has_text="empty.md")).to_contain_text("is empty")
    expect(page.locator(".row.ready")).to_have_count(2, timeout=JOB_MILLISECONDS)
    trip.screenshot("documents")

    page.get_by_role("button", name="Delete one.md").click()
    page.get_by_role("dialog").get_by_role("button", name="Delete").click()
    expect(page.locator(".row")).to_have_count(1)
    page.get_by_role("link", name="Share and settings").click()
    page.get_by_role("button", name="Delete collection").click()
    page.get_by_role("dialog").get_by_role("button", name="Delete").click()
    expect(page.get_by_role("button", name="Boats", exact=True)).to_have_count(0)
    names = [each["name"] for each in client.get("/api/collections").json()["collections"]]
    assert "Boats" not in names


def test_a_collection_is_shared_renamed_and_its_documents_move(signed_in, client, mallory):
    for name in ("Harbour", "Attic"):
        assert client.post("/api/collections", json={"name": name}).status_code == 201
    ids = {each["name"]: each["id"] for each in client.get("/api/collections").json()["collections"]}
    document = client.ingest("ferry.md", "# Ferry\n\nIt is blue.\n", collectionID=ids["Harbour"])
    trip = signed_in()
    trip.expected.append("/shares")
    page = trip.page
    page.goto(f"/#/collections/{ids['Harbour']}")
    expect(page.get_by_role("heading", name="Harbour")).to_be_visible()
    expect(page.get_by_text("Documents: 1 of 20,000")).to_be_visible()
    page.get_by_label("Share it with").fill("nobody of that name")
    page.get_by_role("button", name="Share", exact=True).click()
    expect(page.get_by_role("alert").filter(has_text="no user called")).to_be_visible()
    page.get_by_label("Share it with").fill("mallory")
    page.get_by_role("button", name="Share", exact=True).click()
    expect(page.locator(".row", has_text="mallory")).to_contain_text("may read")
    assert "Harbour" in mallory.get("/api/collections").text
    page.get_by_text("Name and settings").click()
    for width in (1280, 768, 360):
        page.set_viewport_size({"width": width, "height": 900})
        page.wait_for_timeout(500)  # The drawer slides away.
        page.screenshot(path=SCREENSHOTS / f"collection-{width}.png", full_page=True)
        wide = page.evaluate("document.documentElement.scrollWidth - innerWidth")
        assert wide <= 0, f"{wide} pixels too wide at {width}"
    page.get_by_label("Name", exact=True).fill("Port")
    page.get_by_label("Passages a search gives at most").fill("5")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("heading", name="Port")).to_be_visible()
    page.get_by_label("Move ferry.md").select_option("Attic")
    expect(page.get_by_text("This collection is empty.")).to_be_visible()
    assert client.get(f"/api/documents/{document}").json()["document"]["collectionID"] == ids["Attic"]
    page.get_by_role("button", name="Stop sharing with mallory").click()
    page.get_by_role("dialog").get_by_role("button", name="Stop sharing").click()
    expect(page.get_by_text("Nobody else. Only you")).to_be_visible()
    assert "Port" not in mallory.get("/api/collections").text
    page.goto("/#/documents")
    page.locator(".section-head").wait_for()
    for width in (1280, 768, 360):
        page.set_viewport_size({"width": width, "height": 900})
        page.wait_for_timeout(500)
        page.screenshot(path=SCREENSHOTS / f"documents-{width}.png")
    for name in ("Harbour", "Attic"):
        client.delete(f"/api/collections/{ids[name]}")


def test_a_document_that_is_dropped_is_uploaded_to_what_is_shown(signed_in):
    trip = signed_in()
    held, is_held = [], True
    trip.page.route("**/api/collections",
                    lambda route: held.append(route) if is_held else route.continue_())
    trip.page.goto("/#/documents")
    trip.page.locator(".drop").wait_for()
    transfer = trip.page.evaluate_handle(
        "() => { const transfer = new DataTransfer();"
        " transfer.items.add(new File(['The buoy is yellow.'], 'buoy.txt'));"
        " return transfer; }")
    # Before the page knows any collection.
    trip.page.locator(".drop").dispatch_event("drop", {"dataTransfer": transfer})
    is_held = False
    assert held
    for route in held:
        route.continue_()
    expect(trip.page.locator(".row.ready", has_text="buoy.txt")).to_be_visible(
        timeout=JOB_MILLISECONDS)


def test_a_key_is_shown_once_works_and_can_be_revoked(signed_in, server):
    trip = signed_in()
    page = trip.page
    page.goto("/#/keys")
    page.get_by_label("Name of the new key").fill("page test")
    page.keyboard.press("Enter")
    key = page.locator(".key").inner_text()
    with Client(server, key) as program:
        assert program.get("/api/models").status_code == 200
        page.reload()
        expect(page.get_by_text("page test")).to_be_visible()
        assert key not in page.content()
        page.get_by_role("button", name="Revoke page test").click()
        page.get_by_role("dialog").get_by_role("button", name="Revoke").click()
        expect(page.get_by_text("page test")).to_have_count(0)
        assert program.get("/api/models").status_code == 401


class Upstream(ThreadingHTTPServer):
    """A provider that answers every chat, and keeps the keys that it was sent."""

    def __init__(self):
        super().__init__(("127.0.0.1", 0), UpstreamHandler)
        self.keys = []
        Thread(target=self.serve_forever, daemon=True).start()

    @property
    def address(self):
        return f"http://127.0.0.1:{self.server_port}/v1"


class UpstreamHandler(BaseHTTPRequestHandler):
    def do_POST(self):
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.server.keys.append(self.headers.get("Authorization"))
        is_refused = "refused" in (self.server.keys[-1] or "")
        chunk = {"choices": [{"index": 0, "delta": {"content": "Hi"}, "finish_reason": "stop"}],
                 "usage": {"prompt_tokens": 9, "completion_tokens": 1}}
        body = (json.dumps({"error": {"message": "no", "code": "invalid_api_key"}}) if is_refused
                else f"data: {json.dumps(chunk)}\n\ndata: [DONE]\n\n").encode()
        self.send_response(401 if is_refused else 200)
        self.send_header(
            "Content-Type", "application/json" if is_refused else "text/event-stream")
        self.send_header("Content-Length", str(len(body)))
        self.send_header("x-ratelimit-remaining-requests", "480")
        self.send_header("x-ratelimit-reset-requests", "45s")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


PROVIDERS = """
inference:
  providers:
    far: {{base_url: "{far}", api_key: sk-configured-0123456789}}
    near: {{base_url: "{far}"}}
    down: {{base_url: "http://127.0.0.1:9/v1"}}
  models:
    split:
      policy: weighted
      candidates: [far/gpt-large, near/gpt-small]
      weights: [1, 1]
      cost_max_dollars: "0.5"
    careful:
      candidates: [down/gone, far/gpt-large]
  breaker: {{failures_min: 1}}
accounting:
  prices:
    far/*: {{input_dollars_per_million: "3", output_dollars_per_million: "15"}}
    near/*: {{input_dollars_per_million: "0.4", output_dollars_per_million: "1.6"}}
    down/*: {{}}
"""


def test_a_providers_key_is_set_on_the_page_and_never_shown(visit, tmp_path):
    upstream = Upstream()
    server = Server(tmp_path, PROVIDERS.format(far=upstream.address)).start()
    try:
        setup = {"token": server.setup_token, "name": OWNER[0], "password": OWNER[1]}
        assert httpx.post(f"{server.address}/api/setup", json=setup).status_code == 201
        owner = Client(server, server.token)

        def ask(model="split", text="Hello?"):
            answer = owner.post("/v1/chat/completions", json={
                "model": model, "messages": [{"role": "user", "content": text}]})
            assert answer.status_code == 200, answer.text
            return upstream.keys[-1]

        for number in range(12):
            ask(text=f"Hello {number}?")
        assert ask("careful") == "Bearer sk-configured-0123456789"

        key = "sk-of-the-page-0123456789-wxyz"
        trip = visit(server).log_in()
        page = trip.page
        answers = []

        def keep(route):
            answer = route.fetch()
            answers.append(answer.text())
            route.fulfill(response=answer)

        page.route("**/api/**", keep)
        page.get_by_role("link", name="Model gateway").click()
        far = page.get_by_role("region", name="Provider far")
        expect(far).to_contain_text("from the configuration")
        far.get_by_role("button", name="Set a key of far").click()
        page.get_by_label("Key", exact=True).fill("short")
        trip.expected.append("/keys")
        page.keyboard.press("Enter")
        expect(page.get_by_role("dialog").get_by_role("alert")).to_contain_text("characters")
        page.get_by_label("Key", exact=True).fill(key)
        page.keyboard.press("Enter")
        expect(far).to_contain_text("…wxyz")
        expect(far).to_contain_text("not used")
        assert ask("careful") == f"Bearer {key}"

        page.reload()
        expect(far).to_contain_text(f"set by {OWNER[0]}")
        assert key not in page.content()
        assert len(answers) >= 5
        assert not any(key in answer for answer in answers)
        assert key not in server.text

        far.get_by_role("button", name="Replace the key …wxyz of far").click()
        page.get_by_label("Key", exact=True).fill("sk-refused-0123456789-zzzz")
        page.keyboard.press("Enter")
        expect(far).to_contain_text("…zzzz")
        assert owner.post("/v1/chat/completions", json={
            "model": "careful", "messages": [{"role": "user", "content": "Hi?"}]}).status_code == 503
        page.reload()
        expect(far).to_contain_text("Was refused for gpt-large")
        expect(page.get_by_role("region", name="Provider down")).to_contain_text("left alone")
        route = page.get_by_role("region", name="Route split")
        expect(route).to_contain_text("at most $0.50 a request")
        expect(route.locator("tbody tr")).to_have_count(2)
        for name, width, height in (("desktop", 1280, 1250), ("tablet", 820, 1400),
                                    ("phone", 360, 2200)):
            page.set_viewport_size({"width": width, "height": height})
            page.wait_for_timeout(300)
            assert fits_the_width(page), name
            trip.screenshot(f"gateway-{name}")
        page.set_viewport_size(DESKTOP["viewport"])
        far.get_by_role("button", name="Remove the key …zzzz of far").click()
        page.get_by_role("dialog").get_by_role("button", name="Remove").click()
        expect(far.locator(".provider-key")).to_have_count(1)
        assert ask("careful") == "Bearer sk-configured-0123456789"
    finally:
        server.stop()
        upstream.shutdown()


def test_signing_out_ends_the_session(visit):
    trip = visit().log_in()
    trip.page.get_by_role("button", name="Sign out").click()
    expect(trip.page.get_by_role("heading", name="Log in")).to_be_visible()
    assert trip.page.evaluate("fetch('/api/chats').then(answer => answer.status)") == 401
    trip.expected.append("/api/chats")
    trip.complaints.clear()


def test_a_wrong_password_is_refused_in_words(visit):
    trip = visit()
    trip.expected.append("/api/login")
    trip.page.goto("/")
    trip.page.get_by_label("Name").fill(OWNER[0])
    trip.page.get_by_label("Password").fill("not the password")
    trip.page.keyboard.press("Enter")
    expect(trip.page.locator(".problem")).to_contain_text(re.compile(r"\w+ .*\w+"))
    assert trip.page.get_by_label("Name").input_value() == OWNER[0]


def test_without_scripts_the_page_says_what_to_do(visit):
    trip = visit(java_script_enabled=False)
    trip.page.goto("/")
    # Text selectors skip what is in a noscript element.
    expect(trip.page.locator("noscript p")).to_be_visible()
    expect(trip.page.locator("noscript p")).to_contain_text("This page needs JavaScript")
    expect(trip.page.get_by_text("setup link")).to_be_visible()


def test_a_chat_of_four_hundred_messages_opens_quickly(signed_in):
    trip = signed_in()
    page = trip.page
    chat = {"id": "01890a5d-ac96-774b-bcce-b302099a8057", "title": "Long",
            "createdAt": "2026-11-01T00:00:00.000Z", "updatedAt": "2026-11-01T00:00:00.000Z"}
    text = "A paragraph with **bold** words.\n\n" * 12 + "```swift\nlet seven = 7\n```\n"
    entries = [
        {"id": f"01890a5d-ac96-774b-bcce-{place:012x}", "createdAt": chat["createdAt"],
         "role": "assistant" if place % 2 else "user", "text": text} for place in range(400)]
    page.route(f"**/api/chats/{chat['id']}", lambda route: route.fulfill(
        json={"chat": chat, "entries": entries}))
    started = time.monotonic()
    page.goto(f"/#/chats/{chat['id']}")
    expect(page.get_by_role("button", name="Show 320 earlier messages")).to_be_attached()
    assert time.monotonic() - started < 3
    assert page.locator(".thread").evaluate(
        "node => node.scrollHeight - node.scrollTop - node.clientHeight") < 90
    page.get_by_role("button", name="Show 320 earlier messages").click()
    expect(page.locator(".answer")).to_have_count(200)


def test_every_ending_of_an_answer_is_told(signed_in):
    trip = signed_in()
    chat = {"id": "01890a5d-ac96-774b-bcce-b302099a8057", "title": "Endings",
            "createdAt": "2026-11-01T00:00:00.000Z", "updatedAt": "2026-11-01T00:00:00.000Z"}
    entry = {"createdAt": chat["createdAt"], "id": chat["id"], "role": "assistant", "text": "Half"}
    outcome = {"state": "failed", "text": "Half", "citations": [], "notices": ["Two were left out."],
               "failure": "The provider hung up.", "totalMilliseconds": 1200.5}
    cut = {"state": "completed", "text": "Half", "citations": [], "notices": [], "traceID": "a" * 32,
           "totalMilliseconds": 900, "completion": {
               "candidate": "hosted/big", "finishReason": "length", "cost": 2_100_000,
               "totalMilliseconds": 880, "usage": {
                   "freshInput": 1000, "cacheRead": 200, "cacheWrite": 30, "output": 7, "reasoning": 0,
                   "isEstimated": True}}}
    entries = [{**entry, "role": "user", "text": "Why?"}, {**entry, "turnState": "interrupted"},
               {**entry, "turnState": "cancelled"},
               {**entry, "turnState": "failed", "outcome": outcome},
               {**entry, "turnState": "completed", "outcome": cut}]
    trip.page.route(f"**/api/chats/{chat['id']}", lambda route: route.fulfill(
        json={"chat": chat, "entries": entries}))
    trip.page.goto(f"/#/chats/{chat['id']}")
    for state, sentence in [
            ("interrupted", "The server stopped"), ("cancelled", "You stopped"),
            ("failed", "The provider hung up.")]:
        expect(trip.page.locator(f".message.{state}")).to_contain_text(sentence)
    expect(trip.page.get_by_text("Two were left out.")).to_be_visible()
    last = trip.page.locator(".answer").last
    expect(last).to_contain_text("reached its length limit")
    expect(last.locator(".figures")).to_have_text(
        "$0.0000021about 1,230 tokens in, 7 out900 mshosted/bigCopyTrace")


def test_a_build_without_marked_shows_plain_text(signed_in, handbook):
    trip = signed_in()
    trip.expected.append("/vendor/marked.js")
    trip.page.route("**/vendor/marked.js", lambda route: route.fulfill(status=404))
    trip.page.reload()
    answer = trip.complete(trip.ask(FACT_QUESTION))
    assert len(text_of(answer)) > 10
    assert answer.locator(".prose p.plain").count() == 1


def test_what_is_typed_stays_while_documents_are_read(signed_in):
    """The list is asked again while something is pending; that must not touch the form."""
    trip = signed_in()
    page = trip.page
    page.goto("/#/documents")
    name = page.get_by_label("Name of the new collection")
    name.fill("Half a na")
    page.set_input_files("#files", [
        {"name": "later.md", "mimeType": "text/markdown", "buffer": b"# Later\n\nA line.\n" * 40}])
    name.focus()
    expect(page.locator(".row.ready", has_text="later.md")).to_be_visible(timeout=JOB_MILLISECONDS)
    expect(name).to_have_value("Half a na")
    expect(name).to_be_focused()


# Modules, asked directly

@pytest.fixture(scope="module")
def modules(chromium, server):
    trip = Visit(chromium, server, **DESKTOP)
    trip.page.goto("/")
    trip.page.get_by_role("heading", name="Log in").wait_for()
    yield trip.page
    trip.close()


def render(page, text, numbers=()):
    """The HTML that Markdown becomes, and how many nodes of a dangerous kind are in it."""
    return page.evaluate(
        """async ([text, numbers]) => {
            const { renderMarkdown } = await import("/markdown.js");
            const box = document.createElement("div");
            box.append(...renderMarkdown(text, {
                has: (number) => numbers.includes(number),
                button: (number) => Object.assign(document.createElement("button"), { textContent: number }),
            }));
            return box.innerHTML;
        }""", [text, list(numbers)])


@pytest.mark.parametrize("text", [
    "<script>alert(1)</script>", "<img src=x onerror=alert(1)>", "a <b onclick=alert(1)>b</b>",
    "![x](https://tracker.example/pixel.png)", "[x](javascript:alert(1))",
    "[x](JaVaScRiPt&colon;alert(1))", "[x](&#106;avascript:alert(1))", "[x](data:text/html,hi)",
    "[x](vbscript:x)", "[x](//evil.example)", "<javascript:alert(1)>", "[x]: javascript:alert(1)\n\n[x]",
    "`<script>alert(1)</script>`", "```html\n<script>alert(1)</script>\n```",
    "| a |\n|---|\n| <img src=x onerror=alert(1)> |", "# <svg onload=alert(1)>",
    "- <iframe src=javascript:alert(1)></iframe>", "> <style>*{}</style>", "<a href='javascript:1'>x</a>",
    "&lt;script&gt;alert(1)&lt;/script&gt;", "[x](https://a.example/\"onmouseover=alert(1))",
])
def test_hostile_markdown_makes_no_dangerous_node(modules, text):
    html = render(modules, text)
    tags = set(re.findall(r"<([a-z0-9]+)", html))
    assert tags <= {"p", "a", "code", "pre", "figure", "figcaption", "span", "button", "div", "table",
                    "thead", "tbody", "tr", "th", "td", "h3", "ul", "li", "blockquote"}, html
    assert not re.search(r"<[^>]+\s(on\w+|src|style)=", html), html
    for address in re.findall(r'href="([^"]*)"', html):
        assert address.startswith(("https://", "http://", "mailto:"))
    for link in re.findall(r"<a [^>]*>", html):
        assert 'rel="noopener noreferrer"' in link and 'target="_blank"' in link


@pytest.mark.parametrize(("text", "html"), [
    ("a & b < c", "<p>a &amp; b &lt; c</p>"),
    ("&lt;b&gt; &amp;amp; &copy; &unknown; &#8364;", "<p>&lt;b&gt; &amp;amp; © &amp;unknown; €</p>"),
    ("**b** *e* ~~d~~ `c<d`", "<p><strong>b</strong> <em>e</em> <del>d</del> <code>c&lt;d</code></p>"),
    ("Yes [1]. No [9].", "<p>Yes <button>1</button>. No [9].</p>"),
    ("Both [1, 2] and [1][2]",
     "<p>Both <button>1</button><button>2</button> and <button>1</button><button>2</button></p>"),
    ("`[1]` stays", "<p><code>[1]</code> stays</p>"),
    ("Mark [1]\n\n[1]: https://evil.example", "<p>Mark <button>1</button></p>"),
    ("3. c\n4. d", '<ol start="3"><li>c</li><li>d</li></ol>'),
    ("- a\n  - b", "<ul><li>a<ul><li>b</li></ul></li></ul>"),
])
def test_markdown_becomes_nodes(modules, text, html):
    # Word joiners stand around each mark, so that no line begins with one or ends before its stop.
    rendered = render(modules, text, [1, 2])
    assert rendered.replace("\u2060", "") == html
    assert rendered.count("\u2060") == 2 * len(re.findall(r"(?:<button>\d</button>)+(?=\u2060)", rendered))


@pytest.mark.parametrize("text", [">" * 4000 + " deep", "- " * 3000 + "x", "[" * 5000, "*" * 5000,
                                  "`" * 5000, "| " * 3000, "\0\ufffe\u202e", "a" * 400_000])
def test_strange_markdown_is_shown_all_the_same(modules, text):
    assert render(modules, text) != ""


def test_growing_markdown_ends_like_the_whole(modules):
    text = ("# Title\r\n\r\nSome *text* that\twraps\nover lines.\n\n- one\n\n- two\n\t- three\n\n1. a\n2. b\n\n"
            "```js\nlet a = 1;\n\nlet b;\n```\n\n| a | b |\n|---|--:|\n| 1 | 2 |\n\n> quote\n\nThe end [1].")
    grown, whole = modules.evaluate(
        """async (text) => {
            const { GrowingMarkdown, renderMarkdown } = await import("/markdown.js");
            const box = document.createElement("div");
            const growing = new GrowingMarkdown(box, { has: () => false, button: () => null });
            for (let place = 0; place < text.length; place += 3) {
                growing.append(text.slice(place, place + 3));
                await new Promise(requestAnimationFrame);
            }
            const plain = document.createElement("div");
            plain.append(...renderMarkdown(text));
            const shape = (node) => [...node.querySelectorAll("*")]
                .filter((each) => each.className !== "live").map((each) => each.tagName).join(" ")
                + node.textContent;
            return [shape(box), shape(plain)];
        }""", text)
    assert grown == whole


@pytest.mark.parametrize(("amount", "text"), [
    (0, "$0.00"), (1, "$0.000000000001"), (2_100_000, "$0.0000021"), (10_000_000_000, "$0.01"),
    (41_230_250_000, "$0.04123025"), (1_000_000_000_000, "$1.00"), (-500_000_000_000, "-$0.50"),
    (1_234_500_000_000_000, "$1,234.50"),
])
def test_money_is_shown_exactly(modules, amount, text):
    assert modules.evaluate(
        "async (amount) => (await import('/format.js')).dollars(amount)", amount) == text


def test_events_are_the_same_however_they_are_cut(modules):
    stream = ": hello\r\n\r\nid: 1\nevent: text\ndata: {\"text\": \"a: b\"}\n\nid:2\ndata: x\ndata: y\n\n"
    parsed = modules.evaluate(
        """async (stream) => {
            const { EventParser } = await import("/sse.js");
            const results = new Set();
            for (let size = 1; size <= stream.length; size += 1) {
                const parser = new EventParser();
                const events = [];
                for (let at = 0; at < stream.length; at += size) {
                    events.push(...parser.push(stream.slice(at, at + size)));
                }
                results.add(JSON.stringify(events));
            }
            return [...results].map((result) => JSON.parse(result));
        }""", stream)
    assert parsed == [[{"id": "1", "event": "text", "data": '{"text": "a: b"}'},
                       {"id": "2", "event": "message", "data": "x\ny"}]]


def test_offsets_count_unicode_scalars(modules):
    offsets = modules.evaluate(
        """async () => {
            const { offsetOfScalar } = await import("/passage.js");
            const text = "a🌊b⚓c";
            return [0, 1, 2, 3, 4, 5, 99].map((scalar) => offsetOfScalar(text, scalar));
        }""")
    assert offsets == [0, 1, 3, 4, 5, 6, 6]
