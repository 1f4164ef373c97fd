"""Files and vector stores with the `openai` SDK: what works with OpenAI's works here, and what is
uploaded this way is a document of the page."""

import subprocess

import openai
import pytest

from conftest import ANSWER_SECONDS, START_SECONDS

BOATS = b"# Boats\n\nThe ferry Albatross leaves the harbour at nine in the morning.\n"
LAMPS = b"# Lamps\n\nThe lighthouse keeper trims the lamp at nightfall.\n"


def sdk_of(server, key):
    return openai.OpenAI(
        base_url=f"{server.address}/v1", api_key=key, timeout=ANSWER_SECONDS, max_retries=0)


@pytest.fixture(scope="module")
def sdk(server, api_key):
    with sdk_of(server, api_key) as sdk:
        yield sdk


@pytest.fixture(scope="module")
def mallorys(server, mallory):
    key = mallory.post("/api/keys", json={"name": "mallory's"}).json()["key"]
    with sdk_of(server, key) as sdk:
        yield sdk


@pytest.fixture
def store(sdk):
    store = sdk.vector_stores.create(name="Harbour", metadata={"made": "by a test"})
    yield store
    sdk.vector_stores.delete(store.id)


@pytest.fixture
def boats(sdk, store):
    file = sdk.vector_stores.files.upload_and_poll(
        vector_store_id=store.id, file=("boats.md", BOATS),
        attributes={"kind": "timetable", "year": 2024, "open": True})
    yield file
    sdk.files.delete(file.id)


def test_a_file_is_uploaded_listed_read_and_deleted(sdk, client):
    file = sdk.files.create(file=("notes.md", BOATS), purpose="assistants")
    assert file.id.startswith("file-") and file.object == "file"
    assert (file.filename, file.bytes, file.purpose) == ("notes.md", len(BOATS), "assistants")
    assert file.status in ("uploaded", "processed") and file.expires_at is None
    assert sdk.files.retrieve(file.id).id == file.id
    assert sdk.files.content(file.id).read() == BOATS
    assert file.id in [each.id for each in sdk.files.list()]
    assert file.id not in [each.id for each in sdk.files.list(purpose="user_data")]
    # The page has it too.
    collections = client.get("/api/collections").json()["collections"]
    home = next(each["id"] for each in collections if each["name"] == "Documents")
    documents = client.get(f"/api/collections/{home}/documents").json()["documents"]
    assert "notes.md" in [each["name"] for each in documents]
    deleted = sdk.files.delete(file.id)
    assert deleted.deleted and deleted.id == file.id
    with pytest.raises(openai.NotFoundError):
        sdk.files.retrieve(file.id)


def test_files_of_one_name_are_two_and_may_expire(sdk):
    files = [
        sdk.files.create(
            file=("twin.md", BOATS), purpose="user_data",
            expires_after={"anchor": "created_at", "seconds": 3600})
        for _ in range(2)
    ]
    assert files[0].id != files[1].id
    assert all(abs(each.expires_at - each.created_at - 3600) <= 1 for each in files)
    for each in files:
        sdk.files.delete(each.id)


def test_lists_go_page_by_page(sdk):
    files = [
        sdk.files.create(file=(f"page{n}.md", BOATS + b"%d" % n), purpose="user_data").id
        for n in range(5)
    ]
    first = sdk.files.list(limit=2, purpose="user_data")
    assert [each.id for each in first.data] == files[:2:-1] and first.has_more
    assert [each.id for each in first][:5] == files[::-1]
    ascending = sdk.files.list(limit=2, order="asc", after=files[2], purpose="user_data")
    assert [each.id for each in ascending.data] == files[3:]
    for each in files:
        sdk.files.delete(each)


@pytest.mark.parametrize("problem, options", [
    ("purpose", {"file": ("a.md", BOATS), "purpose": "fine-tune"}),
    ("empty", {"file": ("a.md", b""), "purpose": "assistants"}),
    ("expires_after", {"file": ("a.md", BOATS), "purpose": "assistants",
                       "expires_after": {"anchor": "created_at", "seconds": 5}}),
])
def test_what_cannot_be_uploaded_is_refused_with_a_sentence(sdk, problem, options):
    with pytest.raises(openai.BadRequestError) as refused:
        sdk.files.create(**options)
    assert problem in str(refused.value)
    assert refused.value.type == "invalid_request_error"


def test_a_file_that_cannot_be_read_has_failed_and_says_why(sdk, store):
    file = sdk.vector_stores.files.upload_and_poll(
        vector_store_id=store.id, file=("broken.pdf", b"%PDF-1.4\nnothing of a PDF follows\n"))
    assert file.status == "failed"
    assert file.last_error.code == "invalid_file" and file.last_error.message
    counts = sdk.vector_stores.retrieve(store.id).file_counts
    assert (counts.failed, counts.completed, counts.total) == (1, 0, 1)
    sdk.files.delete(file.id)


def test_a_vector_store_is_made_changed_and_listed(sdk, client):
    store = sdk.vector_stores.create(name="Stores", expires_after={
        "anchor": "last_active_at", "days": 7})
    assert store.id.startswith("vs_") and store.object == "vector_store"
    assert store.status == "completed" and store.usage_bytes == 0
    assert store.expires_after.days == 7
    assert store.expires_at - store.last_active_at == 7 * 86400
    changed = sdk.vector_stores.update(
        store.id, name="Chandler", metadata={"a": "b"}, expires_after=None)
    assert changed.name == "Chandler" and changed.metadata == {"a": "b"}
    assert changed.expires_after is None and changed.expires_at is None
    assert store.id in [each.id for each in sdk.vector_stores.list()]
    names = [each["name"] for each in client.get("/api/collections").json()["collections"]]
    assert "Chandler" in names
    again = sdk.vector_stores.create(name="Chandler")
    assert again.name == "Chandler (2)"
    for each in (store, again):
        assert sdk.vector_stores.delete(each.id).deleted
    with pytest.raises(openai.NotFoundError):
        sdk.vector_stores.retrieve(store.id)


def test_an_uploaded_file_is_found(sdk, store, boats):
    assert boats.status == "completed" and boats.object == "vector_store.file"
    assert boats.vector_store_id == store.id and boats.last_error is None
    assert boats.attributes == {"kind": "timetable", "year": 2024, "open": True}
    found = sdk.vector_stores.search(store.id, query="When does the ferry leave?")
    assert [each.file_id for each in found.data] == [boats.id]
    hit = found.data[0]
    assert hit.filename == "boats.md" and 0 < hit.score <= 1
    assert "Albatross" in hit.content[0].text and hit.content[0].type == "text"
    assert hit.attributes["kind"] == "timetable"
    many = sdk.vector_stores.search(
        store.id, query=["When does the ferry leave?", "harbour"], max_num_results=1,
        rewrite_query=True)
    assert len(many.data) == 1
    none = sdk.vector_stores.search(
        store.id, query="zzz qqq", ranking_options={"score_threshold": 1.0, "ranker": "auto"})
    assert all(each.score >= 1 for each in none.data)


@pytest.mark.parametrize("filters, is_found", [
    ({"type": "eq", "key": "kind", "value": "timetable"}, True),
    ({"type": "ne", "key": "kind", "value": "timetable"}, False),
    ({"type": "gte", "key": "year", "value": 2024}, True),
    ({"type": "lt", "key": "year", "value": 2024}, False),
    ({"type": "in", "key": "year", "value": [2023, 2024]}, True),
    ({"type": "nin", "key": "year", "value": [2024]}, False),
    ({"type": "eq", "key": "open", "value": True}, True),
    ({"type": "and", "filters": [
        {"type": "eq", "key": "kind", "value": "timetable"},
        {"type": "or", "filters": [{"type": "eq", "key": "year", "value": 1999},
                                   {"type": "gt", "key": "year", "value": 2000}]}]}, True),
])
def test_filters_decide_what_is_searched(sdk, store, boats, filters, is_found):
    found = sdk.vector_stores.search(store.id, query="ferry", filters=filters)
    assert [each.file_id for each in found.data] == ([boats.id] if is_found else [])


def test_files_of_a_store_are_listed_changed_read_and_taken_out(sdk, store, boats):
    files = sdk.vector_stores.files
    lamps = sdk.files.create(file=("lamps.md", LAMPS), purpose="assistants")
    attached = files.create_and_poll(lamps.id, vector_store_id=store.id)
    assert attached.status == "completed"
    assert [each.id for each in files.list(store.id)] == [lamps.id, boats.id]
    assert [each.id for each in files.list(store.id, filter="failed")] == []
    changed = files.update(boats.id, vector_store_id=store.id, attributes={"kind": "old"})
    assert changed.attributes == {"kind": "old"}
    text = files.content(boats.id, vector_store_id=store.id)
    assert "Albatross" in text.data[0].text
    counts = sdk.vector_stores.retrieve(store.id).file_counts
    assert (counts.completed, counts.total) == (2, 2)
    assert files.delete(lamps.id, vector_store_id=store.id).deleted
    # It is out of the store, and still there.
    assert sdk.files.retrieve(lamps.id).id == lamps.id
    with pytest.raises(openai.NotFoundError):
        files.retrieve(lamps.id, vector_store_id=store.id)
    sdk.files.delete(lamps.id)


def test_a_store_can_begin_with_files_and_leaves_them(sdk):
    file = sdk.files.create(file=("kept.md", BOATS), purpose="assistants")
    stores = [sdk.vector_stores.create(name="Two", file_ids=[file.id]) for _ in range(2)]
    for store in stores:
        assert sdk.vector_stores.retrieve(store.id).file_counts.total == 1
        sdk.vector_stores.delete(store.id)
    assert sdk.files.retrieve(file.id).id == file.id
    sdk.files.delete(file.id)


@pytest.mark.parametrize("body, parameter", [
    ({}, "query"), ({"query": ""}, "query"), ({"query": "a", "max_num_results": 51},
                                              "max_num_results"),
    ({"query": "a", "filters": {"type": "like", "key": "a", "value": "b"}}, None),
    ({"query": "a", "ranking_options": {"score_threshold": 2}}, "ranking_options.score_threshold"),
])
def test_a_search_that_cannot_be_is_refused(sdk, store, body, parameter):
    with pytest.raises(openai.BadRequestError) as refused:
        sdk.post(f"/vector_stores/{store.id}/search", body=body, cast_to=object)
    assert refused.value.param == parameter


def test_another_users_files_and_stores_are_not_there(mallorys, sdk, store, boats):
    for attempt in (
        lambda: mallorys.files.retrieve(boats.id),
        lambda: mallorys.files.content(boats.id),
        lambda: mallorys.files.delete(boats.id),
        lambda: mallorys.vector_stores.retrieve(store.id),
        lambda: mallorys.vector_stores.update(store.id, name="Mine"),
        lambda: mallorys.vector_stores.delete(store.id),
        lambda: mallorys.vector_stores.search(store.id, query="ferry"),
        lambda: mallorys.vector_stores.files.list(store.id),
        lambda: mallorys.vector_stores.files.retrieve(boats.id, vector_store_id=store.id),
        lambda: mallorys.vector_stores.create(name="Thief", file_ids=[boats.id]),
    ):
        with pytest.raises(openai.NotFoundError):
            attempt()
    assert boats.id not in [each.id for each in mallorys.files.list()]
    assert "Thief" not in [each.name for each in mallorys.vector_stores.list()]


def test_a_share_is_for_reading_and_ends_at_once(client, mallory, mallorys, store, boats):
    collection = next(
        each["id"] for each in client.get("/api/collections").json()["collections"]
        if each["name"] == store.name)
    path = f"/api/collections/{collection}/shares"
    assert client.put(path, json={"user": "mallory", "access": "read"}).status_code == 204
    found = mallorys.vector_stores.search(store.id, query="ferry")
    assert [each.file_id for each in found.data] == [boats.id]
    assert mallorys.files.content(boats.id).read() == BOATS
    with pytest.raises(openai.PermissionDeniedError):
        mallorys.files.delete(boats.id)
    with pytest.raises(openai.PermissionDeniedError):
        mallorys.vector_stores.delete(store.id)
    # An answer with citations, which are empty once the share has ended.
    chat, turn = mallory.begin("When does the ferry Albatross leave the harbour?")
    mallory.events(f"/api/turns/{turn}/events")
    before = cited(mallory, chat)
    shares = client.get(path).json()["shares"]
    assert [each["user"] for each in shares] == ["mallory"]
    assert client.delete(f"{path}/{shares[0]['granteeID']}").status_code == 204
    with pytest.raises(openai.NotFoundError):
        mallorys.vector_stores.search(store.id, query="ferry")
    with pytest.raises(openai.NotFoundError):
        mallorys.files.content(boats.id)
    after = cited(mallory, chat)
    assert before and all("Albatross" in each["text"] for each in before)
    assert len(after) == len(before) and all(each["text"] == "" for each in after)
    events = mallory.events(f"/api/turns/{turn}/events")
    assert all("Albatross" not in str(data) for _, name, data in events if name == "passages")
    # The same question again gets nothing out of a cache.
    again, turn = mallory.begin("When does the ferry Albatross leave the harbour?")
    events = mallory.events(f"/api/turns/{turn}/events")
    assert not cited(mallory, again) and "passages" not in [name for _, name, _ in events]


def cited(client, chat):
    entries = client.get(f"/api/chats/{chat}").json()["entries"]
    return [
        citation["passage"] for entry in entries
        for citation in (entry.get("outcome") or {}).get("citations", [])
    ]


def test_a_team_and_a_limited_key(server, client, mallory, store, boats):
    def heptad(*arguments):
        return subprocess.run(
            [server.binary, *arguments, *server.options], text=True, check=True,
            capture_output=True, cwd=server.data, timeout=START_SECONDS).stdout

    heptad("team", "add", "Crew")
    heptad("team", "join", "Crew", "mallory")
    collection = next(
        each["id"] for each in client.get("/api/collections").json()["collections"]
        if each["name"] == store.name)
    path = f"/api/collections/{collection}/shares"
    assert client.put(path, json={"team": "crew", "access": "read"}).status_code == 204
    shared = mallory.get("/api/collections").json()["collections"]
    assert [(each["name"], each["access"], each["ownerName"]) for each in shared
            if each["access"] != "own"] == [(store.name, "read", "keeper")]
    heptad("team", "leave", "Crew", "mallory")
    assert store.name not in mallory.get("/api/collections").text

    key = heptad("key", "create", "limited", "--collection", store.name).strip()
    with sdk_of(server, key) as limited:
        assert [each.id for each in limited.vector_stores.list()] == [store.id]
        assert [each.id for each in limited.files.list()] == []
        found = limited.vector_stores.search(store.id, query="ferry")
        assert [each.file_id for each in found.data] == [boats.id]
        with pytest.raises(openai.PermissionDeniedError):
            limited.vector_stores.create(name="More")
    out = heptad("search", "ferry", "--collection", store.name, "--type", "md")
    assert "boats.md" in out
    assert "boats.md" not in heptad("search", "ferry", "--collection", store.name, "--tag", "x")
