"""What is looked at from outside: processes by their mark, use beyond limits, survivors."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator

import pytest

from rlm_sandbox import ExecResult, Limits, Sandbox
from rlm_sandbox.audit import evidence
from rlm_sandbox.audit.evidence import Trial
from rlm_sandbox.audit.program import Aim, Kind, Program
from rlm_sandbox.audit.stage import Names

PROGRAM = Program(
    kind=Kind.PROCESS,
    name="test",
    mechanism="test",
    code="",
    aim=Aim.PROCESS,
    limits=Limits(step_seconds=0.1),
)


@pytest.fixture
def marked() -> Iterator[Names]:
    """Names of a program whose mark is in a running process's command line."""
    names = Names()
    code = "import sys, time; print(flush=True); time.sleep(600)"
    command = [sys.executable, "-I", "-S", "-c", code, names.mark]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.read(1)
        yield names
        process.kill()


def test_a_marked_process_is_seen_while_a_step_runs(marked: Names) -> None:
    trial = Trial(marked)
    with evidence.marks_seen(PROGRAM, trial):
        pass
    assert "bore the mark" in trial.findings[0]


def test_a_survivor_is_seen_and_ended(marked: Names, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(evidence, "SURVIVAL_SECONDS", 0.1)
    assert "has survived" in evidence.survivors(marked)[0]
    monkeypatch.setattr(evidence, "SURVIVAL_SECONDS", 10)


def test_nothing_survives_where_nothing_was() -> None:
    assert evidence.survivors(Names()) == []


@pytest.mark.parametrize(
    ("result", "seen"),
    [
        (ExecResult("", peak_memory=2 << 30), "2048 MiB of memory"),
        (ExecResult("", cpu_seconds=100.0), "100.0 s of CPU"),
        (ExecResult("", wall_seconds=100.0), "100.0 s of time"),
        (ExecResult("x" * 100_000), "100000 characters"),
    ],
)
def test_use_beyond_the_limits_is_named(result: ExecResult, seen: str) -> None:
    (found,) = evidence.excess(result, Limits(memory="1GiB", step_seconds=10, cpu_seconds=10))
    assert seen in found


def test_use_within_the_limits_is_none() -> None:
    assert evidence.excess(ExecResult("x", wall_seconds=1.0), Limits()) == []


def test_a_step_that_does_not_come_back_is_ended_and_noted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(evidence, "PATIENCE_SECONDS", 0.2)
    trial = Trial(Names())
    with Sandbox() as box, evidence.saviour(box, PROGRAM, trial):
        assert box.exec("while True: pass").outcome == "cancelled"
    assert "did not come back" in trial.findings[0]


def test_an_exception_out_of_a_step_is_noted() -> None:
    trial = Trial(Names())
    with Sandbox() as box, evidence.saviour(box, PROGRAM, trial):
        raise KeyError("surprise")
    assert "exec raised KeyError" in trial.findings[0]
