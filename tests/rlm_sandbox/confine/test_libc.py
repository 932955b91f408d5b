"""Calls that `os` lacks: their errors are OSErrors that name the call."""

from __future__ import annotations

import errno

import pytest

from rlm_sandbox.confine import libc

PR_GET_DUMPABLE = 3


def test_a_call_gives_its_result() -> None:
    assert libc.prctl(PR_GET_DUMPABLE) in {0, 1, 2}


def test_a_call_that_fails_is_an_error_with_the_calls_name() -> None:
    with pytest.raises(OSError, match=r"prctl\(99999") as caught:
        libc.prctl(99_999)
    assert caught.value.errno == errno.EINVAL
