"""How long to look for an answer before sleeping until it comes. Learns from how it went.

To be woken on another processor takes about 40 microseconds; an answer that is there sooner than
that is better looked for. But looking takes a processor from whoever is to answer, where there is
no other free one: then answers do not come while we look, and we stop looking.
"""

from __future__ import annotations

import os
import socket
import time
from typing import Protocol

LOOKING_SECONDS = 100e-6
"""How long one look may last. An exchange with a worker that has little to do takes half of it."""

MISSES_TOLERATED = 3
REST = 64
"""After so many answers in a row that were late, so many are slept for before one is looked for."""


class Receiver(Protocol):
    """A blocking socket."""

    def recv(self, size: int, flags: int = 0, /) -> bytes: ...


class Patience:
    """Whether looking pays at the moment, as one reader of one socket finds it."""

    __slots__ = ("_late", "_slept")

    def __init__(self) -> None:
        self._late = 0 if _processors() > 1 else REST
        self._slept = 0

    def receive(self, sock: Receiver, size: int) -> bytes:
        """`sock.recv(size)`. Raises what it raises."""
        if self._late >= MISSES_TOLERATED:
            self._slept += 1
            if self._slept < REST or self._late >= REST:
                return sock.recv(size)
            self._slept = 0
        until = time.perf_counter() + LOOKING_SECONDS
        while True:
            try:
                data = sock.recv(size, socket.MSG_DONTWAIT)
            except BlockingIOError:
                if time.perf_counter() < until:
                    continue
                self._late = min(self._late + 1, MISSES_TOLERATED)
                return sock.recv(size)
            self._late = 0
            return data


def _processors() -> int:
    try:
        return len(os.sched_getaffinity(0))
    except OSError:  # a worker is not told
        return 2
