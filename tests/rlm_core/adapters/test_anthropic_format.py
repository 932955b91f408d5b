"""What is sent to the Messages API and how its replies are read."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rlm_core.adapters.anthropic_format import AnthropicFormat
from rlm_core.adapters.base import Usage
from rlm_core.adapters.reported import ReportedError
from tests.rlm_core.adapters.providers import anthropic_message

WIRE = AnthropicFormat()
TEXT: dict[str, object] = {"type": "text", "text": "so"}


def say(role: str, content: str) -> dict[str, str]:
    return {"role": role, "content": content}


def sent(*messages: dict[str, str]) -> dict[str, object]:
    return WIRE.payload(list(messages), 10, None, None)


def test_the_system_prompt_stands_apart() -> None:
    messages = [say("system", "Be brief."), say("developer", "Be kind."), say("user", "hi")]
    assert WIRE.payload(messages, 10, 0.5, "m") == {
        "system": "Be brief.\n\nBe kind.",
        "messages": [say("user", "hi")],
        "max_tokens": 10,
        "temperature": 0.5,
        "model": "m",
    }


def test_a_later_system_message_is_said_in_its_place() -> None:
    payload = sent(say("user", "hi"), say("assistant", "yes?"), say("system", "Hurry."))
    assert payload["messages"] == [
        say("user", "hi"),
        say("assistant", "yes?"),
        say("user", "Hurry."),
    ]
    assert "system" not in payload


def test_turns_alternate_and_none_is_blank() -> None:
    payload = sent(
        say("user", "a"), say("assistant", " "), say("user", "b"), say("assistant", "c  \n")
    )
    assert payload["messages"] == [say("user", "a\n\nb"), say("assistant", "c")]


def test_a_system_prompt_alone_is_asked_as_a_question() -> None:
    assert sent(say("system", "Say hello.")) == {
        "messages": [say("user", "Say hello.")],
        "max_tokens": 10,
    }


def test_the_callers_messages_are_not_touched() -> None:
    messages = [say("user", "a"), say("user", "b")]
    WIRE.payload(messages, 10, None, None)
    assert messages == [say("user", "a"), say("user", "b")]


def test_a_stream_is_asked_for() -> None:
    assert WIRE.streamed({"max_tokens": 1}) == {"max_tokens": 1, "stream": True}


def test_text_usage_and_model_are_read() -> None:
    reading = WIRE.read(anthropic_message(TEXT, TEXT, input_tokens=3, output_tokens=4))
    assert (reading.text, reading.usage, reading.model) == ("soso", Usage(3, 4, 7), "claude-test-4")


def test_what_the_cache_held_is_part_of_the_prompt() -> None:
    reading = WIRE.read(
        anthropic_message(
            TEXT,
            input_tokens=3,
            cache_creation_input_tokens=20,
            cache_read_input_tokens=100,
            output_tokens=4,
        )
    )
    assert reading.usage == Usage(123, 4, 127)
    assert reading.meta["usage_details"] == {"cached_tokens": 100, "cache_creation_tokens": 20}


def test_thoughts_are_counted_and_are_no_part_of_the_text() -> None:
    reading = WIRE.read(
        anthropic_message(
            {"type": "thinking", "thinking": "hm", "signature": "x"},
            {"type": "redacted_thinking", "data": "x"},
            TEXT,
            {"type": "tool_use", "id": "t", "name": "n", "input": {}},
        )
    )
    assert reading.text == "so"
    assert reading.meta["reasoning_present"] is True
    assert reading.meta["reasoning_blocks"] == 2
    assert reading.meta["content_blocks"] == [
        {"type": "thinking", "text_len": 0},
        {"type": "redacted_thinking", "text_len": 0},
        {"type": "text", "text_len": 2},
        {"type": "tool_use", "text_len": 0},
    ]
    assert WIRE.read(anthropic_message(TEXT)).meta["reasoning_present"] is False


@pytest.mark.parametrize(
    ("stop", "finish"),
    [
        ("end_turn", "stop"),
        ("stop_sequence", "stop"),
        ("max_tokens", "length"),
        ("model_context_window_exceeded", "length"),
        ("refusal", "content_filter"),
        ("new_reason", "new_reason"),
    ],
)
def test_why_it_ended_is_told_as_chat_servers_do(stop: str, finish: str) -> None:
    meta = WIRE.read(anthropic_message(TEXT, stop_reason=stop)).meta
    assert (meta["finish_reason"], meta["stop_reason"]) == (finish, stop)


def test_an_empty_reply_is_a_reply() -> None:
    reading = WIRE.read(anthropic_message(stop_reason="max_tokens", input_tokens=3))
    assert (reading.text, reading.meta["finish_reason"]) == ("", "length")


def test_usage_that_nobody_told_is_none() -> None:
    assert WIRE.read(anthropic_message(TEXT)).usage is None
    assert WIRE.read({"content": [TEXT], "usage": "many"}).usage is None


def test_an_error_in_the_place_of_a_reply_is_raised_as_such() -> None:
    error: dict[str, object] = {
        "type": "error",
        "error": {"type": "overloaded_error", "message": "Overloaded"},
    }
    with pytest.raises(ReportedError, match="Overloaded") as caught:
        WIRE.read(error)
    assert caught.value.reported.status == 529


@pytest.mark.parametrize(
    "data", [{}, {"content": "text"}, {"content": ["text"]}, {"content": [{"type": "text"}]}]
)
def test_a_reply_of_another_shape_is_refused(data: dict[str, object]) -> None:
    with pytest.raises(TypeError, match="content"):
        WIRE.read(data)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["content", "type", "text", "usage", "input_tokens", "stop_reason"]),
            inner,
            max_size=3,
        )
    ),
    max_leaves=12,
)


@given(JSON)
def test_any_json_is_read_or_refused_by_type(data: object) -> None:
    if isinstance(data, dict):
        try:
            reading = WIRE.read(data)
        except TypeError:
            return
        assert isinstance(reading.text, str)
