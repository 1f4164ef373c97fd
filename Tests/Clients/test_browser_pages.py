"""Tags, teams, and what a chat looks in, on the page."""

import pytest
from playwright.sync_api import expect

from conftest import START_SECONDS
from browser import DESKTOP, fits_the_width


def looked_at(trip, name):
    """Screenshots in all widths, light and dark."""
    page = trip.page
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        for width in (1280, 768, 320):
            page.set_viewport_size({"width": width, "height": 900})
            page.wait_for_timeout(400)
            trip.screenshot(f"{name}-{scheme}-{width}")
            assert fits_the_width(page), f"{name} at {width}"
    page.emulate_media(color_scheme="light")
    page.set_viewport_size(DESKTOP["viewport"])


def test_documents_are_tagged_and_filtered_by_tag(signed_in, client):
    collection = client.post("/api/collections", json={"name": "Tagged"}).json()["id"]
    boats = client.ingest("boats.md", "# Boats\n\nThey float.\n", collectionID=collection)
    client.ingest("lamps.md", "# Lamps\n\nThey burn.\n", collectionID=collection)
    trip = signed_in()
    page = trip.page
    page.goto(f"/#/collections/{collection}")
    field = page.get_by_label("New tag of boats.md")
    for tag in ("harbour", "2024"):
        field.fill(tag)
        page.keyboard.press("Enter")
        expect(page.get_by_role("button", name=f"Take the tag {tag} off boats.md")).to_be_visible()
        # Whoever adds one may add another.
        expect(field).to_be_focused()
    tags = client.get(f"/api/documents/{boats}").json()["document"]["tags"]
    assert sorted(tags) == ["2024", "harbour"]
    filters = page.get_by_role("list", name="Filter by tag")
    filters.get_by_role("button", name="harbour").click()
    expect(page.locator(".row", has_text="lamps.md")).to_have_count(0)
    expect(page.locator(".row", has_text="boats.md")).to_be_visible()
    looked_at(trip, "tags")
    filters.get_by_role("button", name="harbour").click()
    expect(page.locator(".row", has_text="lamps.md")).to_be_visible()
    page.get_by_role("button", name="Take the tag 2024 off boats.md").click()
    expect(page.get_by_role("button", name="Take the tag 2024 off boats.md")).to_have_count(0)
    page.goto("/#/documents")
    page.get_by_role("button", name="Tagged", exact=True).click()
    expect(page.locator(".row", has_text="boats.md")).to_contain_text("harbour")
    # The page shows it, and may ask for it once more.
    trip.expected.append(f"/api/collections/{collection}/")
    client.delete(f"/api/collections/{collection}")


def test_teams_are_made_filled_and_taken_away(signed_in, client, mallory):
    trip = signed_in()
    page = trip.page
    page.get_by_role("link", name="Teams").click()
    expect(page.get_by_role("heading", name="Teams", level=1)).to_be_visible()
    page.get_by_label("Name of the new team").fill("Deck hands")
    page.keyboard.press("Enter")
    team = page.get_by_role("region", name="Team Deck hands")
    expect(team).to_contain_text("Nobody is in it yet.")
    # The focus is where members are added.
    expect(page.get_by_label("Add to Deck hands").get_by_role("combobox")).to_be_focused()
    team.get_by_role("combobox").select_option("mallory")
    team.get_by_role("button", name="Add").click()
    expect(team.get_by_role("button", name="Take mallory out of Deck hands")).to_be_visible()
    assert [each["name"] for each in mallory.get("/api/teams").json()["teams"]] == ["Deck hands"]
    trip.expected.append("/api/admin/teams")
    page.get_by_label("Name of the new team").fill("deck HANDS")
    page.keyboard.press("Enter")
    expect(page.get_by_role("alert").filter(has_text="already")).to_be_visible()
    looked_at(trip, "teams")
    team.get_by_role("button", name="Take mallory out of Deck hands").click()
    expect(team).to_contain_text("Nobody is in it yet.")
    assert mallory.get("/api/teams").json()["teams"] == []
    team.get_by_role("button", name="Delete the team Deck hands").click()
    page.get_by_role("dialog").get_by_role("button", name="Delete").click()
    expect(page.get_by_text("No teams yet.")).to_be_visible()


def test_members_have_no_teams_page(client, mallory):
    assert mallory.get("/api/admin/users").status_code == 403
    assert mallory.post("/api/admin/teams", json={"name": "Mine"}).status_code == 403
    assert mallory.put("/api/admin/teams/Mine/members/mallory").status_code == 403


def test_a_chat_keeps_what_it_looks_in(signed_in, client):
    ids = {name: client.post("/api/collections", json={"name": name}).json()["id"]
           for name in ("Attic", "Cellar", "Loft")}
    client.ingest("attic.md", "# Attic\n\nThe attic holds sails.\n", collectionID=ids["Attic"])
    trip = signed_in()
    page = trip.page
    page.locator("summary", has_text="documents").click()
    for box in page.get_by_role("checkbox").all():
        box.uncheck()
    page.get_by_role("checkbox", name="Attic").check()
    page.keyboard.press("Escape")
    trip.complete(trip.ask("What does the attic hold?"))
    chat = page.url.rsplit("/", 1)[1]
    assert client.get(f"/api/chats/{chat}").json()["chat"]["collectionIDs"] == [ids["Attic"]]
    page.reload()
    expect(page.locator("summary", has_text="1 collection")).to_be_visible()
    # Another choice is kept at once, and another device has it.
    page.locator("summary", has_text="1 collection").click()
    page.get_by_role("checkbox", name="Cellar").check()
    expect(page.locator("summary", has_text="2 collections")).to_be_visible()
    page.wait_for_timeout(500)
    other = signed_in()
    other.page.goto(f"/#/chats/{chat}")
    expect(other.page.locator("summary", has_text="2 collections")).to_be_visible()
    # A question without a choice of its own, as a program asks, looks there too.
    turn = client.post(f"/api/chats/{chat}/turns", json={"question": "And the cellar?"}).json()
    outcome = client.events(f"/api/turns/{turn['turnID']}/events")[-1][2]
    assert sorted(outcome["search"]["collectionIDs"]) == sorted([ids["Attic"], ids["Cellar"]])
    # A new chat begins with all.
    other.page.goto("/#/")
    expect(other.page.locator("summary", has_text="All documents")).to_be_visible()
    # What is gone limits nothing. The page may just be asking what is in it.
    other.expected.append("/documents")
    for name in ("Attic", "Cellar"):
        client.delete(f"/api/collections/{ids[name]}")
    other.page.goto(f"/#/chats/{chat}")
    expect(other.page.locator("summary", has_text="All documents")).to_be_visible()
    client.delete(f"/api/collections/{ids['Loft']}")
