"""A text is decoded once, straight from the file that was handed over."""

from __future__ import annotations

import os

import pytest
from hypothesis import given

from rlm_sandbox.host.texts import file_of
from rlm_sandbox.worker.texts import read_text
from tests.rlm_sandbox.host.test_texts import ANY_TEXT


@given(ANY_TEXT)
def test_what_was_handed_over_is_read(text: str) -> None:
    assert read_text(*file_of(text)) == text


def test_the_descriptor_is_closed_whatever_happens() -> None:
    descriptor, size = file_of("text")
    with pytest.raises(ValueError, match="greater than file size"):
        read_text(descriptor, size + 10_000)
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(descriptor)
