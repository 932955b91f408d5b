"""How long to look for an answer before sleeping until it comes. Learns from how it went.

To be woken on another processor takes about 40 microseconds; an answer that is there sooner than
that is better looked for. But looking takes a processor from whoever is to answer, where there is
no other free one: then answers do not come while we look, and we stop looking.
"""

from __future__ import annotations

import math
import os
import socket
import threading
import time
from typing import Protocol

LOOKING_SECONDS = 100e-6
"""How long one look may last. An exchange with a worker that has little to do takes half of it."""

MISSES_TOLERATED = 3
"""In a row, of a reader who has found an answer; who has not looks no more after the first."""

FIRST_REST, LONGEST_REST = 4, 64
"""After such misses so many answers are slept for before one is looked for: few at first by a
reader who has never found one, then each time twice as many."""

_looking = threading.Lock()
"""Held while a thread of this process looks. Where several wait, there is no processor to spare."""


class Receiver(Protocol):
    """A blocking socket."""

    def recv(self, size: int, flags: int = 0, /) -> bytes: ...


class Patience:
    """Whether looking pays at the moment, as one reader of one socket finds it."""

    __slots__ = ("_misses_left", "_rest", "_sleeps")

    def __init__(self) -> None:
        self._sleeps = 0 if _processors() > 1 else math.inf
        self._misses_left = 1
        self._rest = FIRST_REST

    def receive(self, sock: Receiver, size: int) -> bytes:
        """`sock.recv(size)`. Raises what it raises."""
        if self._sleeps:
            self._sleeps -= 1
            return sock.recv(size)
        if not _looking.acquire(blocking=False):
            return sock.recv(size)
        try:
            found = _looked_for(sock, size)
        finally:
            _looking.release()
        if found is None:
            self._miss()
            return sock.recv(size)
        self._misses_left, self._rest = MISSES_TOLERATED, LONGEST_REST
        return found

    def _miss(self) -> None:
        self._misses_left -= 1
        if self._misses_left <= 0:
            self._sleeps, self._rest = self._rest, min(2 * self._rest, LONGEST_REST)


def _looked_for(sock: Receiver, size: int) -> bytes | None:
    """What comes soon; None if nothing does."""
    until = time.perf_counter() + LOOKING_SECONDS
    while True:
        try:
            return sock.recv(size, socket.MSG_DONTWAIT)
        except BlockingIOError:
            if time.perf_counter() >= until:
                return None


def _processors() -> int:
    try:
        return len(os.sched_getaffinity(0))
    except OSError:  # a worker is not told
        return 2
