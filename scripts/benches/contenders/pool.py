"""Workers that stand ready: `SandboxPool`."""

from __future__ import annotations

import os
import threading

from rlm_sandbox import SandboxPool
from scripts.benches.contenders import kernels
from scripts.benches.contenders.stage import descendants, now, proportional_memory

SIZE = 4
FURTHER = 8
LOOK_SECONDS = 0.002
SETTLE_SECONDS = 0.02
"""After the last spare is there, what is still going on in the background may end."""


class _Standing:
    """A pool that stays from round to round."""

    def __init__(self) -> None:
        self._pool: SandboxPool | None = None

    def full(self) -> SandboxPool:
        """The pool, once all of its spares are ready."""
        if self._pool is None:
            self._pool = SandboxPool(SIZE, isolation="full")
        _await(self._pool, SIZE)
        return self._pool


def _await(pool: SandboxPool, ready: int) -> None:
    pause = threading.Event()
    while pool.ready < ready:
        pause.wait(LOOK_SECONDS)
    pause.wait(SETTLE_SECONDS)


STANDING = _Standing()


def spare(count: int) -> list[float]:
    """Seconds from a worker that stands ready to its first result."""
    seconds = []
    for _ in range(count):
        pool = STANDING.full()
        began = now()
        with pool.checkout() as box:
            box.exec("x = 1")
            seconds.append(now() - began)
    return seconds


# --- many workers on one context ------------------------------------------------------------------


def further_seconds(size: int) -> list[float]:
    """Seconds of each further worker on a text that the first one has already."""
    with _on_text(size, 1 + FURTHER) as pool:
        began, before = now(), pool.ready
        _await(pool, 1 + FURTHER)
        return [(now() - began - SETTLE_SECONDS) / (1 + FURTHER - before)]


def further_bytes(size: int) -> list[float]:
    """PSS of each further worker on the same text, all processes counted."""
    held = []
    for workers in (1, 1 + FURTHER):
        with _on_text(size, workers) as pool:
            _await(pool, workers)
            held.append(proportional_memory(descendants(os.getpid())))
    return [(held[1] - held[0]) / FURTHER]


def _on_text(size: int, workers: int) -> SandboxPool:
    text = kernels.text(size, "ascii").decode()
    return SandboxPool(workers, isolation="full", context=text)


TASKS = {"spare": spare, "further_seconds": further_seconds, "further_bytes": further_bytes}
