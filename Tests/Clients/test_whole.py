"""Questions about all of a document, with the smallest model there is."""

import time

import pytest

from conftest import ANSWER_SECONDS
from browser import fits_the_width

SHIPS = ["Albatross", "Gull", "Tern", "Petrel", "Fulmar", "Skua"]
FILLER = ("The quay was swept in the morning and the ropes were coiled before noon, as on every"
          " other day of the week, and the weather was noted in the book of the harbour office.")


@pytest.fixture(scope="module")
def fleet_book(client):
    """A text of six sections, each with a ship of its own, several times what one prompt takes."""
    sections = [f"## Berth {number}\n\nThe ferry {name} lies at berth {number}.\n\n"
                + "\n\n".join(f"{FILLER} It was entry {entry}." for entry in range(12))
                for number, name in enumerate(SHIPS, 1)]
    collection = client.post("/api/collections", json={"name": "Fleet book"}).json()["id"]
    client.ingest("fleet-book.md", "# Fleet book\n\n" + "\n\n".join(sections),
                  collectionID=collection)
    yield collection
    client.delete(f"/api/collections/{collection}")


def test_a_list_is_read_in_parts_with_progress_and_cited(client, fleet_book):
    began = time.monotonic()
    _, turn = client.begin("List all ferries in the fleet book.", collectionIDs=[fleet_book])
    events = client.events(f"/api/turns/{turn}/events")
    assert time.monotonic() - began < ANSWER_SECONDS
    notices = [data["notice"] for _, name, data in events if name == "notice"]
    assert "“fleet-book.md”" in notices[0] and "parts" in notices[0]
    progress = [data for _, name, data in events if name == "progress"]
    total = progress[0]["total"]
    assert 2 < total <= 24
    assert [each["done"] for each in progress] == list(range(total + 1))
    kinds = [name for _, name, _ in events]
    assert kinds.index("notice") < kinds.index("progress")
    outcome = events[-1][2]
    assert outcome["state"] == "completed" and outcome["text"].strip()
    # Whatever it says, it says with a passage of the text.
    document = client.get(f"/api/collections/{fleet_book}/documents").json()["documents"][0]
    text = client.get(f"/api/documents/{document['id']}").json()["text"]
    for citation in outcome["citations"]:
        passage = citation["passage"]
        assert text[passage["start"]:passage["end"]] == passage["text"]
    assert outcome["completion"]["usage"]["output"] > 0
    trace = client.get(f"/api/traces/{outcome['traceID']}").json()["spans"]
    parts = [span for span in trace if span["name"] == "whole.part"]
    assert len(parts) == total


def test_stop_ends_the_reading(client, fleet_book):
    _, turn = client.begin("Summarise the fleet book.", collectionIDs=[fleet_book])
    events = client.events(f"/api/turns/{turn}/events", limit=2)
    assert {name for _, name, _ in events} <= {"notice", "progress"}
    assert client.post(f"/api/turns/{turn}/cancel").status_code == 204
    began = time.monotonic()
    last = client.events(f"/api/turns/{turn}/events")[-1]
    assert last[1] == "ended" and last[2]["state"] == "cancelled"
    assert time.monotonic() - began < 20


def test_the_page_says_what_it_reads(signed_in, client, fleet_book):
    trip = signed_in()
    page = trip.page
    page.get_by_label("Your question").fill("Summarise the fleet book.")
    page.keyboard.press("Enter")
    answer = page.locator(".answer").last
    notice = answer.locator(".notice", has_text="“fleet-book.md”")
    notice.wait_for(timeout=ANSWER_SECONDS * 1000)
    answer.locator(".phase", has_text="parts").wait_for(timeout=ANSWER_SECONDS * 1000)
    for width in (1280, 320):
        page.set_viewport_size({"width": width, "height": 800})
        page.wait_for_timeout(200)
        trip.screenshot(f"whole-{width}")
        assert fits_the_width(page)
    trip.complete(answer)
    assert answer.locator(".notice", has_text="“fleet-book.md”").count() == 1
    trip.screenshot("whole-answer")
