"""The Responses API through the `openai` SDK, from the smallest model there is."""

import json

import openai
import pytest
from pydantic import BaseModel

from test_openai_sdk import model, sdk  # noqa: F401: fixtures

QUESTION = "What is the weather in Paris? Use celsius."
WEATHER = {
    "type": "function",
    "name": "get_weather",
    "description": "The weather in a city",
    "strict": True,
    "parameters": {
        "type": "object",
        "properties": {
            "city": {"type": "string"},
            "unit": {"type": "string", "enum": ["celsius", "fahrenheit"]},
        },
        "required": ["city", "unit"],
        "additionalProperties": False,
    },
}


class Animal(BaseModel):
    name: str
    legs: int
    is_tame: bool


def ask(sdk, model, **options):
    options = {"max_output_tokens": 24, "temperature": 0,
               "input": "Name the capital of France.", **options}
    return sdk.responses.create(model=model, **options)


def test_an_answer_has_text_usage_and_what_was_asked(sdk, model):
    response = ask(sdk, model, instructions="Be brief.", metadata={"topic": "geography"})
    assert response.output_text.strip()
    assert response.id.startswith("resp_") and response.object == "response"
    assert response.status in ("completed", "incomplete") and response.error is None
    assert response.model == model and response.metadata == {"topic": "geography"}
    assert response.instructions == "Be brief." and response.store is False
    usage = response.usage
    assert usage.input_tokens > 0 and usage.output_tokens > 0
    assert usage.total_tokens == usage.input_tokens + usage.output_tokens
    assert usage.output_tokens_details.reasoning_tokens == 0
    assert 0 <= usage.input_tokens_details.cached_tokens <= usage.input_tokens


def test_it_says_what_chat_completions_say(sdk, model):
    chat = sdk.chat.completions.create(
        model=model, max_tokens=24, temperature=0,
        messages=[{"role": "system", "content": "Be brief."},
                  {"role": "user", "content": "Name the capital of France."}])
    response = ask(sdk, model, instructions="Be brief.")
    assert response.output_text == chat.choices[0].message.content
    assert response.usage.input_tokens == chat.usage.prompt_tokens
    items = ask(sdk, model, input=[
        {"role": "developer", "content": "Be brief."},
        {"role": "user", "content": [
            {"type": "input_text", "text": "Name the capital of France."}]}])
    assert items.output_text == response.output_text


def test_a_stream_has_the_events_in_their_order(sdk, model):
    events = list(ask(sdk, model, stream=True))
    types = [event.type for event in events]
    assert types[:4] == ["response.created", "response.in_progress", "response.output_item.added",
                         "response.content_part.added"]
    assert types[-4:-1] == ["response.output_text.done", "response.content_part.done",
                            "response.output_item.done"]
    assert types[-1] in ("response.completed", "response.incomplete")
    assert set(types[4:-4]) == {"response.output_text.delta"}
    assert [event.sequence_number for event in events] == list(range(len(events)))
    text = "".join(event.delta for event in events if event.type == "response.output_text.delta")
    assert text == ask(sdk, model).output_text == events[-1].response.output_text
    assert events[-1].response.usage.output_tokens > 0


def test_the_stream_helper_gathers_the_answer(sdk, model):
    with sdk.responses.stream(
        model=model, input="Say hello.", temperature=0, max_output_tokens=400,
    ) as stream:
        text = "".join(
            event.delta for event in stream if event.type == "response.output_text.delta")
        response = stream.get_final_response()
    assert response.status == "completed" and response.output_text == text


def test_an_answer_that_is_cut_says_so(sdk, model):
    response = ask(sdk, model, max_output_tokens=3)
    assert response.status == "incomplete"
    assert response.incomplete_details.reason == "max_output_tokens"
    assert response.usage.output_tokens <= 3
    assert response.output[0].status == "incomplete"


@pytest.mark.parametrize("temperature", [0, 1])
def test_a_parsed_answer_is_valid(sdk, model, temperature):
    response = sdk.responses.parse(
        model=model, input="Tell me about a sparrow in JSON.", text_format=Animal,
        temperature=temperature, max_output_tokens=200)
    assert response.status == "completed"
    assert isinstance(response.output_parsed, Animal)


def test_a_json_object_is_one(sdk, model):
    response = ask(sdk, model, input="List two cities as JSON.", temperature=1,
                   max_output_tokens=160, text={"format": {"type": "json_object"}})
    assert isinstance(json.loads(response.output_text), dict)


@pytest.mark.parametrize("choice", ["required", {"type": "function", "name": "get_weather"}],
                         ids=["required", "named"])
def test_a_tool_is_called_and_its_result_goes_back(sdk, model, choice):
    first = ask(sdk, model, input=QUESTION, tools=[WEATHER], tool_choice=choice, temperature=1,
                max_output_tokens=200, parallel_tool_calls=False)
    assert [item.type for item in first.output] == ["function_call"]
    call = first.output[0]
    assert call.name == "get_weather" and call.call_id and call.status == "completed"
    arguments = json.loads(call.arguments)
    assert set(arguments) == {"city", "unit"}
    assert arguments["unit"] in ("celsius", "fahrenheit")
    second = ask(sdk, model, tools=[WEATHER], tool_choice="none", input=[
        {"role": "user", "content": QUESTION}, *first.output,
        {"type": "function_call_output", "call_id": call.call_id, "output": "22 degrees, sunny"}])
    assert second.output_text.strip()
    assert [item.type for item in second.output] == ["message"]


def test_a_call_streams_in_pieces(sdk, model):
    with sdk.responses.stream(
        model=model, input=QUESTION, tools=[WEATHER], tool_choice="required", temperature=1,
        max_output_tokens=200, parallel_tool_calls=False,
    ) as stream:
        events = list(stream)
        response = stream.get_final_response()
    deltas = [event.delta for event in events
              if event.type == "response.function_call_arguments.delta"]
    done = [event for event in events if event.type == "response.function_call_arguments.done"]
    assert len(deltas) > 3 and len(done) == 1
    assert "".join(deltas) == done[0].arguments == response.output[0].arguments
    json.loads(done[0].arguments)


def test_log_probabilities_are_those_of_the_answer(sdk, model):
    response = ask(sdk, model, include=["message.output_text.logprobs"], top_logprobs=2,
                   max_output_tokens=8)
    tokens = response.output[0].content[0].logprobs
    assert b"".join(bytes(token.bytes) for token in tokens).decode().startswith(
        response.output_text)
    assert all(len(token.top_logprobs) == 2 and token.logprob <= 0 for token in tokens)


def test_wrong_requests_are_refused_by_name(sdk, model):
    for options, param in [
        ({"previous_response_id": "resp_1"}, "previous_response_id"), ({"store": True}, "store"),
        ({"temperature": 7}, "temperature"), ({"input": []}, "input"),
        ({"tools": [{"type": "web_search"}]}, "tools[0].type"),
    ]:
        with pytest.raises(openai.BadRequestError) as refused:
            ask(sdk, model, **options)
        assert refused.value.param == param
    with pytest.raises(openai.NotFoundError) as missing:
        ask(sdk, "no-such-model")
    assert missing.value.code == "model_not_found"
    with pytest.raises(openai.AuthenticationError):
        ask(sdk.with_options(api_key="hp_no-such-key"), model)


def test_a_schema_that_cannot_be_kept_is_refused_with_its_place(sdk, model):
    schema = {"type": "object", "properties": {"a": {"not": {}}}, "required": ["a"],
              "additionalProperties": False}
    with pytest.raises(openai.BadRequestError) as refused:
        ask(sdk, model, text={"format": {
            "type": "json_schema", "name": "x", "schema": schema, "strict": True}})
    assert "#/properties/a/not" in refused.value.message
    assert refused.value.param == "text.format.schema"


def test_a_conversation_too_long_is_refused_or_shortened(sdk, model):
    messages = [{"role": "user", "content": "lighthouse " * 9000},
                {"role": "user", "content": "Say hello."}]
    with pytest.raises(openai.BadRequestError) as refused:
        ask(sdk, model, input=messages, max_output_tokens=4)
    assert refused.value.code == "context_length_exceeded" and refused.value.param == "input"
    response = ask(sdk, model, input=messages, truncation="auto", max_output_tokens=8)
    assert response.output_text and response.usage.input_tokens < 100
    assert response.truncation == "auto"
