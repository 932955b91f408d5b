"""From what was seen of a step's end to its result: one outcome, and a message that helps."""

from __future__ import annotations

import signal
from enum import Enum, auto
from typing import assert_never

from msgspec import Struct

from rlm_sandbox.host.process import Death
from rlm_sandbox.limits import Limits
from rlm_sandbox.protocol import Done
from rlm_sandbox.result import ExecResult, Outcome, State
from rlm_sandbox.session import ProtocolViolation, WorkerGone


class Remains(Enum):
    """What is left of the variables after a step."""

    ALL = auto()  # with what the step had done
    AS_BEFORE = auto()
    AS_EARLIER = auto()  # the step before this one is undone too: it could not be saved
    NOTHING = auto()

    @property
    def state(self) -> State:
        match self:
            case Remains.ALL:
                return State.KEPT
            case Remains.AS_BEFORE | Remains.AS_EARLIER:
                return State.RESTORED
            case Remains.NOTHING:
                return State.LOST
            case _:
                assert_never(self)


class Evidence(Struct, frozen=True):
    """All that the controller and the kernel saw of one step."""

    ending: Done | WorkerGone | ProtocolViolation
    stopped: Outcome | None
    death: Death | None
    stdout: str
    truncated: bool
    wall_seconds: float
    worker_seconds: float
    cpu_seconds: float
    peak_memory: int
    host_calls: int


def verdict(seen: Evidence, limits: Limits, remains: Remains) -> ExecResult:
    """The result of the step, after which so much remains of the session's variables."""
    outcome, what = _judge(seen, limits)
    error = what if outcome in {Outcome.OK, Outcome.ERROR} else f"{what} {_survived(remains)}"
    return ExecResult(
        stdout=seen.stdout + ("...<truncated>" if seen.truncated else ""),
        error=error or None,
        outcome=outcome,
        state=remains.state,
        wall_seconds=seen.wall_seconds,
        worker_seconds=seen.worker_seconds,
        cpu_seconds=seen.cpu_seconds,
        peak_memory=seen.peak_memory,
        host_calls=seen.host_calls,
        truncated=seen.truncated,
    )


def _judge(seen: Evidence, limits: Limits) -> tuple[Outcome, str]:
    match seen.ending:
        case ProtocolViolation():
            return Outcome.VIOLATION, f"Violation: the worker broke the protocol ({seen.ending})."
        case WorkerGone():
            return _judge_death(seen, limits)
        case Done():
            return _judge_done(seen, seen.ending, limits)
        case _:
            assert_never(seen.ending)


def _judge_done(seen: Evidence, done: Done, limits: Limits) -> tuple[Outcome, str]:
    if seen.stopped is not None:  # the limit was reached, however the code took the interrupt
        return seen.stopped, _stopped(seen, seen.stopped, limits)
    match done.ending:
        case "ok":
            return Outcome.OK, ""
        case "error":
            return Outcome.ERROR, done.error or "Error"
        case "memory":
            return Outcome.MEMORY, _over(Outcome.MEMORY, limits)
        case "output":
            return Outcome.OUTPUT, _over(Outcome.OUTPUT, limits)
        case "exited":
            return Outcome.EXITED, f"Exited: the code left the interpreter ({done.error})."
        case "interrupted":
            return Outcome.CANCELLED, _over(Outcome.CANCELLED, limits)
        case _:
            assert_never(done.ending)


def _judge_death(seen: Evidence, limits: Limits) -> tuple[Outcome, str]:
    if seen.stopped is not None:
        return seen.stopped, _stopped(seen, seen.stopped, limits)
    death = seen.death
    if death is None:
        return Outcome.CRASHED, "Crashed: the worker disappeared."
    if death.out_of_memory:
        return Outcome.MEMORY, _over(Outcome.MEMORY, limits)
    if death.signal == signal.SIGXCPU and seen.cpu_seconds >= limits.cpu_seconds:
        return Outcome.CPU, _over(Outcome.CPU, limits)
    if death.signal:
        name = signal.strsignal(death.signal) or "unknown signal"
        return Outcome.CRASHED, f"Crashed: signal {death.signal} ({name}) ended the worker."
    return Outcome.EXITED, f"Exited: the worker's process ended with code {death.exit_code}."


def _stopped(seen: Evidence, outcome: Outcome, limits: Limits) -> str:
    if outcome is Outcome.TIMEOUT and seen.worker_seconds < limits.step_seconds:
        return f"Timeout: the session has used its {limits.session_seconds or 0:g} s."
    return _over(outcome, limits)


def _over(outcome: Outcome, limits: Limits) -> str:
    """Which limit was reached, and what to do about it."""
    match outcome:
        case Outcome.TIMEOUT:
            return (
                f"Timeout: the step used its {limits.step_seconds:g} s (waiting for host functions "
                "is not counted). Work on less at a time, or check the loop's end."
            )
        case Outcome.CPU:
            return (
                f"CPU limit: the step used its {limits.cpu_seconds:g} s of CPU time. "
                "Use a cheaper method, or work on less at a time."
            )
        case Outcome.MEMORY:
            return (
                f"Memory limit: the session may hold {limits.memory / 2**20:,.0f} MiB beyond its "
                "context. Keep less at once: slice, count or stream instead of copying."
            )
        case Outcome.OUTPUT:
            return (
                "Output limit: the step printed without end; "
                f"{limits.output_chars:,} characters are kept. Print a summary or a slice."
            )
        case _:
            return "Cancelled: the caller ended the step."


def _survived(remains: Remains) -> str:
    match remains:
        case Remains.ALL:
            return "Variables are kept, with what the step had done so far."
        case Remains.AS_BEFORE:
            return "Variables are as they were before this step."
        case Remains.AS_EARLIER:
            return (
                "Variables are as they were before the step that came before this one: "
                "that one could not be saved. Look at what you have, and do the rest again."
            )
        case Remains.NOTHING:
            return "All variables are lost: define again what you need."
        case _:
            assert_never(remains)
