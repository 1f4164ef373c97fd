"""The `anthropic` SDK against `/v1/messages`: what works with Anthropic works here."""

import base64
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import anthropic
import httpx
import pytest

from conftest import ANSWER_SECONDS, OWNER, QUICK, Client, Server

QUESTION = [{"role": "user", "content": "Name the capital of France."}]
WEATHER = {
    "name": "weather", "description": "The weather of a city.",
    "input_schema": {
        "type": "object", "properties": {"city": {"type": "string", "enum": ["Paris", "Rome"]}},
        "required": ["city"], "additionalProperties": False}}
PIXEL = base64.b64encode(b"\x89PNG\r\n\x1a\n").decode()


def connect(address, key, **options):
    return anthropic.Anthropic(
        base_url=address, api_key=key, timeout=ANSWER_SECONDS, max_retries=0, **options)


@pytest.fixture(scope="module")
def sdk(server, api_key):
    with connect(server.address, api_key) as sdk:
        yield sdk


@pytest.fixture(scope="module")
def model(client):
    """The default chat model: the first in the list."""
    return client.get("/api/models").json()["models"][0]["name"]


# The SDK has no parameters for these any more; the API has the fields.
COLD = {"temperature": 0}


def ask(sdk, model, **options):
    options = {"max_tokens": 24, "extra_body": COLD, "messages": QUESTION, **options}
    return sdk.messages.create(model=model, **options)


def test_a_message_has_text_and_usage(sdk, model):
    message = ask(sdk, model)
    assert message.type == "message" and message.role == "assistant" and message.model == model
    assert [block.type for block in message.content] == ["text"]
    assert message.content[0].text.strip()
    assert message.stop_reason in ("end_turn", "max_tokens") and message.stop_sequence is None
    usage = message.usage
    assert usage.input_tokens + usage.cache_read_input_tokens > 0 and usage.output_tokens > 0
    assert message._request_id


def test_a_stream_gives_the_same_message_as_one_answer(sdk, model):
    whole = ask(sdk, model)
    events = []
    with sdk.messages.stream(
            model=model, max_tokens=24, messages=QUESTION, extra_body=COLD) as stream:
        for event in stream:
            events.append(event.type)
        streamed = stream.get_final_message()
    assert streamed.content[0].text == whole.content[0].text
    assert streamed.stop_reason == whole.stop_reason
    assert streamed.usage.output_tokens == whole.usage.output_tokens
    assert total(streamed.usage) == total(whole.usage)
    assert events[0] == "message_start" and events[-1] == "message_stop"
    assert events.index("content_block_start") < events.index("content_block_delta")
    assert events[-3:] == ["content_block_stop", "message_delta", "message_stop"]


def total(usage):
    """The prompt's tokens, read now or kept from before."""
    return (usage.input_tokens + usage.cache_read_input_tokens
            + usage.cache_creation_input_tokens)


def test_max_tokens_is_kept(sdk, model):
    message = ask(sdk, model, max_tokens=3)
    assert message.usage.output_tokens <= 3
    assert message.stop_reason == "max_tokens"


def test_a_stop_sequence_ends_the_answer_and_is_not_part_of_it(sdk, model):
    whole = ask(sdk, model).content[0].text
    stop = whole.strip().split()[1]
    message = ask(sdk, model, stop_sequences=[stop])
    assert stop not in message.content[0].text
    assert whole.startswith(message.content[0].text)
    assert (message.stop_reason, message.stop_sequence) == ("stop_sequence", stop)


def test_the_system_prompt_may_be_text_or_blocks(sdk, model):
    block = {"type": "text", "text": "Be brief.", "cache_control": {"type": "ephemeral"}}
    as_text = ask(sdk, model, system="Be brief.")
    as_blocks = ask(sdk, model, system=[block])
    assert total(as_text.usage) == total(as_blocks.usage)
    assert total(as_text.usage) != total(ask(sdk, model).usage)
    assert as_text.content[0].text == as_blocks.content[0].text


@pytest.mark.parametrize("is_streamed", [False, True])
def test_a_tool_is_called_and_its_result_is_read(sdk, model, is_streamed):
    options = dict(
        model=model, max_tokens=80, extra_body=COLD, tools=[WEATHER],
        tool_choice={"type": "tool", "name": "weather"},
        messages=[{"role": "user", "content": "How is the weather in Paris?"}])
    if is_streamed:
        with sdk.messages.stream(**options) as stream:
            message = stream.get_final_message()
    else:
        message = sdk.messages.create(**options)
    call = message.content[-1]
    assert message.stop_reason == "tool_use"
    assert call.type == "tool_use" and call.name == "weather" and call.id
    assert call.input["city"] in ("Paris", "Rome")
    del options["tool_choice"]
    options["messages"] += [
        {"role": "assistant", "content": message.content},
        {"role": "user", "content": [
            {"type": "tool_result", "tool_use_id": call.id, "content": "Rain, 12 degrees."}]}]
    answer = sdk.messages.create(**options | {"tool_choice": {"type": "none"}})
    assert [block.type for block in answer.content] == ["text"]
    assert answer.stop_reason in ("end_turn", "max_tokens")


def test_an_answer_is_held_to_its_schema(sdk, model):
    schema = WEATHER["input_schema"]
    message = ask(
        sdk, model, max_tokens=40,
        output_config={"format": {"type": "json_schema", "schema": schema}})
    assert json.loads(message.content[0].text)["city"] in ("Paris", "Rome")


@pytest.mark.parametrize(
    "source",
    [{"type": "base64", "media_type": "image/png", "data": PIXEL},
     {"type": "url", "url": "https://example.org/a.png"}], ids=["base64", "url"])
def test_an_image_is_refused_by_a_model_that_reads_text(sdk, model, source):
    content = [{"type": "text", "text": "What is this?"}, {"type": "image", "source": source}]
    with pytest.raises(anthropic.BadRequestError) as refusal:
        ask(sdk, model, messages=[{"role": "user", "content": content}])
    assert "reads text only" in refusal.value.body["error"]["message"]


def test_tokens_are_counted(sdk, model):
    counted = sdk.messages.count_tokens(model=model, messages=QUESTION).input_tokens
    read = total(ask(sdk, model, max_tokens=1).usage)
    assert 0 < counted and abs(counted - read) < 40
    longer = QUESTION[0]["content"] * 50
    count = sdk.messages.count_tokens(
        model=model, messages=[{"role": "user", "content": longer}], tools=[WEATHER],
        system="Be brief.").input_tokens
    assert count > 40 * counted / 4


def test_a_key_is_taken_as_a_bearer_token_too(server, api_key, model):
    with anthropic.Anthropic(
            base_url=server.address, auth_token=api_key, timeout=ANSWER_SECONDS) as sdk:
        assert ask(sdk, model, max_tokens=1).type == "message"


def test_a_wrong_key_is_an_authentication_error(server, model):
    with connect(server.address, "hp_no-such-key") as sdk:
        with pytest.raises(anthropic.AuthenticationError) as refusal:
            ask(sdk, model)
        assert refusal.value.body["error"]["type"] == "authentication_error"
        with pytest.raises(anthropic.AuthenticationError):
            sdk.messages.count_tokens(model=model, messages=QUESTION)


def test_an_unknown_model_is_a_not_found_error(sdk):
    for call in (ask, lambda sdk, model: list(ask(sdk, model, stream=True)),
                 lambda sdk, model: sdk.messages.count_tokens(model=model, messages=QUESTION)):
        with pytest.raises(anthropic.NotFoundError) as refusal:
            call(sdk, "no-such-model")
        assert refusal.value.body["error"]["type"] == "not_found_error"
        assert "no-such-model" in refusal.value.body["error"]["message"]


def test_a_prompt_that_is_too_long_is_a_bad_request_error(sdk, model):
    words = [{"role": "user", "content": "word " * 20000}]
    with pytest.raises(anthropic.BadRequestError) as refusal:
        ask(sdk, model, messages=words)
    assert refusal.value.body["error"]["message"].startswith("prompt is too long")


@pytest.mark.parametrize(
    "options, field",
    [({"messages": []}, "messages"), ({"messages": "hello"}, "messages"),
     ({"extra_body": {"temperature": "hot"}}, "temperature"),
     ({"extra_body": {"temperature": 7}}, "temperature"),
     ({"max_tokens": "many"}, "max_tokens"), ({"max_tokens": 0}, "max_tokens"),
     ({"extra_body": {"top_k": 1.5}}, "top_k"), ({"stop_sequences": [5]}, "stop_sequences[0]"),
     ({"system": 5}, "system"), ({"tools": [{"name": 5}]}, "tools[0].name"),
     ({"messages": [{"role": "wizard", "content": "hello"}]}, "messages[0].role"),
     ({"messages": [{"role": "user", "content": [{"type": "text", "text": 5}]}]},
      "messages[0].content[0].text"),
     ({"tool_choice": {"type": "tool", "name": "f"}}, "tool_choice.name")])
def test_a_wrong_field_is_a_bad_request_error_that_names_it(sdk, model, options, field):
    with pytest.raises(anthropic.BadRequestError) as refusal:
        ask(sdk, model, **options)
    error = refusal.value.body["error"]
    assert error["type"] == "invalid_request_error"
    assert f"`{field}`" in error["message"]


# Anthropic behind Heptad: what comes in goes out again in the same words.


class Upstream(BaseHTTPRequestHandler):
    """Speaks Anthropic's messages: a thought, a text and a call, always as a stream."""

    protocol_version = "HTTP/1.1"

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.asked.append((self.path, dict(self.headers), body))
        said = body["messages"][-1]["content"][0].get("text")
        if said == "Break.":
            return self.refuse(529, "overloaded_error", "Overloaded")
        if said == "Too often.":
            return self.refuse(429, "rate_limit_error", "Slow down", {"Retry-After": "7"})
        if said == "Too long.":
            return self.refuse(
                400, "invalid_request_error", "prompt is too long: 210000 tokens > 200000 maximum")
        usage = {"input_tokens": 1000, "cache_creation_input_tokens": 200,
                 "cache_read_input_tokens": 3000, "output_tokens": 1}
        events = [
            {"type": "message_start", "message": {
                "id": "m", "type": "message", "role": "assistant", "model": "claude", "content": [],
                "stop_reason": None, "stop_sequence": None, "usage": usage}},
            {"type": "ping"},
            *self.block(0, {"type": "thinking", "thinking": "", "signature": ""},
                        {"type": "thinking_delta", "thinking": "Hm."},
                        {"type": "signature_delta", "signature": "EqQB"}),
            *self.block(1, {"type": "text", "text": ""}, {"type": "text_delta", "text": "Let me "},
                        {"type": "text_delta", "text": "see."}),
            *self.block(2, {"type": "tool_use", "id": "toolu_1", "name": "weather", "input": {}},
                        {"type": "input_json_delta", "partial_json": '{"ci'},
                        {"type": "input_json_delta", "partial_json": 'ty":"Paris"}'}),
            {"type": "message_delta", "delta": {"stop_reason": "tool_use", "stop_sequence": None},
             "usage": {"output_tokens": 77}},
            {"type": "message_stop"}]
        if said == "Stop short.":
            events = events[:8]
        if said == "Think in secret.":
            events[2:7] = self.block(0, {"type": "redacted_thinking", "data": "c2VjcmV0"})
        if said == "Say END.":
            events[-2]["delta"] = {"stop_reason": "stop_sequence", "stop_sequence": "END"}
            events = [e for e in events if e.get("index") != 2]
        self.answer(200, "text/event-stream", "".join(
            f"event: {event['type']}\ndata: {json.dumps(event)}\n\n" for event in events))

    def block(self, index, start, *deltas):
        return [{"type": "content_block_start", "index": index, "content_block": start},
                *({"type": "content_block_delta", "index": index, "delta": delta}
                  for delta in deltas),
                {"type": "content_block_stop", "index": index}]

    def refuse(self, status, kind, message, headers=None):
        error = {"type": "error", "error": {"type": kind, "message": message}}
        self.answer(status, "application/json", json.dumps(error), headers)

    def answer(self, status, media_type, text, headers=None):
        data = text.encode()
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Type", media_type)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *arguments):
        pass


@pytest.fixture(scope="module")
def upstream():
    with ThreadingHTTPServer(("127.0.0.1", 0), Upstream) as upstream:
        upstream.asked = []
        threading.Thread(target=upstream.serve_forever, daemon=True).start()
        yield upstream
        upstream.shutdown()


@pytest.fixture(scope="module")
def hosted(upstream, tmp_path_factory):
    """A server whose one model is the upstream's."""
    settings = QUICK + f"""
inference:
  # It fails on purpose, test after test, and shall not be left alone for that.
  breaker:
    failures_min: 200
  providers:
    up:
      kind: anthropic
      base_url: http://127.0.0.1:{upstream.server_port}/v1
      api_key: sk-ant-upstream
  models:
    claude:
      candidates: [up/claude]
accounting:
  monthly_budget_dollars: "100"
  prices:
    up/claude:
      input_dollars_per_million: "3"
      cache_read_dollars_per_million: "0.3"
      cache_write_dollars_per_million: "3.75"
      output_dollars_per_million: "15"
"""
    server = Server(tmp_path_factory.mktemp("hosted"), settings).start()
    answer = httpx.post(
        f"{server.address}/api/setup",
        json={"token": server.setup_token, "name": OWNER[0], "password": OWNER[1]})
    assert answer.status_code == 201, answer.text
    yield server
    server.stop()


@pytest.fixture(scope="module")
def owner(hosted):
    with Client(hosted, hosted.token) as owner:
        yield owner


@pytest.fixture(scope="module")
def claude(hosted, owner):
    key = owner.post("/api/keys", json={"name": "sdk"}).json()["key"]
    with connect(hosted.address, key) as sdk:
        yield sdk


HOSTED = dict(
    model="claude", max_tokens=2000, tools=[WEATHER], system="Be brief.",
    thinking={"type": "enabled", "budget_tokens": 1024},
    messages=[{"role": "user", "content": [{"type": "text", "text": "How is Paris?"}]}])


def test_a_streamed_answer_is_the_unstreamed_one_and_costs_the_same(claude, owner, upstream):
    def spent():
        return owner.get("/api/spend").json()["total"]

    costs, messages = [], []
    for is_streamed in (False, True):
        before = spent()
        if is_streamed:
            with claude.messages.stream(**HOSTED) as stream:
                messages.append(stream.get_final_message())
        else:
            raw = claude.messages.with_raw_response.create(**HOSTED)
            messages.append(raw.parse())
            assert int(raw.headers["x-heptad-cost"]) == 5_805_000_000
        costs.append(spent() - before)
    # 1000 at $3, 3000 at $0.30, 200 at $3.75 and 77 at $15 a million, in picodollars.
    assert costs == [5_805_000_000] * 2
    whole, streamed = messages
    assert [block.type for block in whole.content] == ["thinking", "text", "tool_use"]
    assert [block.model_dump() for block in whole.content] == [
        block.model_dump() for block in streamed.content]
    assert whole.content[1].text == "Let me see."
    assert whole.content[2].input == {"city": "Paris"}
    assert whole.stop_reason == streamed.stop_reason == "tool_use"
    assert (whole.usage.input_tokens, whole.usage.cache_read_input_tokens,
            whole.usage.cache_creation_input_tokens, whole.usage.output_tokens) == (
                1000, 3000, 200, 77)
    assert total(streamed.usage) == 4200 and streamed.usage.output_tokens == 77


def test_what_is_asked_reaches_the_provider_as_its_api_has_it(claude, upstream):
    upstream.asked.clear()
    claude.messages.create(**HOSTED)
    path, headers, body = upstream.asked[0]
    assert path == "/v1/messages"
    assert headers["x-api-key"] == "sk-ant-upstream"
    assert headers["anthropic-version"] == "2023-06-01"
    assert body["system"] == [{"type": "text", "text": "Be brief."}]
    assert body["tools"] == [WEATHER]
    assert body["messages"] == HOSTED["messages"]
    assert body["thinking"] == HOSTED["thinking"]
    assert body["stream"] is True and body["max_tokens"] == 2000


def test_what_may_be_kept_is_marked_where_the_prompt_is_long_or_the_client_says_so(
        claude, upstream):
    def marks(**options):
        upstream.asked.clear()
        claude.messages.create(**HOSTED | options)
        body = upstream.asked[0][2]
        blocks = body["system"] + body["tools"] + [
            block for message in body["messages"] for block in message["content"]]
        return [block["cache_control"] for block in blocks if "cache_control" in block]

    short = {"type": "ephemeral"}
    assert marks() == []
    assert marks(system="Be brief. " * 500) == [short, short]
    hour = {"type": "ephemeral", "ttl": "1h"}
    own = [{"role": "user", "content": [{"type": "text", "text": "Hi", "cache_control": hour}]}]
    assert marks(system="Be brief. " * 500, messages=own) == [hour]


@pytest.mark.parametrize("question", ["How is Paris?", "Think in secret."])
@pytest.mark.parametrize("is_streamed", [False, True])
def test_thoughts_go_through_a_tool_loop_as_they_were(claude, upstream, question, is_streamed):
    messages = [{"role": "user", "content": [{"type": "text", "text": question}]}]
    if is_streamed:
        with claude.messages.stream(**HOSTED | {"messages": messages}) as stream:
            answer = stream.get_final_message()
    else:
        answer = claude.messages.create(**HOSTED | {"messages": messages})
    upstream.asked.clear()
    # As a client of the SDK has it: what came goes back.
    claude.messages.create(**HOSTED | {"messages": messages + [
        {"role": "assistant", "content": answer.content},
        {"role": "user", "content": [
            {"type": "tool_result", "tool_use_id": "toolu_1", "content": "Rain."}]}]})
    sent = upstream.asked[0][2]["messages"][1]["content"]
    thought = (
        {"type": "thinking", "thinking": "Hm.", "signature": "EqQB"}
        if question == "How is Paris?" else {"type": "redacted_thinking", "data": "c2VjcmV0"})
    assert sent == [
        thought, {"type": "text", "text": "Let me see."},
        {"type": "tool_use", "id": "toolu_1", "name": "weather", "input": {"city": "Paris"}}]


def test_the_text_that_ended_an_answer_is_named(claude):
    messages = [{"role": "user", "content": "Say END."}]
    options = HOSTED | {"messages": messages, "stop_sequences": ["END", "STOP"]}
    answer = claude.messages.create(**options)
    with claude.messages.stream(**options) as stream:
        streamed = stream.get_final_message()
    for message in (answer, streamed):
        assert (message.stop_reason, message.stop_sequence) == ("stop_sequence", "END")


def test_an_image_reaches_the_provider(claude, upstream):
    image = {"type": "image", "source": {
        "type": "base64", "media_type": "image/png", "data": PIXEL}}
    upstream.asked.clear()
    claude.messages.create(**HOSTED | {"messages": [
        {"role": "user", "content": [{"type": "text", "text": "What is this?"}, image]}]})
    assert upstream.asked[0][2]["messages"][0]["content"][1] == image


@pytest.mark.parametrize("is_streamed", [False, True])
def test_a_provider_that_is_asked_too_often_says_when_to_come_again(claude, is_streamed):
    with pytest.raises(anthropic.RateLimitError) as refusal:
        claude.messages.create(**HOSTED | {
            "messages": [{"role": "user", "content": "Too often."}], "stream": is_streamed})
    assert refusal.value.body["error"]["type"] == "rate_limit_error"
    assert 0 < int(refusal.value.response.headers["retry-after"]) <= 7


def test_a_prompt_too_long_for_the_provider_is_told_in_its_words(claude):
    with pytest.raises(anthropic.BadRequestError) as refusal:
        claude.messages.create(**HOSTED | {
            "messages": [{"role": "user", "content": "Too long."}]})
    assert refusal.value.body["error"]["message"].startswith("prompt is too long")


def test_models_are_listed_and_found(claude):
    page = claude.models.list(limit=1)
    assert page.data[0].type == "model" and len(page.data) == 1
    assert page.first_id == page.data[0].id == page.last_id
    names = [model.id for model in claude.models.list(limit=1)]
    assert "claude" in names and len(names) == len(set(names))
    assert claude.models.retrieve("claude").display_name == "claude"
    with pytest.raises(anthropic.NotFoundError) as refusal:
        claude.models.retrieve("no-such-model")
    assert refusal.value.body["error"]["type"] == "not_found_error"


def test_an_overloaded_provider_is_an_overloaded_error(claude):
    messages = [{"role": "user", "content": "Break."}]
    for is_streamed in (False, True):
        with pytest.raises(anthropic.APIStatusError) as refusal:
            claude.messages.create(**HOSTED | {"messages": messages, "stream": is_streamed})
        assert refusal.value.status_code == 529
        assert refusal.value.body["error"]["type"] == "overloaded_error"


def test_an_answer_that_breaks_off_is_an_error_and_never_a_message(claude):
    messages = [{"role": "user", "content": "Stop short."}]
    with pytest.raises(anthropic.InternalServerError):
        claude.messages.create(**HOSTED | {"messages": messages})
    with pytest.raises(anthropic.APIStatusError) as refusal:
        with claude.messages.stream(**HOSTED | {"messages": messages}) as stream:
            stream.get_final_message()
    assert refusal.value.body["error"]["type"] == "api_error"
