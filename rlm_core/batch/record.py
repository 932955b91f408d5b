"""A line of results: what it says, and how it is written and read. Pure.

{"custom_id": "a-1", "status": "answered", "answer": "Ann", "error": null, "usage": {...},
 "cost": 0.0012, "steps": 3, "seconds": 4.2, "isolation": "full", "trace": "traces/a-1.jsonl",
 "ending": "final", "attempts": 1}

`status` is "answered", "limited" (the best there was when a limit was reached), "no_answer" or
"failed"; only a failed one has an `error`, with its type and a message. `usage`, `cost` and
`seconds` are those of all attempts. An answered line in OpenAI's form has a `response` besides.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from rlm_core.batch.outcome import TaskError
    from rlm_core.run import RunUsage

HEAD = b'{"custom_id": '
"""How every line begins: half a line that was cut off is known by it."""
FAILED = "failed"


@dataclass(frozen=True)
class Record:
    """What became of a task."""

    custom_id: str
    status: str
    answer: str | None
    error: TaskError | None
    usage: RunUsage
    isolation: str | None
    trace: str | None
    ending: str | None
    attempts: int
    response: dict[str, object] | None = None

    @property
    def has_answer(self) -> bool:
        """False for what `--retry-failed` runs again."""
        return self.answer is not None

    def to_line(self) -> bytes:
        """One line of JSON in ASCII: no reader finds more line ends in it."""
        usage = self.usage
        line: dict[str, object] = {
            "custom_id": self.custom_id,
            "status": self.status,
            "answer": _sayable(self.answer),
            "error": None if self.error is None else _error(self.error),
            "usage": {
                "prompt_tokens": usage.prompt_tokens,
                "completion_tokens": usage.completion_tokens,
                "total_tokens": usage.total_tokens,
                "subcalls": usage.subcalls,
            },
            "cost": usage.cost,
            "steps": usage.steps,
            "seconds": round(usage.seconds, 3),
            "isolation": self.isolation,
            "trace": self.trace,
            "ending": self.ending,
            "attempts": self.attempts,
        }
        if self.response is not None:
            line["response"] = self.response
        return json.dumps(line).encode("ascii") + b"\n"


class WrittenUsage(msgspec.Struct, frozen=True):
    """The part of `usage` that is read again."""

    total_tokens: int = 0


class Written(msgspec.Struct, frozen=True):
    """The part of a line that is read again when a batch goes on."""

    custom_id: str
    status: str
    answer: str | None = None
    cost: float = 0.0
    usage: WrittenUsage = WrittenUsage()

    @property
    def has_answer(self) -> bool:
        """False for what `--retry-failed` runs again."""
        return self.answer is not None


_DECODER = msgspec.json.Decoder(Written)


def read_line(line: bytes) -> Written | None:
    """A line of results, or None where it is none."""
    try:
        return _DECODER.decode(line)
    except (msgspec.DecodeError, ValueError, RecursionError):
        return None


def may_be_torn(rest: bytes) -> bool:
    """True where a line that has no end may be ours, or what a lost power supply left of it."""
    written = rest.rstrip(b"\0")
    return written.startswith(HEAD) or HEAD.startswith(written)


def _error(error: TaskError) -> dict[str, object]:
    told = asdict(error)
    return {name: _sayable(text) for name, text in told.items()}


def _sayable(text: str | None) -> str | None:
    """Half surrogate pairs cannot be said in UTF-8, and other readers would stumble."""
    return None if text is None else text.encode(errors="replace").decode()
