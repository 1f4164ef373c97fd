"""The `file_search` tool of the Responses API, and batches of files, with the `openai` SDK."""

import openai
import pytest

from test_openai_files import BOATS, LAMPS, mallorys, sdk, store  # noqa: F401: fixtures
from test_openai_sdk import model  # noqa: F401: fixture

QUESTION = "When does the ferry Albatross leave the harbour?"


@pytest.fixture
def filled(sdk, store):
    boats = sdk.files.create(file=("boats.md", BOATS), purpose="assistants")
    lamps = sdk.files.create(file=("lamps.md", LAMPS), purpose="assistants")
    batch = sdk.vector_stores.file_batches.create_and_poll(store.id, files=[
        {"file_id": boats.id, "attributes": {"kind": "timetable", "year": 2024}},
        {"file_id": lamps.id, "attributes": {"kind": "story"}},
    ])
    assert batch.status == "completed" and batch.file_counts.completed == 2
    yield store, boats, lamps, batch
    sdk.files.delete(boats.id)
    sdk.files.delete(lamps.id)


def ask(sdk, model, store, *, tool={}, **options):
    options = {"input": QUESTION, "temperature": 0, "max_output_tokens": 60, **options}
    return sdk.responses.create(
        model=model, tools=[{"type": "file_search", "vector_store_ids": [store.id], **tool}],
        **options)


def annotations_of(response):
    return [each for item in response.output if item.type == "message"
            for part in item.content for each in part.annotations]


def test_an_answer_comes_from_the_files_and_cites_them(sdk, model, filled):
    store, boats, _, _ = filled
    response = ask(sdk, model, store, include=["file_search_call.results"])
    call, message = response.output
    assert call.type == "file_search_call" and call.status == "completed"
    assert call.id.startswith("fs_") and call.queries == [QUESTION]
    best = call.results[0]
    assert best.file_id == boats.id and best.filename == "boats.md"
    assert "Albatross" in best.text and 0 < best.score <= 1
    assert best.attributes == {"kind": "timetable", "year": 2024}
    assert message.type == "message" and "nine" in response.output_text
    cited = annotations_of(response)
    assert [each.file_id for each in cited][:1] == [boats.id]
    assert all(each.type == "file_citation" and each.filename for each in cited)
    assert all(0 < each.index <= len(response.output_text) for each in cited)
    assert response.tools[0].type == "file_search"
    assert response.tools[0].vector_store_ids == [store.id]


def test_results_are_told_only_where_they_are_asked_for(sdk, model, filled):
    response = ask(sdk, model, filled[0])
    assert response.output[0].results is None


def test_a_stream_has_the_search_and_the_citations(sdk, model, filled):
    store, boats, _, _ = filled
    with sdk.responses.stream(
        model=model, input=QUESTION, temperature=0, max_output_tokens=60,
        tools=[{"type": "file_search", "vector_store_ids": [store.id]}],
        include=["file_search_call.results"],
    ) as stream:
        events = list(stream)
        final = stream.get_final_response()
    types = [event.type for event in events]
    search = [each for each in types if "file_search_call" in each]
    assert search == ["response.file_search_call.in_progress",
                      "response.file_search_call.searching",
                      "response.file_search_call.completed"]
    assert types.index(search[-1]) < types.index("response.output_text.delta")
    added = [event for event in events if event.type == "response.output_text.annotation.added"]
    assert added and added[0].annotation.file_id == boats.id
    assert len(added) == len(annotations_of(final))
    assert [event.sequence_number for event in events] == sorted(
        event.sequence_number for event in events)
    assert final.output[0].results[0].file_id == boats.id


def test_filters_thresholds_and_limits_decide_what_the_model_gets(sdk, model, filled):
    store, boats, lamps, _ = filled

    def found(**tool):
        response = ask(sdk, model, store, tool=tool, include=["file_search_call.results"],
                       max_output_tokens=8)
        return [each.file_id for each in response.output[0].results]

    assert set(found(filters={"type": "eq", "key": "kind", "value": "story"})) <= {lamps.id}
    assert found(filters={"type": "and", "filters": [
        {"type": "eq", "key": "kind", "value": "timetable"},
        {"type": "gte", "key": "year", "value": 2024}]}) == [boats.id]
    assert found(filters={"type": "eq", "key": "kind", "value": "nothing"}) == []
    assert found(max_num_results=1) == [boats.id]
    # What has the words of the question is above any threshold; the other file is not.
    assert found(ranking_options={"score_threshold": 1.0}) in ([], [boats.id])


def test_the_conversation_goes_on_with_what_came_before(sdk, model, filled):
    store = filled[0]
    first = ask(sdk, model, store)
    second = ask(sdk, model, store, input=[
        {"role": "user", "content": QUESTION}, *first.output,
        {"role": "user", "content": "Who trims the lamp?"}])
    assert second.output[0].queries == ["Who trims the lamp?"]
    assert second.output_text.strip()


def test_a_choice_of_none_searches_nothing(sdk, model, filled):
    response = ask(sdk, model, filled[0], tool_choice="none")
    assert [item.type for item in response.output] == ["message"]
    assert annotations_of(response) == []


def test_another_users_store_is_refused(mallorys, model, filled):
    for stream in (False, True):
        with pytest.raises(openai.NotFoundError):
            ask(mallorys, model, filled[0], stream=stream)


@pytest.mark.parametrize("tool, parameter", [
    ({"vector_store_ids": []}, "tools[0].vector_store_ids"),
    ({"max_num_results": 51}, "tools[0].max_num_results"),
    ({"ranking_options": {"score_threshold": 3}}, "tools[0].ranking_options.score_threshold"),
])
def test_a_wrong_tool_is_refused_by_name(sdk, model, store, tool, parameter):
    with pytest.raises(openai.BadRequestError) as refused:
        ask(sdk, model, store, tool=tool)
    assert refused.value.param == parameter


def test_batches_are_listed_looked_at_and_cancelled(sdk, filled):
    store, boats, lamps, batch = filled
    batches = sdk.vector_stores.file_batches
    assert batch.id.startswith("vsfb_") and batch.object == "vector_store.files_batch"
    assert batch.vector_store_id == store.id
    same = batches.retrieve(batch.id, vector_store_id=store.id)
    assert same.file_counts.total == 2 and same.status == "completed"
    files = list(batches.list_files(batch.id, vector_store_id=store.id))
    assert [each.id for each in files] == [lamps.id, boats.id]
    one = batches.list_files(batch.id, vector_store_id=store.id, limit=1, order="asc")
    assert [each.id for each in one.data] == [boats.id] and one.has_more
    assert list(batches.list_files(batch.id, vector_store_id=store.id, filter="failed")) == []
    cancelled = batches.cancel(batch.id, vector_store_id=store.id)
    # All were read already, so all stay.
    assert cancelled.status == "cancelled" and cancelled.file_counts.completed == 2


def test_files_are_uploaded_as_a_batch(sdk, store):
    batch = sdk.vector_stores.file_batches.upload_and_poll(
        store.id, files=[("b1.md", BOATS), ("l1.md", LAMPS)])
    assert batch.status == "completed" and batch.file_counts.completed == 2
    for file in sdk.vector_stores.file_batches.list_files(batch.id, vector_store_id=store.id):
        sdk.files.delete(file.id)


def test_a_batch_of_what_is_not_there_attaches_nothing(sdk, mallorys, store):
    mine = sdk.files.create(file=("mine.md", BOATS), purpose="assistants")
    theirs = mallorys.files.create(file=("theirs.md", LAMPS), purpose="assistants")
    with pytest.raises(openai.NotFoundError):
        sdk.vector_stores.file_batches.create(store.id, file_ids=[mine.id, theirs.id])
    assert sdk.vector_stores.retrieve(store.id).file_counts.total == 0
    with pytest.raises(openai.NotFoundError):
        mallorys.vector_stores.file_batches.create(store.id, file_ids=[theirs.id])
    sdk.files.delete(mine.id)
    mallorys.files.delete(theirs.id)
