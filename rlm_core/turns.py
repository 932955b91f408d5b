"""So many at once: who waits for a turn is stopped with his run, at once."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Generator

    from rlm_core.calls import CancelScope


class Turns:
    """As many as may be held at once; None is no limit. Thread-safe."""

    def __init__(self, most: int | None) -> None:
        self._left = most
        self._changed = threading.Condition()

    def take(self, scope: CancelScope) -> Turn:
        """Wait for one. Raises RunCancelled when the run is stopped before it is there."""
        if not self._take_free():
            with scope.stopping(self._look_up), self._changed:
                while self._left == 0:
                    scope.check()
                    self._changed.wait()
                self._take_one()
        return Turn(self)

    @contextmanager
    def passing(self, scope: CancelScope) -> Generator[None]:
        """Wait for one, and hold it. Raises RunCancelled as `take` does."""
        turn = self.take(scope)
        try:
            yield
        finally:
            turn.give_back()

    def _take_free(self) -> bool:
        with self._changed:
            if self._left == 0:
                return False
            self._take_one()
            return True

    def _take_one(self) -> None:
        if self._left is not None:
            self._left -= 1

    def _look_up(self) -> None:
        """Have those who wait see that they were stopped."""
        with self._changed:
            self._changed.notify_all()

    def take_back(self) -> None:
        """One that was taken is free again."""
        with self._changed:
            if self._left is not None:
                self._left += 1
                self._changed.notify()


class Turn:
    """One that was taken, until it is given back."""

    __slots__ = ("_given_back", "_turns")

    def __init__(self, turns: Turns) -> None:
        self._turns = turns
        self._given_back = threading.Lock()

    def give_back(self) -> None:
        """From any thread. Idempotent."""
        if self._given_back.acquire(blocking=False):
            self._turns.take_back()
