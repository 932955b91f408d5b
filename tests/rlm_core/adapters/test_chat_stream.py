"""A streamed chat completion reads as the same one unstreamed."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rlm_core.adapters.chat_stream import ChatAssembler
from rlm_core.adapters.event_stream import ServerEvent
from rlm_core.adapters.reported import ReportedError


def assembled(*data: object) -> ChatAssembler:
    assembler = ChatAssembler()
    for item in data:
        text = item if isinstance(item, str) else json.dumps(item)
        assembler.feed(ServerEvent("", text))
    return assembler


def delta(finish: str | None = None, **fields: object) -> dict[str, object]:
    return {"model": "m", "choices": [{"index": 0, "delta": fields, "finish_reason": finish}]}


def test_pieces_of_text_are_joined_and_the_last_usage_counts() -> None:
    assembler = assembled(
        {"choices": [], "prompt_filter_results": []},  # Azure begins so
        delta(role="assistant", content=""),
        delta(content="a b") | {"usage": {"total_tokens": 1}},
        delta(content=" c"),
        delta("length"),
        {"model": "m", "choices": [], "usage": {"total_tokens": 7}},
    )
    assert assembler.complete
    assert assembler.reply() == {
        "model": "m",
        "choices": [
            {"message": {"role": "assistant", "content": "a b c"}, "finish_reason": "length"}
        ],
        "usage": {"total_tokens": 7},
    }


def test_thoughts_are_kept_apart() -> None:
    reply = assembled(
        delta(reasoning_content="hm"),
        delta(reasoning=", so"),
        delta(content=[{"type": "thinking", "thinking": [{"type": "text", "text": "deep"}]}]),
        delta("stop", content=[{"type": "text", "text": "yes"}]),
    ).reply()
    assert reply["choices"] == [
        {
            "message": {
                "role": "assistant",
                "content": [
                    {"type": "thinking", "thinking": [{"type": "text", "text": "deep"}]},
                    {"type": "text", "text": "yes"},
                ],
                "reasoning_content": "hm, so",
            },
            "finish_reason": "stop",
        }
    ]


def test_only_the_first_of_several_choices_is_kept() -> None:
    other = {"choices": [{"index": 1, "delta": {"content": "no"}, "finish_reason": "stop"}]}
    assembler = assembled(delta(content="yes"), other)
    assert not assembler.complete
    assert "no" not in str(assembler.reply())


def test_a_reply_may_come_whole_in_one_event() -> None:
    message = {"role": "assistant", "content": "all at once"}
    assembler = assembled({"choices": [{"message": message, "finish_reason": "stop"}]})
    assert assembler.complete
    assert "all at once" in str(assembler.reply())


def test_the_last_event_is_known() -> None:
    assembler = ChatAssembler()
    assert not assembler.feed(ServerEvent("", json.dumps(delta("stop"))))
    assert assembler.feed(ServerEvent("", " [DONE]"))


def test_a_stream_without_a_choice_is_a_reply_without_one() -> None:
    assert assembled("[DONE]").reply() == {"choices": []}


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("", {"error": {"message": "busy", "code": 503}}),
        ("error", {"message": "busy", "code": 503}),
    ],
)
def test_an_error_in_the_stream_is_raised(name: str, data: object) -> None:
    with pytest.raises(ReportedError, match="busy") as caught:
        ChatAssembler().feed(ServerEvent(name, json.dumps(data)))
    assert caught.value.reported.status == 503


@pytest.mark.parametrize("data", ["[1]", "5", '"text"', "{broken"])
def test_what_is_no_chunk_is_refused(data: str) -> None:
    with pytest.raises((TypeError, ValueError)):
        ChatAssembler().feed(ServerEvent("", data))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=4),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["choices", "delta", "content", "index", "usage", "text", "type"]),
            inner,
            max_size=3,
        )
    ),
    max_leaves=12,
)


@given(st.lists(JSON, max_size=4))
def test_any_chunks_are_put_together_or_refused(chunks: list[object]) -> None:
    assembler = ChatAssembler()
    for chunk in chunks:
        try:
            assembler.feed(ServerEvent("", json.dumps(chunk)))
        except (TypeError, ValueError):
            return
    json.dumps(assembler.reply())
