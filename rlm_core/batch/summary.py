"""How a batch ended, for whoever started it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from rlm_core.batch.schedule import Why

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True)
class BatchSummary:
    """How a batch ended. Counts and costs are those of the whole file of results."""

    why: Why
    told: str
    """More about it, where there is more to say."""
    total: int
    """Tasks in the input."""
    statuses: Mapping[str, int]
    """Lines of results by their status."""
    without_answer: int
    before: int
    """Lines that earlier runs of the batch had written."""
    gone: int
    """Tasks that the input held when it was checked, and no more when they were to be run."""
    skipped: tuple[tuple[int, str], ...]
    """The first lines of the input that were left out as they are no tasks: (number, why)."""
    skipped_count: int
    tokens: int
    cost: float
    seconds: float
    """Of this run of the batch."""

    @property
    def done(self) -> int:
        """Tasks that have a line of results."""
        return sum(self.statuses.values())

    @property
    def is_complete(self) -> bool:
        """True when every task has an answer."""
        return self.why is Why.DONE and not self.without_answer and not self.gone
