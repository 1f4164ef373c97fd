"""Structured answers and tools through the `openai` SDK, from the smallest model there is: what a
schema says holds at any seed and temperature."""

import json
from enum import Enum
from typing import Literal, Optional

import openai
import pytest
from pydantic import BaseModel, Field

from conftest import ANSWER_SECONDS
from test_openai_sdk import model, sdk  # noqa: F401: fixtures


class Colour(str, Enum):
    red = "red"
    dark_green = "dark green"


class Step(BaseModel):
    explanation: str
    output: str


class Lesson(BaseModel):
    steps: list[Step]
    final_answer: str


class Animal(BaseModel):
    name: str
    legs: int
    weight: float
    colour: Colour
    is_tame: bool
    nickname: Optional[str]
    kind: Literal["bird", "fish"]


class Tree(BaseModel):
    value: int
    children: list["Tree"]


class Booking(BaseModel):
    day: str = Field(pattern=r"^20[0-9]{2}-(0[1-9]|1[0-2])-[0-2][1-8]$")
    guests: int = Field(ge=1, le=12)
    mail: str = Field(json_schema_extra={"format": "email"})
    tags: list[str] = Field(min_length=1, max_length=3)


WEATHER = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "The weather in a city",
        "parameters": {
            "type": "object",
            "properties": {
                "city": {"type": "string"},
                "unit": {"type": "string", "enum": ["celsius", "fahrenheit"]},
            },
            "required": ["city", "unit"],
            "additionalProperties": False,
        },
    },
}
TIME = {
    "type": "function",
    "function": {
        "name": "get_time",
        "parameters": {"type": "object", "properties": {"zone": {"type": "integer"}},
                       "required": ["zone"]},
    },
}
QUESTION = [{"role": "user", "content": "What is the weather in Paris? Use celsius."}]


@pytest.mark.parametrize("schema", [Lesson, Animal, Tree, Booking], ids=lambda each: each.__name__)
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_parsed_answer_is_valid_at_temperature_one(sdk, model, schema, seed):
    completion = sdk.chat.completions.parse(
        model=model, messages=[{"role": "user", "content": "Tell me about a sparrow in JSON."}],
        response_format=schema, temperature=1, top_p=1, seed=seed, max_tokens=200)
    choice = completion.choices[0]
    assert choice.finish_reason == "stop"
    assert isinstance(choice.message.parsed, schema)
    assert choice.message.refusal is None


def test_a_json_object_is_one(sdk, model):
    for seed in range(3):
        completion = sdk.chat.completions.create(
            model=model, messages=[{"role": "user", "content": "List two cities as JSON."}],
            response_format={"type": "json_object"}, temperature=1, seed=seed, max_tokens=120)
        assert isinstance(json.loads(completion.choices[0].message.content), dict)
        assert completion.choices[0].finish_reason == "stop"


def test_a_schema_that_cannot_be_kept_is_refused_with_its_place(sdk, model):
    schema = {"type": "object", "properties": {"a": {"not": {}}}, "required": ["a"],
              "additionalProperties": False}
    with pytest.raises(openai.BadRequestError) as refused:
        sdk.chat.completions.create(
            model=model, messages=QUESTION, response_format={
                "type": "json_schema",
                "json_schema": {"name": "x", "schema": schema, "strict": True}})
    assert "#/properties/a/not" in refused.value.message
    assert refused.value.param == "response_format.json_schema.schema"


@pytest.mark.parametrize("choice", [
    "required", {"type": "function", "function": {"name": "get_weather"}}],
    ids=["required", "named"])
def test_a_tool_that_has_to_be_called_is(sdk, model, choice):
    for seed in range(3):
        completion = sdk.chat.completions.create(
            model=model, messages=QUESTION, tools=[WEATHER, TIME], tool_choice=choice,
            temperature=1, seed=seed, max_tokens=200, parallel_tool_calls=False)
        message = completion.choices[0].message
        assert completion.choices[0].finish_reason == "tool_calls"
        assert message.content is None
        assert len(message.tool_calls) == 1
        call = message.tool_calls[0]
        assert call.id.startswith("call_") and call.type == "function"
        check(call.function.name, call.function.arguments)
        if choice != "required":
            assert call.function.name == "get_weather"


def check(name, arguments):
    arguments = json.loads(arguments)
    if name == "get_weather":
        assert set(arguments) == {"city", "unit"}
        assert arguments["unit"] in ("celsius", "fahrenheit")
    else:
        assert name == "get_time" and isinstance(arguments["zone"], int)


def test_a_tool_that_may_be_called_is_called_well_or_not_at_all(sdk, model):
    for seed in range(4):
        completion = sdk.chat.completions.create(
            model=model, messages=QUESTION, tools=[WEATHER], temperature=0.8, seed=seed,
            max_tokens=160)
        message = completion.choices[0].message
        assert message.content or message.tool_calls
        for call in message.tool_calls or []:
            check(call.function.name, call.function.arguments)


def test_a_call_streams_in_pieces(sdk, model):
    chunks = list(sdk.chat.completions.create(
        model=model, messages=QUESTION, tools=[WEATHER], tool_choice="required", temperature=1,
        seed=5, max_tokens=200, parallel_tool_calls=False, stream=True))
    pieces = [piece for chunk in chunks for piece in chunk.choices[0].delta.tool_calls or []]
    assert pieces[0].id and pieces[0].function.name == "get_weather"
    assert all(piece.id is None and piece.function.name is None for piece in pieces[1:])
    assert len(pieces) > 3
    check("get_weather", "".join(piece.function.arguments for piece in pieces))
    assert chunks[-1].choices[0].finish_reason == "tool_calls"
    with sdk.chat.completions.stream(
        model=model, messages=QUESTION, tools=[WEATHER], tool_choice="required", temperature=1,
        seed=5, max_tokens=200, parallel_tool_calls=False,
    ) as stream:
        completion = stream.get_final_completion()
    check("get_weather", completion.choices[0].message.tool_calls[0].function.arguments)


def test_a_result_goes_back_to_the_model(sdk, model):
    first = sdk.chat.completions.create(
        model=model, messages=QUESTION, tools=[WEATHER], tool_choice="required", temperature=0,
        max_tokens=160, parallel_tool_calls=False).choices[0].message
    second = sdk.chat.completions.create(
        model=model, tools=[WEATHER], tool_choice="none", temperature=0, max_tokens=40, messages=[
            *QUESTION, first, {"role": "tool", "tool_call_id": first.tool_calls[0].id,
                               "content": "22 degrees, sunny"}])
    assert second.choices[0].message.content
    assert second.choices[0].message.tool_calls is None


def test_log_probabilities_are_those_of_the_answer(sdk, model):
    completion = sdk.chat.completions.create(
        model=model, messages=QUESTION, temperature=0, max_tokens=12, logprobs=True,
        top_logprobs=3)
    choice = completion.choices[0]
    tokens = choice.logprobs.content
    assert len(tokens) >= completion.usage.completion_tokens - 1
    text = b"".join(bytes(token.bytes) for token in tokens).decode()
    assert text.startswith(choice.message.content)
    for token in tokens:
        assert token.logprob <= 0
        assert len(token.top_logprobs) == 3
        likely = [each.logprob for each in token.top_logprobs]
        assert likely == sorted(likely, reverse=True)
        # Without temperature the likeliest is taken.
        assert token.token == token.top_logprobs[0].token
        assert token.logprob == pytest.approx(likely[0], abs=1e-6)
    streamed = list(sdk.chat.completions.create(
        model=model, messages=QUESTION, temperature=0, max_tokens=12, logprobs=True, stream=True))
    told = [token for chunk in streamed if chunk.choices[0].logprobs
            for token in chunk.choices[0].logprobs.content]
    assert [token.token for token in told] == [token.token for token in tokens]


def test_several_choices_are_told_apart_and_the_prompt_counts_once(sdk, model):
    def ask(**options):
        return sdk.chat.completions.create(
            model=model, messages=QUESTION, temperature=1, top_p=1, seed=3, max_tokens=16, n=3,
            **options)

    completion = ask()
    texts = [choice.message.content for choice in completion.choices]
    assert [choice.index for choice in completion.choices] == [0, 1, 2]
    assert len(set(texts)) > 1
    one = sdk.chat.completions.create(
        model=model, messages=QUESTION, temperature=1, top_p=1, seed=4, max_tokens=16)
    # The second choice has the next seed.
    assert one.choices[0].message.content == texts[1]
    assert completion.usage.prompt_tokens == one.usage.prompt_tokens
    assert completion.usage.completion_tokens > one.usage.completion_tokens
    streamed = ["", "", ""]
    for chunk in ask(stream=True):
        streamed[chunk.choices[0].index] += chunk.choices[0].delta.content or ""
    assert streamed == texts
    with pytest.raises(openai.BadRequestError) as refused:
        sdk.chat.completions.create(model=model, messages=QUESTION, n=9)
    assert refused.value.param == "n"


def test_a_ban_and_a_must_by_bias(sdk, model):
    def ask(**options):
        return sdk.chat.completions.create(
            model=model, messages=QUESTION, temperature=0, max_tokens=8, logprobs=True, **options)

    usual = ask().choices[0]
    ids = [usual.logprobs.content[0].token]
    # Which token it is, the vocabulary says; trying the first thousands is too slow, so a must is
    # shown with a token that is known: 28 to 34 are letters in every byte-level vocabulary.
    forced = ask(logit_bias={"49": 100}).choices[0]
    assert len({token.token for token in forced.logprobs.content}) == 1
    assert forced.logprobs.content[0].token != ids[0]
    again = ask(logit_bias={"49": -100}).choices[0]
    assert forced.logprobs.content[0].token not in {
        token.token for token in again.logprobs.content}
    with pytest.raises(openai.BadRequestError) as refused:
        ask(logit_bias={"9999999": 1})
    assert refused.value.param == "logit_bias"


def test_penalties_end_a_repetition(sdk, model):
    def ask(**options):
        return sdk.chat.completions.create(
            model=model, temperature=0, max_tokens=40, logit_bias={"49": 30},
            messages=[{"role": "user", "content": "Say a letter."}], **options).choices[0]

    def letters(choice):
        text = choice.message.content
        return max(text.count(each) for each in set(text)) if text else 0

    assert letters(ask(frequency_penalty=2, presence_penalty=2)) < letters(ask())


def test_a_seed_repeats_and_a_stop_string_ends(sdk, model):
    def ask(**options):
        return sdk.chat.completions.create(
            model=model, messages=QUESTION, temperature=1, top_p=1, max_tokens=24,
            **options).choices[0].message.content

    assert ask(seed=11) == ask(seed=11)
    assert ask(seed=11) != ask(seed=12)
    text = ask(seed=11)
    stop = text[len(text) // 2:][:3]
    assert ask(seed=11, stop=[stop]) == text[:text.index(stop)]
