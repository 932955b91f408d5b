from __future__ import annotations

import json

from rlm_core.serve.answer import Answer, Spent
from rlm_core.serve.problem import NoAnswer
from rlm_core.serve.reply import DELTA_CHARS, Envelope, comment, event, failure

ENVELOPE = Envelope("1", "fast", 5)


def answer(text: str) -> Answer:
    return Answer(text, "stop", Spent(), "recursive", 1.0, "final", "full")


def test_the_pieces_of_a_stream_are_the_whole_answer() -> None:
    text = "x" * (2 * DELTA_CHARS + 5)
    chunks = list(ENVELOPE.chunks(answer(text), tells_usage=False))
    pieces = [chunk["choices"][0]["delta"].get("content", "") for chunk in chunks]
    assert "".join(pieces) == text
    assert max(map(len, pieces)) <= DELTA_CHARS
    assert chunks[-1]["choices"][0]["finish_reason"] == "stop"
    assert chunks[-1]["rlm"]["isolation"] == "full"


def test_usage_comes_last_and_is_null_before() -> None:
    *chunks, last = ENVELOPE.chunks(answer("x"), tells_usage=True)
    assert all(chunk["usage"] is None for chunk in chunks)
    assert last["choices"] == []
    assert last["usage"]["total_tokens"] == 0


def test_an_event_is_one_line_of_json() -> None:
    line = event({"text": "two\nlines"})
    assert line.endswith(b"\n\n")
    assert line.count(b"\n") == 2
    assert json.loads(line.removeprefix(b"data: ")) == {"text": "two\nlines"}


def test_a_comment_cannot_become_an_event() -> None:
    assert comment("a\n\ndata: x\r\ny") == b": a data: x y\n\n"


def test_a_failure_within_a_stream_is_an_error_event() -> None:
    assert json.loads(failure(NoAnswer("no")).removeprefix(b"data: "))["error"]["message"] == "no"
