"""A text arrives as it was, without being there twice."""

from __future__ import annotations

import os
import tracemalloc
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rlm_sandbox import ControllerExhausted
from rlm_sandbox.host import texts
from rlm_sandbox.host.texts import Texts, file_of

ANY_TEXT = st.text(st.characters(codec=None), max_size=40)


@given(ANY_TEXT)
def test_the_file_holds_the_text_in_utf8(text: str) -> None:
    descriptor, size = file_of(text)
    try:
        data = os.pread(descriptor, size + 1, 0)
        assert len(data) == size
        assert data.decode("utf-8", "surrogatepass") == text
    finally:
        os.close(descriptor)


def test_a_long_text_is_not_there_twice_on_its_way() -> None:
    text = "\u00e4" * 20_000_000
    tracemalloc.start()
    try:
        descriptor, size = file_of(text)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    os.close(descriptor)
    assert size == 40_000_000
    assert peak < 4_000_000


def test_what_cannot_be_handed_over_leaves_no_descriptor(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_descriptor: int, _data: bytes) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(texts, "_write_all", refuse)
    before = list(Path("/proc/self/fd").iterdir())
    with pytest.raises(ControllerExhausted, match="No space left"):
        file_of("text")
    assert len(list(Path("/proc/self/fd").iterdir())) == len(before)


def test_what_is_taken_back_holds_nothing_for_those_who_have_it_still() -> None:
    descriptor, size = file_of("x" * 10_000)
    kept = os.dup(descriptor)
    try:
        with pytest.raises(PermissionError):
            os.pwrite(kept, b"y", size)
        texts.take_back(descriptor)
        assert os.fstat(kept).st_blocks == 0
        with pytest.raises(PermissionError):
            os.ftruncate(kept, size)
    finally:
        os.close(kept)


def test_texts_are_equal_to_none_but_themselves() -> None:
    one, other = Texts({"P": "text"}), Texts({"P": "text"})
    assert one != other
    assert one == one
    assert len({one, other}) == 2
    assert dict(one.items()) == {"P": "text"}
    assert (one.get("P"), one.get("Q")) == ("text", None)
