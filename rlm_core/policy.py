"""What a run may use: the limits of `rlm_core.accounting`, and the ledger that they open.

Pure by itself: the ledger, which has a clock and a lock, is imported by the first run.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from rlm_core.accounting import (
    Charge,
    MaxCostExceeded,
    MaxRecursionExceeded,
    MaxSecondsExceeded,
    MaxStepsExceeded,
    MaxSubcallsExceeded,
    MaxTokensExceeded,
    PolicyError,
    Price,
    RunLimits,
    Used,
)
from rlm_core.tokens import estimate_tokens

if TYPE_CHECKING:
    from rlm_core.ledger import Ledger

__all__ = [
    "Charge",
    "MaxCostExceeded",
    "MaxRecursionExceeded",
    "MaxSecondsExceeded",
    "MaxStepsExceeded",
    "MaxSubcallsExceeded",
    "MaxTokensExceeded",
    "Policy",
    "PolicyError",
    "Price",
    "Used",
    "estimate_tokens",
]


@dataclass(frozen=True)
class Policy(RunLimits):
    """What one run may use, all recursion levels together. None means no limit.

    Every run opens a ledger of its own, so that a policy can be reused. The counters and the
    methods here show and change the ledger that was opened last (before the first run: its own).
    """

    def open(self) -> Ledger:
        """A new ledger with nothing used; the counters of this policy show it from now on."""
        from rlm_core.ledger import Ledger

        ledger = Ledger(self)
        object.__setattr__(self, "_ledger", ledger)
        return ledger

    @property
    def steps(self) -> int:
        """Steps taken."""
        return self._current().used().steps

    @property
    def subcalls(self) -> int:
        """Sub-model calls made; replies from the cache are free."""
        return self._current().used().subcalls

    @property
    def total_tokens(self) -> int:
        """Tokens used by all calls."""
        return self._current().used().tokens

    @property
    def subcall_tokens(self) -> int:
        """Tokens used by sub-model calls."""
        return self._current().used().subcall_tokens

    def check_step(self) -> None:
        """Take one step. Raises MaxStepsExceeded."""
        self._current().step()

    def check_subcall(self, depth: int) -> None:
        """Take one subcall. Raises MaxRecursionExceeded or MaxSubcallsExceeded."""
        self._current().subcall(depth)

    def add_tokens(self, tokens: int) -> None:
        """Use tokens of the root model. Raises MaxTokensExceeded and then uses none."""
        self._current().add(tokens, subcall=False)

    def add_subcall_tokens(self, tokens: int) -> None:
        """Use tokens of a sub-model. Raises MaxTokensExceeded and then uses none."""
        self._current().add(tokens, subcall=True)

    def reserve_subcall_tokens(self, tokens: int) -> None:
        """Hold tokens for a call to come. Raises MaxTokensExceeded and then holds none."""
        self._current().reserve(Charge(max(0, tokens)))

    def release_subcall_tokens(self, tokens: int) -> None:
        """Give held tokens back. Raises ValueError for more than are held."""
        self._current().release(Charge(max(0, tokens)))

    def finalize_subcall_tokens(self, reserved_tokens: int, actual_tokens: int) -> None:
        """Turn held tokens into used ones. Raises MaxTokensExceeded where more was used than fits;
        the tokens are then no longer held and not counted as used.
        """
        self._current().finalize(reserved_tokens, actual_tokens)

    def _current(self) -> Ledger:
        current: Ledger | None = getattr(self, "_ledger", None)
        return self.open() if current is None else current
