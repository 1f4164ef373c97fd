"""The `openai` SDK against `/v1`: what works with OpenAI works here."""

import base64
import math
import struct

import openai
import pytest

from conftest import ANSWER_SECONDS

QUESTION = [{"role": "user", "content": "Name the capital of France."}]


@pytest.fixture(scope="module")
def sdk(server, api_key):
    with openai.OpenAI(
        base_url=f"{server.address}/v1", api_key=api_key, timeout=ANSWER_SECONDS, max_retries=0,
    ) as sdk:
        yield sdk


@pytest.fixture(scope="module")
def model(client):
    """The default chat model: the first in the list."""
    return client.get("/api/models").json()["models"][0]["name"]


@pytest.fixture(scope="module")
def embedder(client):
    """The default embedding model, by the name that an answer of it has."""
    return client.post("/v1/embeddings", json={"input": "hello"}).json()["model"]


def ask(sdk, model, **options):
    options = {"max_tokens": 24, "temperature": 0, "messages": QUESTION, **options}
    return sdk.chat.completions.create(model=model, **options)


def test_models_are_listed(sdk, model):
    models = sdk.models.list()
    assert model in [each.id for each in models]
    assert all(each.object == "model" for each in models)


def test_a_completion_has_text_and_usage(sdk, model):
    completion = ask(sdk, model)
    choice = completion.choices[0]
    assert choice.message.role == "assistant"
    assert choice.message.content.strip()
    assert choice.finish_reason in ("stop", "length")
    usage = completion.usage
    assert usage.prompt_tokens > 0 and usage.completion_tokens > 0
    assert usage.total_tokens == usage.prompt_tokens + usage.completion_tokens
    assert completion.object == "chat.completion"


def test_a_stream_gives_the_same_text_as_one_answer(sdk, model):
    chunks = list(ask(sdk, model, stream=True))
    text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
    assert text == ask(sdk, model).choices[0].message.content
    assert len({chunk.id for chunk in chunks}) == 1
    assert chunks[0].choices[0].delta.role == "assistant"
    finishes = [chunk.choices[0].finish_reason for chunk in chunks if chunk.choices]
    assert finishes[-1] in ("stop", "length") and not any(finishes[:-1])
    assert all(chunk.usage is None for chunk in chunks)


def test_a_stream_ends_with_usage_where_asked(sdk, model):
    chunks = list(ask(sdk, model, stream=True, stream_options={"include_usage": True}))
    assert chunks[-1].choices == []
    assert chunks[-1].usage.completion_tokens > 0
    assert chunks[-1].usage.prompt_tokens == ask(sdk, model).usage.prompt_tokens


def test_max_tokens_is_kept(sdk, model):
    completion = ask(sdk, model, max_tokens=3)
    assert completion.usage.completion_tokens <= 3
    assert completion.choices[0].finish_reason == "length"


@pytest.mark.parametrize("as_list", [False, True])
def test_a_stop_string_ends_the_answer_and_is_not_part_of_it(sdk, model, as_list):
    whole = ask(sdk, model).choices[0].message.content
    stop = whole.strip().split()[1]
    completion = ask(sdk, model, stop=[stop] if as_list else stop)
    text = completion.choices[0].message.content
    assert stop not in text and whole.startswith(text)
    assert completion.choices[0].finish_reason == "stop"


def test_embeddings_are_unit_vectors_in_order(sdk, embedder):
    texts = ["a boat on the water", "a ship at sea", "double-entry bookkeeping"]
    answer = sdk.embeddings.create(model=embedder, input=texts, encoding_format="float")
    vectors = [item.embedding for item in answer.data]
    assert [item.index for item in answer.data] == [0, 1, 2]
    assert {len(vector) for vector in vectors} == {384}
    assert all(math.isclose(math.hypot(*vector), 1, abs_tol=1e-3) for vector in vectors)
    assert answer.usage.prompt_tokens > 0
    one = sdk.embeddings.create(model=embedder, input=texts[1], encoding_format="float")
    assert one.data[0].embedding == pytest.approx(vectors[1], abs=1e-4)


def test_base64_embeddings_are_the_same_floats(sdk, embedder):
    text = "a boat on the water"
    floats = sdk.embeddings.create(model=embedder, input=text, encoding_format="float")
    coded = sdk.embeddings.create(model=embedder, input=text, encoding_format="base64")
    data = coded.data[0].embedding
    assert isinstance(data, str)
    decoded = struct.unpack("<384f", base64.b64decode(data))
    assert decoded == pytest.approx(floats.data[0].embedding, abs=1e-6)
    # Without a format the SDK asks for base64 and decodes it itself.
    assert sdk.embeddings.create(model=embedder, input=text).data[0].embedding == pytest.approx(
        floats.data[0].embedding, abs=1e-6)


def test_a_wrong_key_is_an_authentication_error(sdk, model):
    with pytest.raises(openai.AuthenticationError) as refusal:
        ask(sdk.with_options(api_key="hpt_no-such-key"), model)
    assert refusal.value.body["message"]


def test_an_unknown_model_is_a_not_found_error(sdk):
    with pytest.raises(openai.NotFoundError) as refusal:
        ask(sdk, "no-such-model")
    assert "no-such-model" in refusal.value.body["message"]


@pytest.mark.parametrize(
    "options",
    [{"messages": []}, {"temperature": 7}, {"temperature": "hot"},
     {"messages": [{"role": "wizard", "content": "hello"}]}, {"messages": "hello"}],
    ids=["no messages", "temperature of 7", "temperature in words", "unknown role", "no list"])
def test_a_bad_request_is_a_bad_request_error(sdk, model, options):
    with pytest.raises(openai.BadRequestError) as refusal:
        ask(sdk, model, **options)
    assert refusal.value.body["message"]
