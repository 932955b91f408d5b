"""Server-sent events come out the same wherever the network cuts them."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from rlm_core.adapters.event_stream import EventDecoder, ServerEvent, looks_like_events

STREAM = (
    "\ufeffdata: one\n\n"
    ": a comment\n\n"
    "event: named\r\ndata: two\r\ndata:2\r\n\r\n"
    "id: 7\rretry: 5\rdata: caf\u00e9 \U0001f600\u2028\r\r"
    "event: without data\n\n"
    "data\n\n"
    "data: last"
).encode()
EVENTS = [
    ServerEvent("", "one"),
    ServerEvent("named", "two\n2"),
    ServerEvent("", "caf\u00e9 \U0001f600\u2028"),
    ServerEvent("", "last"),
]


def decoded(*chunks: bytes) -> list[ServerEvent]:
    decoder = EventDecoder()
    found = [event for chunk in chunks for event in decoder.feed(chunk)]
    return [*found, *decoder.end()]


def test_events_are_read() -> None:
    assert decoded(STREAM) == EVENTS


def test_an_event_comes_out_as_soon_as_it_is_whole() -> None:
    decoder = EventDecoder()
    assert list(decoder.feed(b"data: a\n")) == []
    assert list(decoder.feed(b"\ndata: b")) == [ServerEvent("", "a")]
    assert list(decoder.end()) == [ServerEvent("", "b")]


@given(st.lists(st.integers(0, len(STREAM)), max_size=8))
def test_where_the_network_cuts_makes_no_difference(cuts: list[int]) -> None:
    places = [0, *sorted(cuts), len(STREAM)]
    assert decoded(*(STREAM[start:end] for start, end in pairwise(places))) == EVENTS


def test_each_byte_may_come_by_itself() -> None:
    assert decoded(*(STREAM[index : index + 1] for index in range(len(STREAM)))) == EVENTS


@given(st.binary(max_size=200))
def test_any_bytes_are_read_without_failing(content: bytes) -> None:
    assert all(event.data for event in decoded(content))


def test_a_stream_is_known_by_how_it_begins() -> None:
    for start in (b"data: {}", b"\r\nevent: x", b": ping", b"\xef\xbb\xbfid: 1"):
        assert looks_like_events(start)
    for start in (b"", b'{"data": 1}', b"[1]", b"<html>", b"no data: here"):
        assert not looks_like_events(start)
