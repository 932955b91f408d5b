"""What is sent to a chat server and how its replies are read."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rlm_core.adapters.base import Usage
from rlm_core.adapters.chat_format import (
    ChatFormat,
    content_text,
    default_payload_builder,
    default_response_parser,
    reply_meta,
)
from rlm_core.adapters.reported import ReportedError, reported_in

MESSAGES = [{"role": "user", "content": "hi"}]
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["choices", "message", "content", "error", "usage", "text", "type"]),
            inner,
            max_size=3,
        )
    ),
    max_leaves=12,
)


def reply_with(content: object, **message: object) -> dict[str, object]:
    return {"choices": [{"message": {"content": content, **message}, "finish_reason": "stop"}]}


def test_the_payload_says_what_was_asked() -> None:
    assert default_payload_builder(MESSAGES, 10, 0.5, "m") == {
        "messages": MESSAGES,
        "max_tokens": 10,
        "temperature": 0.5,
        "model": "m",
    }


def test_model_and_temperature_are_left_out_when_unset() -> None:
    assert set(default_payload_builder(MESSAGES, 10, None, None)) == {"messages", "max_tokens"}


def test_text_and_usage_are_read() -> None:
    data = reply_with("hello") | {"usage": {"prompt_tokens": 2, "completion_tokens": 3}}
    assert default_response_parser(data) == ("hello", Usage(2, 3, 5))


@pytest.mark.parametrize("usage", [None, {}, "many", [], {"prompt_tokens": 0, "total_tokens": 0}])
def test_a_missing_or_strange_usage_is_none(usage: object) -> None:
    assert default_response_parser(reply_with("a") | {"usage": usage}) == ("a", None)


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (None, ""),
        ("plain", "plain"),
        ([{"type": "text", "text": "a"}, {"type": "text", "text": "b"}], "a\nb"),
        ([{"type": "x", "content": "c"}, "d", 5, {}], "c\nd"),
        ([{"type": "reasoning", "text": "hm"}, {"type": "text", "text": "so"}], "so"),
        ([{"type": "thinking", "text": "hm"}, {"type": "text", "text": "so"}], "so"),
        ([], ""),
    ],
)
def test_content_is_text_whatever_its_form(content: object, text: str) -> None:
    assert content_text(content) == text


@pytest.mark.parametrize("content", [5, {"text": "a"}, True])
def test_content_of_another_type_is_refused(content: object) -> None:
    with pytest.raises(TypeError, match=type(content).__name__):
        content_text(content)


@pytest.mark.parametrize(
    "data", [{}, {"choices": []}, {"choices": [5]}, {"choices": [{}]}, {"choices": "no"}]
)
def test_a_reply_of_another_shape_is_refused(data: dict[str, object]) -> None:
    with pytest.raises(TypeError, match="choices"):
        default_response_parser(data)
    assert reply_meta(data).get("finish_reason") is None


def test_meta_tells_how_the_reply_ended_and_what_it_was_made_of() -> None:
    content = [{"type": "reasoning", "text": "hm"}, {"type": "text", "text": "so"}]
    meta = reply_meta(reply_with(content))
    assert meta["finish_reason"] == "stop"
    assert meta["content_kind"] == "list"
    assert meta["reasoning_present"] is True
    assert meta["content_blocks"] == [
        {"type": "reasoning", "text_len": 0},
        {"type": "text", "text_len": 2},
    ]
    plain = reply_meta(reply_with("so"))
    assert (plain["content_kind"], plain["reasoning_present"]) == ("string", False)
    for key in ("reasoning", "reasoning_content", "reasoning_details", "thinking"):
        assert reply_meta(reply_with("so", **{key: "hm"}))["reasoning_present"] is True


def test_meta_tells_which_tokens_were_thoughts_and_which_were_cached() -> None:
    usage = {
        "prompt_tokens": 9,
        "completion_tokens": 5,
        "prompt_tokens_details": {"cached_tokens": 8, "audio_tokens": 0},
        "completion_tokens_details": {"reasoning_tokens": 4},
    }
    meta = reply_meta(reply_with("so") | {"usage": usage})
    assert meta["usage_details"] == {"reasoning_tokens": 4, "cached_tokens": 8}
    for strange in (
        5,
        {"prompt_tokens_details": 5},
        {"prompt_tokens_details": {"cached_tokens": "8"}},
    ):
        assert "usage_details" not in reply_meta(reply_with("so") | {"usage": strange})


def test_an_error_in_the_place_of_a_reply_is_raised_as_such() -> None:
    wire = ChatFormat(default_payload_builder, default_response_parser)
    with pytest.raises(ReportedError, match="no such model"):
        wire.read({"error": {"message": "no such model", "code": 404}})
    assert wire.read(reply_with("so") | {"error": None}).text == "so"


def test_a_stream_is_asked_for_with_its_usage() -> None:
    wire = ChatFormat(default_payload_builder, default_response_parser)
    asked = wire.payload(MESSAGES, 10, None, "m")
    assert wire.streamed(asked) == {
        **asked,
        "stream": True,
        "stream_options": {"include_usage": True},
    }


@given(JSON)
def test_any_json_is_read_or_refused_by_type(data: object) -> None:
    reported_in(data)
    if isinstance(data, dict):
        reply_meta(data)
        try:
            text, usage = default_response_parser(data)
        except TypeError:
            return
        assert isinstance(text, str)
        assert usage is None or usage.total_tokens >= 0
