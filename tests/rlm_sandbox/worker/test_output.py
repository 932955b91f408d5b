"""Prints are kept up to the limit, leave in small parts, and never between steps."""

from __future__ import annotations

import threading

import pytest

from rlm_sandbox.protocol import ENVELOPE_BYTES, Output, encode
from rlm_sandbox.worker.output import FLUSH_CHARS, CapturedOutput, OutputLimitReached


class Recorded:
    """What a CapturedOutput has sent."""

    def __init__(self, limit: int) -> None:
        self.sent: list[str] = []
        self.output = CapturedOutput(limit, self.sent.append)
        self.output.begin_step()

    def everything(self) -> str:
        rest, _ = self.output.end_step()
        return "".join(self.sent) + rest


def test_little_is_held_until_the_step_ends() -> None:
    recorded = Recorded(limit=100)
    recorded.output.write("some")
    recorded.output.write("thing")
    assert recorded.sent == []
    assert recorded.output.end_step() == ("something", False)


def test_much_is_sent_as_it_comes() -> None:
    recorded = Recorded(limit=100_000)
    recorded.output.write("x" * (FLUSH_CHARS - 1))
    assert recorded.sent == []
    recorded.output.write("yz")
    assert recorded.sent == ["x" * (FLUSH_CHARS - 1) + "yz"]


def test_what_is_beyond_the_limit_is_dropped_and_told() -> None:
    recorded = Recorded(limit=10)
    for _ in range(3):
        assert recorded.output.write("12345") == 5
    assert recorded.output.end_step() == ("1234512345", True)


def test_each_step_has_its_own_allowance() -> None:
    recorded = Recorded(limit=5)
    recorded.output.write("1234567")
    recorded.output.end_step()
    recorded.output.begin_step()
    recorded.output.write("abcde")
    assert recorded.output.end_step() == ("abcde", False)


@pytest.mark.parametrize("text", ["x", "é", "\U0001f40d", "\ud800"], ids=ascii)
def test_no_part_is_larger_than_a_frame_may_be(text: str) -> None:
    recorded = Recorded(limit=1_000_000)
    recorded.output.write(text * 100_000)
    whole = (text * 100_000).encode("utf-8", "backslashreplace").decode()
    assert recorded.everything() == whole
    assert max(len(encode(Output(part))) for part in recorded.sent) < ENVELOPE_BYTES


def test_nothing_is_sent_between_steps_but_with_the_next_one() -> None:
    recorded = Recorded(limit=100_000)
    recorded.output.end_step()
    recorded.output.write("late" * FLUSH_CHARS)
    assert recorded.sent == []
    recorded.output.begin_step()
    assert recorded.everything() == "late" * FLUSH_CHARS


def test_printing_without_end_is_stopped() -> None:
    recorded = Recorded(limit=10)
    for _ in range(100):
        recorded.output.write("x" * 10_000)
    with pytest.raises(OutputLimitReached):
        recorded.output.write("x" * 10_000)


def test_a_bare_except_does_not_swallow_the_stop() -> None:
    assert not issubclass(OutputLimitReached, Exception)


def test_threads_that_print_at_once_lose_nothing() -> None:
    recorded = Recorded(limit=10_000_000)

    def chat(letter: str) -> None:
        for _ in range(2_000):
            recorded.output.write(letter * 7)

    threads = [threading.Thread(target=chat, args=(letter,)) for letter in "abcd"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    text = recorded.everything()
    assert {letter: text.count(letter) for letter in "abcd"} == dict.fromkeys("abcd", 14_000)


def test_only_text_can_be_written() -> None:
    with pytest.raises(TypeError, match="must be str, not bytes"):
        Recorded(limit=10).output.write(b"x")  # ty: ignore[invalid-argument-type]


def test_a_thread_that_was_printing_when_a_checkpoint_was_taken_stops_nobody() -> None:
    recorded = Recorded(limit=100)
    holding, leave = threading.Event(), threading.Event()

    def hold() -> None:
        with recorded.output._lock:  # as a thread does that the fork has left behind
            holding.set()
            leave.wait()

    thread = threading.Thread(target=hold)
    thread.start()
    holding.wait()
    try:
        recorded.output.reopen()
        assert recorded.output.write("free") == 4
    finally:
        leave.set()
        thread.join()
