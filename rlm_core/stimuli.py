"""What goes into the loop and what comes out of it: frozen, tagged, and without any machinery."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Literal

from msgspec import Struct, field

NO_ANSWER = "NO_ANSWER"


class Limit(StrEnum):
    """What ran out when the model could not be asked any more."""

    STEPS = "max_steps"
    TOKENS = "max_tokens"
    SECONDS = "max_seconds"
    COST = "max_cost"

    @property
    def ending(self) -> Ending:
        """What it ends an episode as."""
        return Ending(self.value)


class RunStatus(StrEnum):
    """How a run ended, for a program to act on."""

    ANSWERED = "answered"  # the model gave this answer as its final one
    LIMITED = "limited"  # something stopped it; this is the best answer that it had
    NO_ANSWER = "no_answer"  # something stopped it, and there is no answer


class Ending(StrEnum):
    """What ended an episode."""

    FINAL = "final"  # FINAL in a reply
    FINAL_VAR = "final_var"  # FINAL_VAR in a reply
    SUBMITTED = "submitted"  # FINAL, FINAL_VAR, SUBMIT or the answer dict in code
    AUTO_FINALIZE = "auto_finalize"  # the variable that was asked for holds an answer
    MAX_STEPS = "max_steps"
    MAX_TOKENS = "max_tokens"
    MAX_SECONDS = "max_seconds"
    MAX_COST = "max_cost"
    REJECTED = "rejected"  # too many answers matched a reject pattern
    EMPTY_REPLIES = "empty_replies"  # the model's output went into hidden reasoning only
    COLLAPSED = "collapsed"  # the same reply again and again
    CONTEXT_PRINTED = "context_printed"  # the context was printed again and again


class Value(Struct, frozen=True):
    """A variable of the session as the loop needs it: its text, and whether it was one."""

    text: str
    kind: Literal["text", "none", "other"] = "text"
    data: object = None
    """The value itself where it is plain data and no text."""


def value_of(data: object, text: str | None = None) -> Value:
    """A value that crossed as plain data; `text` is how it reads, if not as `str` puts it."""
    match data:
        case None:
            return Value("None", "none")
        case str():
            return Value(data)
    return Value(str(data) if text is None else text, "other", data)


Values = Mapping[str, Value]
"""Variables by name; a name that is not there does not exist in the session."""


# --- events: into the loop --------------------------------------------------------------------


class Begin(Struct, frozen=True):
    """The session is ready; the first question may be asked."""


class Replied(Struct, frozen=True):
    """The model's reply. `overdrawn` names the limit that the reply overstepped, if it did."""

    text: str
    finish_reason: str | None = None
    overdrawn: Limit | None = None


class Refused(Struct, frozen=True):
    """The model could not be asked: this limit is reached."""

    limit: Limit


class Ran(Struct, frozen=True):
    """A cell ended: what it printed, how it ended, and the variables that `Run` asked for."""

    stdout: str = ""
    error: str | None = None
    changes: str = ""
    """New and changed variables, one a line."""
    values: Values = field(default_factory=dict)
    submitted: Value | None = None
    """An answer that the code gave by itself."""
    subcalls: int = 0
    """Sub-model replies that the code got, cached ones too."""


class Looked(Struct, frozen=True):
    """The variables that `Look` asked for."""

    values: Values


Event = Begin | Replied | Refused | Ran | Looked


# --- actions: out of the loop -----------------------------------------------------------------


class Ask(Struct, frozen=True):
    """Ask the model, and answer with `Replied` or `Refused`."""

    messages: tuple[dict[str, str], ...]
    max_tokens: int
    purpose: Literal["step", "summary", "compaction"] = "step"


class Run(Struct, frozen=True):
    """Run a cell, read these variables after it, and answer with `Ran`."""

    code: str
    read: tuple[str, ...] = ()


class Look(Struct, frozen=True):
    """Read these variables, and answer with `Looked`."""

    names: tuple[str, ...]


class Clear(Struct, frozen=True):
    """Set a variable to None. Needs no answer."""

    name: str


class Compacted(Struct, frozen=True):
    """Older turns were replaced by this summary, which goes into the trace. Needs no answer."""

    summary: str
    turns: int


class Finish(Struct, frozen=True):
    """The episode is over."""

    answer: str
    status: RunStatus
    ending: Ending
    value: object = None
    """The answer as the type that was asked for, if one was."""


Action = Ask | Run | Look | Clear | Compacted | Finish
Actions = tuple[Action, ...]
"""Carried out in order; only the last one is answered with an event (none after `Finish`)."""
