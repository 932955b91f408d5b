"""Every way in which a step can end gives one outcome and a message that says what to do."""

from __future__ import annotations

import signal

import pytest
from msgspec.structs import replace

from rlm_sandbox.host.process import Death
from rlm_sandbox.limits import Limits
from rlm_sandbox.protocol import Done, Ending
from rlm_sandbox.result import Outcome, State
from rlm_sandbox.session import ProtocolViolation, WorkerGone
from rlm_sandbox.verdict import Evidence, Remains, verdict

LIMITS = Limits(step_seconds=2, cpu_seconds=3, session_seconds=50, memory="64MiB", output_chars=99)
GONE = WorkerGone("it closed its socket")


def done(ending: Ending, error: str | None = None) -> Done:
    return Done(1, ending, error, "", truncated=False)


SEEN = Evidence(
    ending=done("ok"),
    stopped=None,
    death=None,
    stdout="printed",
    truncated=False,
    wall_seconds=4.0,
    worker_seconds=2.0,
    cpu_seconds=1.0,
    peak_memory=1024,
    host_calls=5,
)


def test_a_step_that_ran_to_its_end_is_ok_and_carries_what_was_measured() -> None:
    result = verdict(SEEN, LIMITS, Remains.ALL)
    assert (result.outcome, result.state, result.error) == (Outcome.OK, State.KEPT, None)
    assert (result.stdout, result.truncated) == ("printed", False)
    measured = (result.wall_seconds, result.worker_seconds, result.cpu_seconds)
    assert measured == (4.0, 2.0, 1.0)
    assert (result.peak_memory, result.host_calls) == (1024, 5)


def test_cut_output_says_so_in_its_text() -> None:
    result = verdict(replace(SEEN, truncated=True), LIMITS, Remains.ALL)
    assert (result.stdout, result.truncated) == ("printed...<truncated>", True)


def test_an_exception_of_the_code_is_passed_on_as_it_is() -> None:
    seen = replace(SEEN, ending=done("error", "KeyError: 'x'"))
    result = verdict(seen, LIMITS, Remains.ALL)
    assert (result.outcome, result.state, result.error) == (
        Outcome.ERROR,
        State.KEPT,
        "KeyError: 'x'",
    )


@pytest.mark.parametrize(
    ("ending", "outcome", "text"),
    [
        (done("memory"), Outcome.MEMORY, "64 MiB"),
        (done("output"), Outcome.OUTPUT, "99 characters"),
        (done("exited", "SystemExit: 3"), Outcome.EXITED, "SystemExit: 3"),
        (done("interrupted"), Outcome.CANCELLED, "Cancelled"),
    ],
    ids=str,
)
def test_what_the_worker_saw_itself_keeps_the_variables_and_says_so(
    ending: Done, outcome: Outcome, text: str
) -> None:
    result = verdict(replace(SEEN, ending=ending), LIMITS, Remains.ALL)
    assert (result.outcome, result.state) == (outcome, State.KEPT)
    assert text in str(result.error)
    assert "Variables are kept" in str(result.error)


@pytest.mark.parametrize(
    ("death", "outcome", "text"),
    [
        (Death(signal.SIGSEGV, 0), Outcome.CRASHED, "signal 11 (Segmentation fault)"),
        (Death(signal.SIGXCPU, 0), Outcome.CRASHED, "signal 24"),  # it sent that to itself
        (Death(0, 7), Outcome.EXITED, "ended with code 7"),
        (Death(0, 0), Outcome.EXITED, "ended with code 0"),
        (None, Outcome.CRASHED, "disappeared"),
    ],
    ids=str,
)
def test_a_worker_that_died_by_itself_says_why_and_what_is_left(
    death: Death | None, outcome: Outcome, text: str
) -> None:
    seen = replace(SEEN, ending=GONE, death=death)
    for remains, state, left in (
        (Remains.NOTHING, State.LOST, "All variables are lost"),
        (Remains.AS_BEFORE, State.RESTORED, "Variables are as they were before this step"),
        (Remains.AS_EARLIER, State.RESTORED, "before the step that came before this one"),
    ):
        result = verdict(seen, LIMITS, remains)
        assert (result.outcome, result.state) == (outcome, state)
        assert text in str(result.error)
        assert left in str(result.error)


def test_a_step_that_the_kernel_ended_for_its_cpu_time_is_told_so() -> None:
    seen = replace(SEEN, ending=GONE, death=Death(signal.SIGXCPU, 0), cpu_seconds=3.2)
    result = verdict(seen, LIMITS, Remains.AS_BEFORE)
    assert result.outcome is Outcome.CPU
    assert "3 s of CPU time" in str(result.error)


def test_a_broken_protocol_is_a_violation_that_is_named() -> None:
    ending = ProtocolViolation("Call while idle")
    result = verdict(replace(SEEN, ending=ending), LIMITS, Remains.NOTHING)
    assert (result.outcome, result.state) == (Outcome.VIOLATION, State.LOST)
    assert "Call while idle" in str(result.error)


STOPPED = [
    (Outcome.TIMEOUT, "used its 2 s"),
    (Outcome.CPU, "used its 3 s of CPU time"),
    (Outcome.MEMORY, "64 MiB"),
    (Outcome.CANCELLED, "the caller ended the step"),
]


@pytest.mark.parametrize(("stopped", "text"), STOPPED, ids=str)
@pytest.mark.parametrize(
    "ending", [GONE, *map(done, ("interrupted", "ok", "error", "exited"))], ids=str
)
def test_a_step_that_was_stopped_has_reached_that_limit_however_it_ended(
    ending: Done | WorkerGone, stopped: Outcome, text: str
) -> None:
    seen = replace(SEEN, ending=ending, stopped=stopped, death=Death(9, 0))
    result = verdict(seen, LIMITS, Remains.AS_BEFORE)
    assert result.outcome is stopped
    assert text in str(result.error)


def test_a_session_that_is_over_is_not_blamed_on_the_step() -> None:
    seen = replace(SEEN, ending=done("interrupted"), stopped=Outcome.TIMEOUT, worker_seconds=0.1)
    assert "the session has used its 50 s" in str(verdict(seen, LIMITS, Remains.ALL).error)
