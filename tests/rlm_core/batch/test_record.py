from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rlm_core.batch.outcome import NOTHING, TaskError
from rlm_core.batch.record import HEAD, Record, may_be_torn, read_line
from rlm_core.run import RunUsage

RECORD = Record(
    custom_id="a",
    status="answered",
    answer="Ann",
    error=None,
    usage=RunUsage(10, 5, 15, 2, 3, 1.23456, 0.5),
    isolation="full",
    trace="traces/a.jsonl",
    ending="final",
    attempts=1,
)


def test_a_line_has_all_that_was_promised() -> None:
    assert json.loads(RECORD.to_line()) == {
        "custom_id": "a",
        "status": "answered",
        "answer": "Ann",
        "error": None,
        "usage": {
            "prompt_tokens": 10,
            "completion_tokens": 5,
            "total_tokens": 15,
            "subcalls": 2,
        },
        "cost": 0.5,
        "steps": 3,
        "seconds": 1.235,
        "isolation": "full",
        "trace": "traces/a.jsonl",
        "ending": "final",
        "attempts": 1,
    }


@settings(max_examples=50)
@given(name=st.text(), answer=st.none() | st.text(), told=st.text())
def test_any_text_is_one_line_that_can_be_read_again(
    name: str, answer: str | None, told: str
) -> None:
    record = Record(
        name, "failed", answer, TaskError("E", told), NOTHING, None, None, None, attempts=2
    )
    line = record.to_line()
    assert line.isascii()
    assert line.count(b"\n") == 1
    assert line.startswith(HEAD)
    read = read_line(line)
    assert read is not None
    assert (read.custom_id, read.answer) == (name, answer)


def test_half_surrogate_pairs_do_not_get_into_the_file() -> None:
    record = Record("a", "answered", "x\ud800y", None, NOTHING, None, None, None, attempts=1)
    assert json.loads(record.to_line())["answer"] == "x?y"


@pytest.mark.parametrize("line", [b"", b"{}", b"[1]", b"nonsense", b"\0\0", b"[" * 100_000])
def test_what_is_no_result_is_none(line: bytes) -> None:
    assert read_line(line) is None


@settings(max_examples=30)
@given(length=st.integers(1, 200))
def test_every_beginning_of_a_line_may_be_torn(length: int) -> None:
    assert may_be_torn(RECORD.to_line()[:length])


@pytest.mark.parametrize("rest", [b"Dear diary", b"{}", b'{"id": 3', b"PK\x03\x04\0\0"])
def test_what_is_not_ours_is_not_taken_for_torn(rest: bytes) -> None:
    assert not may_be_torn(rest)


def test_zeros_are_what_a_lost_power_supply_leaves() -> None:
    assert may_be_torn(b"\0" * 100)
