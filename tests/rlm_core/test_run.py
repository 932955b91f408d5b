"""A run that was cut off is continued: what was answered is not paid for again."""

from __future__ import annotations

import errno
import json
from pathlib import Path
from typing import Any

import pytest

from rlm_core.context import Context
from rlm_core.errors import TraceError
from rlm_core.policy import Policy, Used
from rlm_core.recording import Recording
from rlm_core.replay import replay
from rlm_core.rlm import RLM
from rlm_core.run import RunUsage
from rlm_core.trace_file import TraceFile
from tests.rlm_core.models import Answering, Scripted

TEXT = Context.from_text("text")
CELL = "x = llm_batch(['a', 'b', 'c', 'd'])\nprint(x)"


def rlm(tmp_path: Path, root: Any, sub: Any, **options: Any) -> RLM:
    return RLM(root, subcall_adapter=sub, cache_dir=tmp_path / "cache", **options)


def broken_off(tmp_path: Path) -> Path:
    """The server went away after two of four subcalls."""
    path = tmp_path / "run.jsonl"

    class Gone(BaseException):
        """Power failure."""

    calls: list[str] = []

    def answer(prompt: str) -> str:
        calls.append(prompt)
        if len(calls) > 2:
            raise Gone
        return prompt.upper()

    sub = Answering(answer)
    broken = rlm(tmp_path, Scripted(CELL), sub, trace_path=path, max_concurrent_subcalls=1)
    with pytest.raises((Gone, RuntimeError, LookupError)):
        broken.run("Q?", TEXT)
    return path


def test_the_usage_of_a_run_is_what_its_ledger_says() -> None:
    used = Used(steps=2, subcalls=3, tokens=70, prompt_tokens=50, completion_tokens=20, cost=0.5)
    assert RunUsage.of(used, 1.5) == RunUsage(50, 20, 70, 3, 2, 1.5, 0.5)


def test_only_what_was_not_answered_is_asked(tmp_path: Path) -> None:
    path = broken_off(tmp_path)
    for file in (tmp_path / "cache").glob("*"):
        file.unlink()
    root, sub = Scripted("FINAL_VAR: x"), Answering()
    result = rlm(tmp_path, root, sub).run_result("Q?", TEXT, resume=path)
    assert result.answer == "['A', 'B', 'C', 'D']"
    assert sorted(sub.prompts) == ["c", "d"]
    assert len(root.calls) == 1
    assert result.usage.subcalls == 4


def test_the_trace_of_a_continued_run_is_whole_and_can_be_replayed(tmp_path: Path) -> None:
    path = broken_off(tmp_path)
    rlm(tmp_path, Scripted("FINAL_VAR: x"), Answering()).run_result("Q?", TEXT, resume=path)
    recording = Recording.read(path)
    kinds = [step.kind for step in recording.trace.steps]
    assert kinds == ["root_call", *["subcall"] * 4, "repl_exec", "root_call"]
    again = replay(path, TEXT)
    assert again.differences == ()
    assert again.result is not None
    assert again.result.answer == "['A', 'B', 'C', 'D']"


def test_a_run_that_ended_at_a_limit_goes_on_with_a_larger_one(tmp_path: Path) -> None:
    path = tmp_path / "run.jsonl"
    few = rlm(tmp_path, Scripted("x = 1", "Perhaps 1."), None,
              trace_path=path, policy=Policy(max_steps=1))  # fmt: skip
    assert few.run("Q?", TEXT)[0] == "Perhaps 1."
    root = Scripted("FINAL_VAR: x")
    result = rlm(tmp_path, root, None).run_result("Q?", TEXT, resume=path)
    assert (result.answer, len(root.calls)) == ("1", 1)


def test_another_question_or_text_is_refused_and_the_trace_is_left_alone(tmp_path: Path) -> None:
    path = broken_off(tmp_path)
    before = path.read_bytes()
    for query, text in (("Other?", TEXT), ("Q?", Context.from_text("other"))):
        with pytest.raises(TraceError):
            rlm(tmp_path, Scripted(), None).run_result(query, text, resume=path)
    assert path.read_bytes() == before


def test_half_a_line_is_taken_away_before_the_file_goes_on(tmp_path: Path) -> None:
    path = broken_off(tmp_path)
    with path.open("a") as file:
        file.write('{"kind": "rep')
    rlm(tmp_path, Scripted("FINAL_VAR: x"), Answering()).run_result("Q?", TEXT, resume=path)
    for line in path.read_text().splitlines():
        json.loads(line)


def halving() -> Answering:
    """Root: asks about two halves. Below: an episode of two steps for each."""

    def answer(prompt: str) -> str:
        if "P holds" in prompt and "REPL executed: no" in prompt:
            return "answer = P + llm_query('leaf ' + P)"
        if "P holds" in prompt:
            return "FINAL_VAR: answer"
        if prompt.startswith("leaf"):
            return f"<{prompt}>"
        return "x = [llm_query('a'), llm_query('b')]\nFINAL_VAR: x"

    return Answering(answer)


@pytest.mark.parametrize("kept", range(3, 34, 6))
@pytest.mark.parametrize("caching", [True, False])
def test_a_recursive_run_goes_on_wherever_it_was_cut_off(
    tmp_path: Path, kept: int, caching: bool
) -> None:
    path = tmp_path / "run.jsonl"
    recorded = RLM(
        halving(), cache_dir=tmp_path / "cache", trace_path=path, recursive_subcalls=True
    )
    expected = recorded.run("Q?", TEXT)[0]
    replies = path.read_text().count('"kind":"reply"')
    path.write_text("".join(path.read_text().splitlines(keepends=True)[:kept]))
    left = path.read_text().count('"kind":"reply"')
    model = halving()
    again = RLM(
        model, cache_dir=tmp_path / ("cache" if caching else "other"), recursive_subcalls=True
    )
    assert again.run_result("Q?", TEXT, resume=path).answer == expected
    assert len(model.prompts) <= replies - left
    replayed = replay(path, TEXT)
    assert replayed.differences == ()
    assert replayed.result is not None
    assert replayed.result.answer == expected


def test_a_trace_that_cannot_be_written_ends_the_run_and_is_no_failure_of_a_subcall(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    record = TraceFile.record

    def full(file: TraceFile, what: dict[str, object]) -> None:
        if what["kind"] == "reply" and "#" not in str(what["key"]):  # a sub-model's
            raise OSError(errno.ENOSPC, "No space left on device")
        record(file, what)

    monkeypatch.setattr(TraceFile, "record", full)
    root, sub = Scripted(CELL, "FINAL_VAR: x"), Answering()
    running = rlm(tmp_path, root, sub, trace_path=tmp_path / "run.jsonl").prepare("Q?", TEXT)
    with pytest.raises(OSError, match="No space left"):
        running.run_here()
    assert running.tree is not None
    used, steps = running.tree.ledger.used(), running.tree.recorder.trace.steps
    assert used.subcalls == 4
    assert [step.error for step in steps if step.kind == "subcall"] == [None] * 4
    assert used.tokens == sum(step.usage.total_tokens for step in steps if step.usage is not None)
    assert len(root.calls) == 1
