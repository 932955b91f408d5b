from __future__ import annotations

import threading
from pathlib import Path

import pytest

from rlm_core.context import Context
from rlm_core.errors import RunCancelled
from rlm_core.replay import replay
from rlm_core.rlm import RLM
from tests.rlm_core.models import Scripted

TEXT = Context.from_text("text")


def test_cancelling_a_run_does_not_wait_for_its_tools(tmp_path: Path) -> None:
    called, finish = threading.Event(), threading.Event()

    def slow() -> None:
        called.set()
        finish.wait(30)

    running = RLM(Scripted("slow()"), cache_dir=tmp_path, tools=[slow]).start("Q?", TEXT)
    assert called.wait(30)
    running.cancel()
    with pytest.raises(RunCancelled):
        running.result(30)
    finish.set()


def test_a_replay_gives_what_a_tool_gave_and_does_not_call_it(tmp_path: Path) -> None:
    calls: list[str] = []

    def lookup(name: str) -> tuple[int, set[str]]:
        calls.append(name)
        if name == "nobody":
            raise LookupError("unknown")
        return len(calls), {name}

    code = (
        "print(lookup('a'), lookup('a'))\ntry:\n    lookup('nobody')\nexcept LookupError as e:\n"
        "    print('caught', e)\ntry:\n    lookup(5)\nexcept Exception as e:\n    print(e)"
    )
    path = tmp_path / "run.jsonl"
    rlm = RLM(Scripted(code, "FINAL: x"), cache_dir=tmp_path, tools=[lookup], trace_path=path)
    rlm.run("Q?", TEXT)
    again = replay(path, TEXT)
    assert again.differences == ()
    assert calls == ["a", "a", "nobody"]
    assert again.result is not None
    cells = [step.stdout for step in again.result.trace.steps if step.kind == "repl_exec"]
    assert cells[0] is not None
    assert cells[0].startswith("(1, {'a'}) (2, {'a'})\n")
