from __future__ import annotations

import json
from pathlib import Path

import pytest

from rlm_core.adapters.base import ModelResponse, Usage
from rlm_core.context import Context
from rlm_core.errors import TraceError
from rlm_core.recording import RecordedReply, Recording, failure
from rlm_core.rlm import RLM
from tests.rlm_core.models import Answering, Scripted

TEXT = Context.from_text("text")


def recorded(tmp_path: Path) -> Path:
    path = tmp_path / "run.jsonl"
    root = Scripted("x = llm_query('a')", ModelResponse("FINAL_VAR: x", Usage(5, 2, 7), "m-1"))
    RLM(root, subcall_adapter=Answering(), cache_dir=tmp_path, trace_path=path).run("Q?", TEXT)
    return path


def test_everything_that_was_answered_is_read_back_whole(tmp_path: Path) -> None:
    recording = Recording.read(recorded(tmp_path))
    said = {reply.text for replies in recording.replies.values() for reply in replies}
    assert said == {"x = llm_query('a')", "A", "FINAL_VAR: x"}
    (last,) = recording.replies["root#2"]
    assert (last.usage, last.model) == (Usage(5, 2, 7), "m-1")
    assert [step.kind for step in recording.trace.steps] == [
        "root_call",
        "subcall",
        "repl_exec",
        "root_call",
    ]
    assert recording.finish is not None
    assert recording.finish["answer"] == "A"
    assert recording.sessions[0]["isolation"] in {"full", "standard", "none"}


def test_the_head_says_what_was_run_and_under_which_limits(tmp_path: Path) -> None:
    header = Recording.read(recorded(tmp_path)).header
    assert header["query"] == "Q?"
    assert header["limits"]["memory"] == 1 << 30  # ty: ignore[not-subscriptable]
    assert header["prompts"].keys() == {"system", "subcall", "recursive"}  # ty: ignore[missing-attribute]
    assert isinstance(header["seed"], int)


def test_a_run_that_was_cut_off_in_the_middle_of_a_line_is_read_as_far_as_it_goes(
    tmp_path: Path,
) -> None:
    path = recorded(tmp_path)
    path.write_bytes(path.read_bytes()[:-20])
    recording = Recording.read(path)
    assert recording.finish is None
    assert len(recording.trace.steps) == 4


def test_a_failed_call_is_recorded_and_fails_again(tmp_path: Path) -> None:
    def answer(_: str) -> str:
        raise LookupError("no luck")

    path = tmp_path / "run.jsonl"
    root = Scripted("x = llm_batch(['a', 'b'])[0]\nFINAL_VAR: x")
    rlm = RLM(root, subcall_adapter=Answering(answer), cache_dir=tmp_path, trace_path=path)
    rlm.run("Q?", TEXT)
    replies = [each[0] for each in Recording.read(path).replies.values()]
    failed = [reply for reply in replies if reply.error is not None]
    assert [(reply.error, reply.text) for reply in failed] == [("LookupError", "no luck")] * 2
    with pytest.raises(Exception, match="no luck") as raised:
        failed[0].response()
    assert type(raised.value).__name__ == "LookupError"
    assert type(failure("Odd", "x")).__name__ == "Odd"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "can only be shown"),
        ("nonsense", "is no trace"),
        ('{"kind": "root_call"}\n', "can only be shown"),
        ('{"kind": "run_started", "format": 99}\n', "another version"),
    ],
)
def test_what_cannot_be_run_again_is_refused(tmp_path: Path, text: str, told: str) -> None:
    (tmp_path / "t").write_text(text)
    with pytest.raises(TraceError, match=told):
        Recording.read(tmp_path / "t")
    with pytest.raises(TraceError, match="cannot read"):
        Recording.read(tmp_path / "missing")


def test_a_reply_survives_its_record() -> None:
    reply = RecordedReply("x", Usage(1, 2, 3), "m", finish_reason="stop", asked="d", cached=True)
    record = json.loads(json.dumps(reply.to_record("k")))
    assert (record["kind"], record["key"], record["text"]) == ("reply", "k", "x")
    assert reply.response().meta == {"finish_reason": "stop"}
