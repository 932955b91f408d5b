"""An answer, and what it took: as the ways to it give them, before they are said in any format."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from rlm_core.adapters.base import Usage

if TYPE_CHECKING:
    from rlm_core.policy import Used
    from rlm_core.trace import Trace

NOTHING = Usage(0, 0, 0)
Way = Literal["straight", "recursive"]


@dataclass(frozen=True)
class Spent:
    """What a request used: of the root model, and of everything below it."""

    root: Usage = NOTHING
    sub: Usage = NOTHING
    cost: float = 0.0
    steps: int = 0
    subcalls: int = 0

    @property
    def total(self) -> Usage:
        """The whole tree."""
        root, sub = self.root, self.sub
        return Usage(
            root.prompt_tokens + sub.prompt_tokens,
            root.completion_tokens + sub.completion_tokens,
            root.total_tokens + sub.total_tokens,
        )

    @classmethod
    def of_run(cls, used: Used, trace: Trace) -> Spent:
        """What a run used. The ledger has the sums; which of it was whose, the steps tell."""
        sub = [
            step.usage
            for step in trace.steps
            if step.usage is not None and step.kind.startswith("sub") and not step.cache_hit
        ]
        prompt = sum(usage.prompt_tokens for usage in sub)
        completion = sum(usage.completion_tokens for usage in sub)
        below = Usage(prompt, completion, used.subcall_tokens)
        root = Usage(
            max(0, used.prompt_tokens - prompt),
            max(0, used.completion_tokens - completion),
            used.tokens - used.subcall_tokens,
        )
        return cls(root, below, used.cost, used.steps, used.subcalls)


@dataclass(frozen=True)
class Answer:
    """What the client gets."""

    text: str
    finish_reason: Literal["stop", "length"]
    spent: Spent
    way: Way
    seconds: float
    ending: str | None = None
    """What ended the run (`rlm_core.Ending`); None for an answer that came straight."""
    isolation: str | None = None


def shaped(text: str, stops: tuple[str, ...], most_chars: int | None) -> tuple[str, bool]:
    """The text up to the first stop and of at most so many characters; True where it was longer.

    Code may have put halves of surrogate pairs into it, which no reply can say.
    """
    ends = [at for at in (text.find(stop) for stop in stops) if at >= 0]
    text = text[: min(ends)] if ends else text
    text = text if text.isascii() else text.encode(errors="replace").decode()
    if most_chars is None or len(text) <= most_chars:
        return text, False
    return text[:most_chars], True
