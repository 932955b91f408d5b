"""What each key has used and holds, against what it may use. Sans-IO: times come in as seconds.

Before a request begins, all that it may use at most is held for it; when it has ended, what it
really used is settled. So requests at once can never use more together than is left: one that
finds less left gets a smaller budget.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from rlm_core.policy import Charge
from rlm_core.serve.problem import Busy, QuotaUsedUp

if TYPE_CHECKING:
    from rlm_core.serve.keys import Allowance

SECONDS_AN_HOUR = 3600.0
RETRY_SECONDS = 1.0
"""When a key that has all its requests under way may find one of them ended."""


@dataclass(frozen=True)
class Hold:
    """What one request may use: None means no limit."""

    tokens: int | None
    cost: float | None


class Account:
    """One key's requests, tokens and money."""

    def __init__(self, allowance: Allowance) -> None:
        self.allowance = allowance
        self.inside = 0
        self._period = 0
        self._used = Charge()
        self._held = Charge()

    def enter(self) -> None:
        """A request has come. Raises Busy where the key has as many as it may have."""
        most = self.allowance.concurrency
        if most is not None and self.inside >= most:
            raise Busy(
                f"this key may have {most} requests at once: wait for one of them to end",
                code="concurrency_exceeded",
                retry_after=RETRY_SECONDS,
            )
        self.inside += 1

    def leave(self) -> None:
        """The request has been answered, one way or another."""
        self.inside -= 1

    def hold(self, tokens: int | None, cost: float | None, now: float) -> Hold:
        """Hold what a request may use, or all that is left if less. Raises QuotaUsedUp or Busy."""
        self._begin_period(now)
        may, used, held = self.allowance, self._used, self._held
        most_tokens = self._left(_Sum("tokens", may.tokens, used.tokens, held.tokens), tokens, now)
        most_cost = self._left(_Sum("cost", may.cost, used.cost, held.cost), cost, now)
        hold = Hold(None if most_tokens is None else int(most_tokens), most_cost)
        self._change_held(hold, 1)
        return hold

    def settle(self, hold: Hold, used: Charge, now: float) -> None:
        """The request has ended and has used this; it counts for the period in which it ended."""
        self._begin_period(now)
        self._change_held(hold, -1)
        self._used = Charge(self._used.tokens + used.tokens, self._used.cost + used.cost)

    def used(self) -> Charge:
        """What was used in this period."""
        return self._used

    def _left(self, of: _Sum, wanted: float | None, now: float) -> float | None:
        if of.most is None:
            return wanted
        if of.used >= of.most:
            hours, seconds = self.allowance.period_hours, self._seconds_left(now)
            raise QuotaUsedUp(
                f"this key has used the {of.name} that it may use in {hours:g} hours; the next "
                f"period begins in {seconds:.0f} seconds",
                retry_after=seconds,
            )
        left = of.most - of.used - of.held
        if left <= 0:
            raise Busy(
                f"the {of.name} that this key has left are held by its requests under way: wait "
                "for one of them to end",
                code="quota_held",
                retry_after=RETRY_SECONDS,
            )
        return left if wanted is None else min(wanted, left)

    def _change_held(self, hold: Hold, sign: int) -> None:
        """What no limit is set for need not be held."""
        tokens = 0 if self.allowance.tokens is None else hold.tokens or 0
        cost = 0.0 if self.allowance.cost is None else hold.cost or 0.0
        self._held = Charge(self._held.tokens + sign * tokens, self._held.cost + sign * cost)

    def _begin_period(self, now: float) -> None:
        period = int(now // self._seconds())
        if period != self._period:
            self._period, self._used = period, Charge()

    def _seconds(self) -> float:
        return self.allowance.period_hours * SECONDS_AN_HOUR

    def _seconds_left(self, now: float) -> float:
        return self._seconds() - now % self._seconds()


@dataclass(frozen=True)
class _Sum:
    """Tokens or money of one key."""

    name: str
    most: float | None
    used: float
    held: float
