"""A streamed message reads as the same one unstreamed."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rlm_core.adapters.anthropic_stream import MessageAssembler
from rlm_core.adapters.event_stream import EventDecoder, ServerEvent
from rlm_core.adapters.reported import ReportedError
from tests.rlm_core.adapters.chat_server import events
from tests.rlm_core.adapters.providers import CLAUDE, anthropic_events


def assembled(*pieces: bytes) -> MessageAssembler:
    decoder = EventDecoder()
    assembler = MessageAssembler()
    for event in decoder.feed(b"".join(pieces)):
        assembler.feed(event)
    return assembler


def test_blocks_are_put_together_and_the_last_counts_count() -> None:
    assembler = assembled(*anthropic_events("so ", "it is", thought="hm", stop_reason="max_tokens"))
    assert assembler.complete
    assert assembler.reply() == {
        "id": "msg_01",
        "type": "message",
        "role": "assistant",
        "model": CLAUDE,
        "content": [
            {"type": "thinking", "thinking": "hm", "signature": ""},
            {"type": "text", "text": "so it is"},
        ],
        "stop_reason": "max_tokens",
        "stop_sequence": None,
        "usage": {"input_tokens": 11, "cache_read_input_tokens": 100, "output_tokens": 15},
    }


def test_a_thought_never_becomes_text() -> None:
    begin = {"type": "content_block_start", "index": 0, "content_block": {"type": "text"}}
    delta = {"type": "thinking_delta", "thinking": "FINAL: no"}
    astray = {"type": "content_block_delta", "index": 0, "delta": delta}
    stream = (*anthropic_events("x")[:1], *events(begin, astray))
    assert assembled(*stream).reply()["content"] == [{"type": "text", "text": ""}]


def test_the_last_event_is_known() -> None:
    *most, last = anthropic_events("x")
    assembler = assembled(*most)
    (event,) = EventDecoder().feed(last)
    assert assembler.feed(event)


def test_a_message_is_not_complete_before_it_says_why_it_ended() -> None:
    *_, ended, _ = pieces = anthropic_events("x")
    assert not assembled(*pieces[: pieces.index(ended)]).complete
    assert assembled(*pieces[: pieces.index(ended) + 1]).complete


def test_an_event_that_nobody_knows_is_passed_over() -> None:
    assembler = MessageAssembler()
    assert not assembler.feed(ServerEvent("news", '{"type": "news"}'))
    assert assembler.reply() == {}


def test_an_error_in_the_stream_is_raised() -> None:
    error = {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}
    with pytest.raises(ReportedError, match="Overloaded") as caught:
        MessageAssembler().feed(ServerEvent("error", json.dumps(error)))
    assert caught.value.reported.status == 529


@pytest.mark.parametrize(
    "data",
    [
        "[1]",
        "{broken",
        '{"type": "message_start"}',
        '{"type": "content_block_start", "index": 0}',
        '{"type": "content_block_delta", "delta": {}}',
        '{"type": "content_block_delta", "index": "0", "delta": {}}',
    ],
)
def test_what_is_no_event_of_a_message_is_refused(data: str) -> None:
    with pytest.raises((TypeError, ValueError)):
        MessageAssembler().feed(ServerEvent("", data))


EVENT = st.fixed_dictionaries(
    {"type": st.sampled_from(["message_start", "content_block_start", "content_block_delta"])},
    optional={
        "index": st.integers(-1, 2) | st.text(max_size=2),
        "message": st.dictionaries(st.sampled_from(["usage", "model"]), st.integers()),
        "content_block": st.dictionaries(st.sampled_from(["type", "text"]), st.text(max_size=4)),
        "delta": st.dictionaries(
            st.sampled_from(["type", "text"]), st.sampled_from(["text_delta", "text", "x"])
        ),
    },
)


@given(st.lists(EVENT, max_size=5))
def test_any_events_are_put_together_or_refused(events: list[dict[str, object]]) -> None:
    assembler = MessageAssembler()
    for event in events:
        try:
            assembler.feed(ServerEvent("", json.dumps(event)))
        except TypeError:
            return
    json.dumps(assembler.reply())
