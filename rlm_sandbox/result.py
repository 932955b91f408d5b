"""What one step did, and what ended it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Outcome(StrEnum):
    """What ended a step. Every step ends in exactly one of these."""

    OK = "ok"  # the code ran to its end
    ERROR = "error"  # the code raised
    TIMEOUT = "timeout"  # it used more than its own wall-clock seconds
    CPU = "cpu"  # it used more than its CPU seconds
    MEMORY = "memory"  # it used more memory than the session may hold
    OUTPUT = "output"  # it printed without end
    CRASHED = "crashed"  # a signal killed it (a segmentation fault, say)
    EXITED = "exited"  # it left the interpreter
    VIOLATION = "violation"  # it broke the protocol or asked for what it may not have
    CANCELLED = "cancelled"  # the caller ended it


class State(StrEnum):
    """What is left of the session's variables after a step."""

    KEPT = "kept"  # everything that ran is there
    RESTORED = "restored"  # as before this step
    LOST = "lost"  # the session is empty or gone


@dataclass(frozen=True)
class ExecResult:
    """What one step printed, how it ended and what it used.

    Only `stdout` and `error` come from the worker and are to be read as untrusted text; the rest is
    measured by the controller and the kernel. Times are seconds, sizes bytes.
    """

    stdout: str
    error: str | None = None
    """One line such as "ZeroDivisionError: division by zero (line 3)", or None."""
    outcome: Outcome = Outcome.OK
    state: State = State.KEPT
    wall_seconds: float = 0.0
    worker_seconds: float = 0.0
    """Wall time less the time in which every part of the code waited for host functions."""
    cpu_seconds: float = 0.0
    peak_memory: int = 0
    """Largest resident set of the worker so far, in bytes: but for what a step held for less than a
    third of a millisecond."""
    host_calls: int = 0
    truncated: bool = False
    """True when `stdout` was cut at `Limits.output_chars`."""
