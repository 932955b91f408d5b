"""Every wire format reads a stream as it reads the same reply whole."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

from hypothesis import given
from hypothesis import strategies as st

from rlm_core.adapters.anthropic_format import AnthropicFormat
from rlm_core.adapters.base import Usage
from rlm_core.adapters.chat_format import (
    ChatFormat,
    default_payload_builder,
    default_response_parser,
)
from rlm_core.adapters.event_stream import EventDecoder
from tests.rlm_core.adapters.chat_server import events
from tests.rlm_core.adapters.providers import anthropic_events, anthropic_message, chunks

if TYPE_CHECKING:
    from rlm_core.adapters.wire import Reading, WireFormat

CHAT: WireFormat = ChatFormat(default_payload_builder, default_response_parser)
ANTHROPIC: WireFormat = AnthropicFormat()
TEXTS = st.lists(st.text(st.characters(codec="utf-8"), max_size=6), max_size=4)


def from_stream(wire: WireFormat, content: bytes, cuts: list[int]) -> Reading:
    decoder, assembler = EventDecoder(), wire.assembler()
    places = [0, *sorted(cut % (len(content) + 1) for cut in cuts), len(content)]
    ended = [
        assembler.feed(event)
        for start, end in pairwise(places)
        for event in decoder.feed(content[start:end])
    ]
    assert assembler.complete
    assert ended[-1]
    assert not any(ended[:-1])
    return wire.read(assembler.reply())


@given(TEXTS, st.lists(st.integers(0, 10_000), max_size=5))
def test_a_chat_reads_the_same(texts: list[str], cuts: list[int]) -> None:
    usage = {"prompt_tokens": 4, "completion_tokens": 2, "total_tokens": 6}
    stream = b"".join((*chunks(*texts, usage=usage), *events("[DONE]")))
    message = {"role": "assistant", "content": "".join(texts)}
    whole: dict[str, object] = {
        "model": "streamer",
        "choices": [{"message": message, "finish_reason": "stop"}],
        "usage": usage,
    }
    assert from_stream(CHAT, stream, cuts) == CHAT.read(whole)


@given(TEXTS, st.lists(st.integers(0, 10_000), max_size=5))
def test_a_message_of_anthropics_reads_the_same(texts: list[str], cuts: list[int]) -> None:
    stream = b"".join(anthropic_events(*texts, thought="hm"))
    whole = anthropic_message(
        {"type": "thinking", "thinking": "hm"},
        {"type": "text", "text": "".join(texts)},
        input_tokens=11,
        cache_read_input_tokens=100,
        output_tokens=15,
    )
    reading = from_stream(ANTHROPIC, stream, cuts)
    assert reading == ANTHROPIC.read(whole)
    assert reading.usage == Usage(111, 15, 126)
