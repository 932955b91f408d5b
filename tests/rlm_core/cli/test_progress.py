"""Someone who waits at a terminal sees step, subcalls, tokens and seconds."""

from __future__ import annotations

from dataclasses import replace

from rlm_core.cli.progress import Progress
from rlm_core.events import RLMEvent
from rlm_core.trace import TraceStep
from tests.rlm_core.cli.test_output import Terminal, make


def event(kind: str = "root_call") -> RLMEvent:
    step = TraceStep(step_id=1, kind=kind, depth=0)  # ty: ignore[invalid-argument-type]
    return RLMEvent(
        "step_completed", step=step, total_subcalls=3, tokens_used=1234, elapsed=2.5, total_steps=9
    )


def test_the_counts_of_each_event_are_shown() -> None:
    terminal = Terminal()
    progress = Progress(make(terminal, NO_COLOR="1")[0])
    progress.handle(event())
    assert terminal.getvalue() == "\rstep 1 | 3 subcalls | 1,234 tokens | 2.5 s"


def test_a_cell_that_ran_ends_a_step_and_the_end_clears_the_line() -> None:
    terminal = Terminal()
    progress = Progress(make(terminal, NO_COLOR="1")[0])
    progress.handle(replace(event("repl_exec"), kind="step_started"))
    progress.handle(event("repl_exec"))
    progress.handle(event("subcall"))
    assert "step 2 | " in terminal.getvalue()
    progress.handle(RLMEvent("run_finished"))
    assert terminal.getvalue().endswith(" \r")
