"""How a batch is getting on: counts, and what they say about the time that is left. Pure."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

WINDOW_SECONDS = 60.0
"""The rate is that of the last minute: what was an hour ago says little about what comes."""
_COARSEST = 200  # moments that are remembered


@dataclass(frozen=True)
class Progress:
    """A batch at a moment. `rate` is tasks a second, `seconds_left` None where nobody knows."""

    total: int
    done: int
    """All that have a line of results, those of earlier runs included."""
    failed: int
    """Of those, the ones without an answer."""
    running: int
    tokens: int
    cost: float
    rate: float
    seconds: float
    seconds_left: float | None

    @property
    def left(self) -> int:
        """Tasks without a line of results."""
        return max(0, self.total - self.done)


class Pace:
    """Counts results as they come. Times are seconds of any clock that only goes forward."""

    def __init__(
        self, *, total: int, done: int, failed: int, tokens: int, cost: float, now: float
    ) -> None:
        self._total, self._done, self._failed = total, done, failed
        self._tokens, self._cost = tokens, cost
        self._began = now
        self._moments: deque[tuple[float, int]] = deque([(now, done)])

    def count(self, *, failed: bool, tokens: int, cost: float, now: float) -> None:
        """One more result."""
        self._done += 1
        self._failed += failed
        self._tokens += tokens
        self._cost += cost
        last = self._moments[-1][0]
        if now - last >= WINDOW_SECONDS / _COARSEST:
            self._moments.append((now, self._done))
        while len(self._moments) > 2 and now - self._moments[1][0] > WINDOW_SECONDS:
            self._moments.popleft()

    def progress(self, *, running: int, now: float) -> Progress:
        """The state now."""
        since, before = self._moments[0]
        rate = (self._done - before) / (now - since) if now > since else 0.0
        left = max(0, self._total - self._done)
        return Progress(
            total=self._total,
            done=self._done,
            failed=self._failed,
            running=running,
            tokens=self._tokens,
            cost=self._cost,
            rate=rate,
            seconds=now - self._began,
            seconds_left=left / rate if rate else None,
        )
