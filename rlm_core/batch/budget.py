"""The money of a whole batch, dealt out to tasks before they start. Pure.

No task may spend more than it was granted, and what is granted and spent together is never more
than there is: so the batch keeps its limit on however many machines it runs. What a task does not
spend comes back; what one was granted that was lost with its machine does not. A task that would
need more than its grant is begun again with more.
"""

from __future__ import annotations

import math

UNLIMITED = math.inf
_MARGIN = 2.0  # a grant is at least that many times what a task has cost on the average


class Budget:
    """An account with a limit; all amounts are in the currency of the prices."""

    def __init__(self, limit: float | None = None, *, spent: float = 0.0) -> None:
        self._limit = UNLIMITED if limit is None else limit
        self._granted = 0.0
        self._lost = 0.0
        self._tasks = 0
        self._before = spent
        self.spent = spent

    @property
    def available(self) -> float:
        """What is neither spent, nor granted, nor lost."""
        return self._limit - self.spent - self._granted - self._lost

    @property
    def mean(self) -> float:
        """What a task cost on the average, of those that were settled here."""
        return (self.spent - self._before) / self._tasks if self._tasks else 0.0

    def grant(
        self, *, running: int, slots: int, least: float = 0.0, most: float = UNLIMITED
    ) -> float | None:
        """An amount for one task, or None where there is not enough.

        It is this task's share of what is available, if all free `slots` get the same; more, where
        `least` or experience asks for more, and never more than `most`. With `running` tasks still
        going, more may become available; without any, None is the end.
        """
        if self._limit == UNLIMITED:
            return most
        available = self.available
        share = available / max(1, slots - running)
        wanted = min(most, max(share, _MARGIN * self.mean, least))
        if wanted > available:
            if running or available <= max(least / _MARGIN, self.mean):
                return None
            wanted = available
        if wanted <= 0:
            return None
        self._granted += wanted
        return wanted

    def settle(self, granted: float, spent: float) -> None:
        """A task has ended: it spent that much of what it was granted."""
        if self._limit != UNLIMITED:
            self._granted = max(0.0, self._granted - granted)
        self.spent += spent
        self._tasks += 1

    def lose(self, granted: float) -> None:
        """A task was lost while it ran: nobody knows how much of its grant it had spent."""
        if self._limit != UNLIMITED:
            self._granted = max(0.0, self._granted - granted)
            self._lost += granted
