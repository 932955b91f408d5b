"""How one attempt at a task ended, and what that means for the next. Plain data: it travels."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto

from rlm_core.adapters import errors as models
from rlm_core.errors import ConfigError, ContextError
from rlm_core.run import RunUsage
from rlm_sandbox import errors as sandboxes

NOTHING = RunUsage(0, 0, 0, 0, 0, 0.0, 0.0)


class Verdict(Enum):
    """What is to be done about a failure."""

    AGAIN = auto()  # it may be gone a moment later
    GIVE_UP = auto()  # it is the task's own: trying again would not help
    STOP_MODEL = auto()  # every task would fail like this: the model does not accept us
    STOP_HOST = auto()  # every task would fail like this: code cannot be run here


@dataclass(frozen=True)
class TaskError:
    """What a line of results says of a failure: `type` is for programs, `message` for people."""

    type: str
    message: str


@dataclass(frozen=True)
class Completed:
    """The run came to an end, with an answer or without one: see `RunStatus` and `Ending`."""

    status: str
    ending: str
    answer: str | None
    usage: RunUsage
    isolation: str | None
    trace: str | None = None


@dataclass(frozen=True)
class Failed:
    """The run raised."""

    error: TaskError
    verdict: Verdict
    usage: RunUsage = NOTHING
    trace: str | None = None


@dataclass(frozen=True)
class Lost:
    """The process or the machine that ran it is gone, and nothing is known of the run."""

    why: str
    began: bool = True
    """False if it was never given to a machine."""


@dataclass(frozen=True)
class Stopped:
    """The batch was told to stop, and so was the run."""

    usage: RunUsage = NOTHING


Outcome = Completed | Failed | Lost | Stopped

_VERDICTS: tuple[tuple[type[BaseException], Verdict], ...] = (
    (models.KeyRefused, Verdict.STOP_MODEL),
    (models.AdapterClosed, Verdict.STOP_MODEL),
    (models.RequestRefused, Verdict.GIVE_UP),
    (models.ModelError, Verdict.AGAIN),
    (sandboxes.IsolationUnavailable, Verdict.STOP_HOST),
    (sandboxes.PackageUnavailable, Verdict.STOP_HOST),
    (sandboxes.SandboxError, Verdict.AGAIN),
    (ContextError, Verdict.GIVE_UP),
    (ConfigError, Verdict.GIVE_UP),
    (OSError, Verdict.AGAIN),
    (MemoryError, Verdict.AGAIN),
)
"""The first that fits. What is not here is a mistake in a program, and comes again."""


def failure(error: BaseException, usage: RunUsage = NOTHING, trace: str | None = None) -> Failed:
    """An exception of a run as data."""
    verdicts = (verdict for kind, verdict in _VERDICTS if isinstance(error, kind))
    told = str(error) or "no further details"
    return Failed(
        TaskError(type(error).__name__, told), next(verdicts, Verdict.GIVE_UP), usage, trace
    )


def together(first: RunUsage, second: RunUsage) -> RunUsage:
    """What two attempts used."""
    return RunUsage(
        first.prompt_tokens + second.prompt_tokens,
        first.completion_tokens + second.completion_tokens,
        first.total_tokens + second.total_tokens,
        first.subcalls + second.subcalls,
        first.steps + second.steps,
        first.seconds + second.seconds,
        first.cost + second.cost,
    )
