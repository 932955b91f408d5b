from __future__ import annotations

import base64
import json
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rlm_core.chat_request import Asked, Straight
from rlm_core.serve.problem import BadRequest
from rlm_core.serve.request import read_request

SHORT = [{"role": "user", "content": "hi"}]


def read(**more: Any) -> Any:
    return read_request(json.dumps({"model": "m", "messages": SHORT, **more}).encode())


def refused(raw: bytes | dict[str, Any]) -> BadRequest:
    body = raw if isinstance(raw, bytes) else json.dumps({"model": "m", "messages": SHORT, **raw})
    with pytest.raises(BadRequest) as caught:
        read_request(body if isinstance(body, bytes) else body.encode()).chat(8000)
    return caught.value


def test_the_way_is_chosen_by_the_profile_and_by_the_request() -> None:
    assert isinstance(read().chat(8000), Straight)
    assert isinstance(read().chat(1), Asked)
    assert isinstance(read(rlm={"direct_below_chars": 5}).chat(1), Straight)
    assert isinstance(read(rlm={"mode": "rlm"}).chat(8000), Asked)


def test_what_steers_the_sampling_of_one_model_is_taken() -> None:
    taken = {"top_p": 0.5, "seed": 7, "user": "u", "metadata": {"a": "b"}, "logit_bias": {"5": 1}}
    assert read(**taken, tools=[], tool_choice="auto", n=1, reasoning_effort="low").model == "m"


def test_limits_of_the_answer_and_of_the_stream_are_read() -> None:
    request = read(max_tokens=5, stop="x", stream=True, stream_options={"include_usage": True})
    assert (request.most_tokens, request.stops) == (5, ("x",))
    assert request.streamed
    assert request.tells_usage
    assert read(max_tokens=5, max_completion_tokens=6).most_tokens == 6
    assert read(stop=["a", ""]).stops == ("a",)


def test_attached_text_files_and_text_parts_are_read() -> None:
    data = base64.b64encode(b"Ann built it.").decode()
    file = {"type": "file", "file": {"filename": "a.txt", "file_data": data}}
    parts = [{"type": "text", "text": "Who?"}, file]
    request = read(messages=[{"role": "user", "content": parts}], rlm={"mode": "rlm"})
    chat = request.chat(8000)
    assert isinstance(chat, Asked)
    assert chat.context.text == "Ann built it."
    assert chat.question.endswith("Who?")


@pytest.mark.parametrize(
    ("more", "param"),
    [
        ({"n": 2}, "n"),
        ({"tools": [{"type": "function"}]}, "tools"),
        ({"functions": [{"name": "f"}]}, "functions"),
        ({"logprobs": True}, "logprobs"),
        ({"top_logprobs": 3}, "top_logprobs"),
        ({"audio": {"voice": "x"}}, "modalities"),
        ({"modalities": ["text", "audio"]}, "modalities"),
        ({"web_search_options": {"a": 1}}, "web_search_options"),
        ({"temperature": 5}, "temperature"),
        ({"max_tokens": 0}, "max_tokens"),
        ({"stop": ["x"] * 100}, "stop"),
        ({"messages": []}, "messages"),
        ({"messages": [{"role": "wizard", "content": "x"}]}, "messages[0].role"),
        ({"messages": [{"role": "user", "content": 5}]}, "messages[0].content"),
        ({"messages": [{"role": "assistant", "content": "x"}]}, "messages[0]"),
        ({"rlm": {"max_stepz": 1}}, "rlm.max_stepz"),
        ({"rlm": {"max_steps": 0}}, "rlm"),
        ({"response_format": {"type": "xml"}}, "response_format.type"),
        ({"no_such_thing": 1}, "no_such_thing"),
    ],
)
def test_what_is_not_done_here_is_refused_with_its_place(more: dict[str, Any], param: str) -> None:
    assert refused(more).param == param


@pytest.mark.parametrize("kind", ["image_url", "input_audio", "video_url", "no_such_part"])
def test_images_and_sounds_are_refused_by_name(kind: str) -> None:
    parts = [{"type": "text", "text": "What is this?"}, {"type": kind, kind: {"url": "x"}}]
    problem = refused({"messages": [{"role": "user", "content": parts}]})
    assert problem.param == "messages[0].content[1]"
    assert "text" in problem.message


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"[]",
        b"null",
        b"\xff\xfe",
        b'{"model": "m"',
        b'{"model": "m", "temperature": NaN, "messages": []}',
        b'{"model": "m", "temperature": 1e999, "messages": []}',
        b'{"model": "m", "max_tokens": 1' + b"0" * 10_000 + b', "messages": []}',
        b'{"model": "m", "messages": [{"role": "user", "content": "\\ud800"}]}',
        b'{"model": "m", "messages": ' + b"[" * 100_000 + b"]" * 100_000 + b"}",
        b'{"model": "m", "tools": ' + b"[" * 100_000 + b"]" * 100_000 + b"}",
        b'{"model": "m", "messages": [' + b"[]," * 1_000_000 + b"[]]}",
    ],
)
def test_hostile_bytes_are_a_bad_request(raw: bytes) -> None:
    assert refused(raw).status == 400


def test_a_schema_that_cannot_be_checked_is_refused_before_anything_is_paid() -> None:
    def wanted(schema: object) -> dict[str, Any]:
        return {"response_format": {"type": "json_schema", "json_schema": {"schema": schema}}}

    assert read(**wanted({"type": "object"})).schema == {"type": "object"}
    assert read(response_format={"type": "json_object"}).schema == {"type": "object"}
    assert read(response_format={"type": "text"}).schema is None
    at = "response_format.json_schema.schema"
    for schema in ({"pattern": "(a+)+$"}, {"$ref": "http://x"}, None, 5, {"title": "x" * 200_000}):
        assert refused(wanted(schema)).param == at
    deep: dict[str, object] = {}
    for _ in range(500):
        deep = {"items": deep}
    assert refused(wanted(deep)).param == at
    assert refused({"response_format": {"type": "json_schema"}}).param == at


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=10,
)
_NAMES = st.sampled_from(
    ["model", "messages", "rlm", "stream", "stop", "n", "response_format", "max_tokens", "tools"]
)


@settings(max_examples=150, deadline=None)
@given(st.dictionaries(_NAMES, _JSON, max_size=5))
def test_whatever_is_sent_is_read_or_is_a_bad_request(more: dict[str, Any]) -> None:
    body = {"model": "m", "messages": SHORT, **more}
    with suppress(BadRequest):
        read_request(json.dumps(body).encode()).chat(8000)
