"""Workers that stand ready: `SandboxPool`."""

from __future__ import annotations

import threading

from rlm_sandbox import SandboxPool
from scripts.benches.contenders.stage import now

SIZE = 4
LOOK_SECONDS = 0.005
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
        pause = threading.Event()
        while self._pool.ready < SIZE:
            pause.wait(LOOK_SECONDS)
        pause.wait(SETTLE_SECONDS)
        return self._pool


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


TASKS = {"spare": spare}
