"""Threads that stand by for work which may have to be left to itself."""

from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

IDLE_SECONDS = 10.0
"""So long a thread waits for further work before it ends."""


class StandbyThreads:
    """As many as there is work at once; they are used again while idle, and end after a while.

    A thread takes longer to start than to be given work: a hundred at once take longer than a
    model takes to answer. No pool of the standard library will do: it waits for its threads when
    the program ends.
    """

    def __init__(self, name: str, idle_seconds: float = IDLE_SECONDS) -> None:
        self._name = name
        self._idle_seconds = idle_seconds
        self._lock = threading.Lock()
        self._idle: dict[_Hand, None] = {}
        """The one that was at work last is the last, and the first to be used again."""

    def start(self, work: Callable[[], None]) -> None:
        """Do this in a thread, at once. It must not raise. RuntimeError: there can be no more."""
        with self._lock:
            hand = self._idle.popitem()[0] if self._idle else None
        if hand is None:
            hand = _Hand()
            hand.thread = threading.Thread(
                target=self._serve, args=(hand,), name=self._name, daemon=True
            )
            hand.thread.start()
        hand.give(work)

    def end_idle(self) -> None:
        """End the threads that have nothing to do; one that is at work goes on."""
        with self._lock:
            idle, self._idle = list(self._idle), {}
        for hand in idle:
            hand.give(None)
        for hand in idle:
            if hand.thread is not None:
                hand.thread.join()

    def forget(self) -> None:
        """In a forked child of this process: its threads are the parent's."""
        self.__init__(self._name, self._idle_seconds)

    def _serve(self, hand: _Hand) -> None:
        while self._awaited(hand):
            work, hand.work = hand.work, None
            if work is None:
                return
            work()
            del work  # nothing of a run is held until the next one
            with self._lock:
                self._idle[hand] = None

    def _awaited(self, hand: _Hand) -> bool:
        """Wait for work. False if there has been none for so long that the thread may end."""
        if not hand.bell.acquire(timeout=self._idle_seconds):
            with self._lock:
                if hand in self._idle:
                    del self._idle[hand]
                    return False
            hand.bell.acquire()  # somebody has just decided to give it some
        return True


class _Hand:
    """A thread, and what it is to do when its bell rings."""

    def __init__(self) -> None:
        self.thread: threading.Thread | None = None
        self.work: Callable[[], None] | None = None
        self.bell = threading.Lock()
        self.bell.acquire()

    def give(self, work: Callable[[], None] | None) -> None:
        """Have it do this; None: end."""
        self.work = work
        self.bell.release()


def standing_by(name: str) -> StandbyThreads:
    """Threads of this name for as long as the program runs, and for each fork of it."""
    threads = StandbyThreads(name)
    os.register_at_fork(after_in_child=threads.forget)
    return threads
