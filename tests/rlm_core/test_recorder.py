from __future__ import annotations

from pathlib import Path

from rlm_core.events import RLMEvent
from rlm_core.policy import Policy
from rlm_core.recorder import Recorder
from rlm_core.trace import Trace, TraceStep
from rlm_core.trace_file import TraceFile


class Listening:
    """A listener that keeps what it hears."""

    def __init__(self) -> None:
        self.events: list[RLMEvent] = []

    def handle(self, event: RLMEvent) -> None:
        self.events.append(event)


def test_steps_are_numbered_as_they_begin_and_kept_as_they_end() -> None:
    recorder = Recorder(Policy().open(), None, None)
    recorder.add(recorder.begin(TraceStep(0, "root_call", 0)))
    outer = recorder.begin(TraceStep(0, "recursive_subcall", 1))
    recorder.add(recorder.begin(TraceStep(0, "subcall", 1)))
    recorder.add(outer)
    assert [step.step_id for step in recorder.trace.steps] == [1, 3, 2]


def test_steps_below_the_root_have_kinds_of_their_own() -> None:
    recorder = Recorder(Policy().open(), None, None)
    for kind in ("root_call", "repl_exec", "subcall", "recursive_subcall"):
        recorder.add(recorder.begin(TraceStep(0, kind, 1), level=1))
    assert [step.kind for step in recorder.trace.steps] == [
        "sub_root_call",
        "sub_repl_exec",
        "sub_subcall",
        "recursive_subcall",
    ]


def test_every_step_is_told_and_written_with_the_counts_of_the_moment(tmp_path: Path) -> None:
    listener, file = Listening(), TraceFile(tmp_path / "t.jsonl")
    ledger = Policy().open()
    recorder = Recorder(ledger, listener, file)
    recorder.isolation = "full"
    ledger.subcall(1)
    ledger.add(5, subcall=True)
    recorder.add(recorder.begin(TraceStep(0, "subcall", 1)))
    file.close()
    began, event = listener.events
    assert began.kind == "step_started"
    assert began.step == event.step
    assert (event.kind, event.total_steps, event.total_subcalls, event.tokens_used) == (
        "step_completed",
        1,
        1,
        5,
    )
    assert (event.isolation, event.repl_backend) == ("full", "python")
    assert event.step == recorder.trace.steps[0]
    assert Trace.from_json((tmp_path / "t.jsonl").read_text()).steps == recorder.trace.steps


def test_groups_have_names_of_their_own() -> None:
    recorder = Recorder(Policy().open(), None, None)
    assert recorder.next_group() != recorder.next_group()
