"""However a stream is cut, the same frames come out of it; no length above the cap is believed."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rlm_sandbox.framing import FrameBuffer, FrameTooLarge, frame


def drain(buffer: FrameBuffer) -> list[bytes]:
    found = []
    while (payload := buffer.next_frame()) is not None:
        found.append(payload)
    return found


@given(payloads=st.lists(st.binary(max_size=300)), cuts=st.lists(st.integers(1, 50), min_size=1))
def test_frames_come_out_as_they_went_in_however_the_stream_is_cut(
    payloads: list[bytes], cuts: list[int]
) -> None:
    stream = b"".join(map(frame, payloads))
    buffer, found, at = FrameBuffer(cap=300), [], 0
    while at < len(stream):
        size = cuts[at % len(cuts)]
        buffer.feed(stream[at : at + size])
        found += drain(buffer)
        at += size
    assert found == payloads
    assert buffer.empty


@given(payloads=st.lists(st.binary(max_size=300)), cuts=st.lists(st.integers(1, 50), min_size=1))
def test_taking_is_feeding_and_looking_for_the_next_frame(
    payloads: list[bytes], cuts: list[int]
) -> None:
    stream = b"".join(map(frame, payloads))
    chunks, at = [*map(frame, payloads)], 0
    while at < len(stream):
        size = cuts[at % len(cuts)]
        chunks.append(stream[at : at + size])
        at += size
    buffer, found = FrameBuffer(cap=300), []
    for chunk in chunks:
        first = buffer.take(chunk)
        if first is not None:
            found += [first, *drain(buffer)]
    assert found == payloads + payloads


def test_taking_believes_no_length_above_the_cap() -> None:
    buffer = FrameBuffer(cap=10)
    with pytest.raises(FrameTooLarge):
        buffer.take(frame(b"x" * 11))


@given(st.lists(st.binary(max_size=400)))
def test_any_bytes_give_frames_within_the_cap_or_are_refused(chunks: list[bytes]) -> None:
    buffer = FrameBuffer(cap=100)
    try:
        for chunk in chunks:
            buffer.feed(chunk)
            assert all(len(payload) <= 100 for payload in drain(buffer))
    except FrameTooLarge:
        assert not buffer.empty


def test_a_length_above_the_cap_is_refused_before_its_bytes_are_there() -> None:
    buffer = FrameBuffer(cap=100)
    buffer.feed((101).to_bytes(4, "big"))
    with pytest.raises(FrameTooLarge, match=r"101 bytes; at most 100"):
        buffer.next_frame()


def test_a_frame_of_exactly_the_cap_is_taken() -> None:
    buffer = FrameBuffer(cap=100)
    buffer.feed(frame(b"x" * 100))
    assert drain(buffer) == [b"x" * 100]


def test_it_says_how_many_bytes_are_missing_once_the_length_is_known() -> None:
    buffer = FrameBuffer(cap=100)
    assert buffer.wanted == 0
    buffer.feed(frame(b"abcdef")[:6])
    assert buffer.wanted == 4
