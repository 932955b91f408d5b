from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import FrozenInstanceError, asdict, replace
from pathlib import Path

import pytest

from rlm_core.adapters.base import Usage
from rlm_core.trace import Trace, TraceStep
from rlm_core.trace_file import TraceFile

STEP = TraceStep(1, "root_call", 0, output="x\u2028y", usage=Usage(1, 2, 3), elapsed=0.5)
CHILD = TraceStep(2, "sub_repl_exec", 1, code="print(1)", parent_id=1, outcome="ok")


def test_a_trace_survives_json() -> None:
    assert Trace.from_json(Trace([STEP, CHILD]).to_json()).steps == [STEP, CHILD]


def test_an_object_with_steps_and_lines_of_json_are_read_too(tmp_path: Path) -> None:
    wrapped = json.dumps({"steps": [STEP.to_dict()], "version": 1})
    assert Trace.from_json(wrapped).steps == [STEP]
    file = TraceFile(tmp_path / "t.jsonl")
    file.write(STEP)
    file.write(CHILD)
    file.close()
    assert Trace.from_json((tmp_path / "t.jsonl").read_text()).steps == [STEP, CHILD]


def test_a_trace_of_another_version_is_read_as_far_as_it_is_known() -> None:
    (step,) = Trace.from_json('[{"kind": "subcall", "new_field": 1, "usage": {}}]').steps
    assert (step.kind, step.step_id, step.depth, step.usage) == ("subcall", 1, 0, Usage(0, 0, 0))


@pytest.mark.parametrize("raw", ["5", "[1]", '[{"kind": "unknown"}]', "not json", '{"a": 1}'])
def test_what_is_no_trace_is_refused(raw: str) -> None:
    with pytest.raises(ValueError, match=r"no step of a trace|not JSON"):
        Trace.from_json(raw)


def test_a_step_is_written_the_moment_it_ends(tmp_path: Path) -> None:
    file = TraceFile(tmp_path / "t.jsonl")
    file.write(STEP)
    assert json.loads((tmp_path / "t.jsonl").read_text())["step_id"] == 1
    file.close()
    file.close()
    file.write(STEP)  # a call that comes late, after the run: nothing is written any more
    assert len((tmp_path / "t.jsonl").read_text().splitlines()) == 1


def test_text_that_is_no_unicode_is_written_all_the_same(tmp_path: Path) -> None:
    file = TraceFile(tmp_path / "t.jsonl")
    file.write(replace(STEP, stdout="\ud800"))
    file.close()
    assert len(Trace.from_json((tmp_path / "t.jsonl").read_text()).steps) == 1


def test_steps_come_from_many_threads_and_none_is_lost() -> None:
    trace = Trace([])
    with ThreadPoolExecutor(8) as threads:
        list(threads.map(trace.add, [STEP] * 500))
    assert len(trace.steps) == 500


def test_tokens_are_summed_and_steps_nest() -> None:
    trace = Trace([STEP, CHILD, STEP])
    assert trace.total_tokens() == 6
    assert trace.children(1) == [CHILD]
    assert trace.children(None) == [STEP, STEP]


def test_a_step_is_frozen_plain_data() -> None:
    with pytest.raises(FrozenInstanceError):
        STEP.kind = "subcall"  # ty: ignore[invalid-assignment]
    assert asdict(STEP)["usage"] == {
        "prompt_tokens": 1,
        "completion_tokens": 2,
        "total_tokens": 3,
    }
    assert asdict(Trace([STEP]))["steps"][0]["kind"] == "root_call"
