"""The host functions of one sandbox that run now."""

from __future__ import annotations

import threading


class Running:
    """How many they are, those included whose step is over: code that called does not wait for all.

    A step can leave as many behind as may be pending at once, and so can the next one.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._lock = threading.Lock()
        self._count = 0

    def begin(self) -> bool:
        """One more begins. False if there are as many as may be: then it does not."""
        with self._lock:
            free = self._count < self._most
            self._count += free
            return free

    def end(self) -> None:
        with self._lock:
            self._count -= 1
