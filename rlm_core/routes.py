"""The ways to an answer, and what came of one: see `rlm_core.router`."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rlm_core.trace import Trace


class ExecutionProfile(Enum):
    """How an RLM is set up for a kind of question."""

    DETERMINISTIC_FIRST = "deterministic_first"  # search and parse by code; no subcall needed
    SEMANTIC_BATCHES = "semantic_batches"  # understand pieces by many subcalls at once
    HYBRID = "hybrid"  # code first, subcalls where code does not do
    VERIFY = "verify"  # recursive subcalls, for confidence


@dataclass(frozen=True)
class RouterResult:
    """The answer and the way that was taken. `elapsed` is in seconds."""

    output: str
    trace: Trace
    method: str
    """ "baseline" or "rlm"."""
    profile: ExecutionProfile
    context_chars: int
    tokens_used: int
    elapsed: float | None = None
    value: object = None
    """The answer as the type that was asked for, if one was."""
