"""Keeps the other tenant in the midst of a step: between steps its processes would stand still."""

from __future__ import annotations

import threading
from concurrent.futures import Future

from rlm_sandbox.result import ExecResult
from rlm_sandbox.sandbox import Sandbox

MOST_SECONDS = 60.0


class Stay:
    """A host function that returns when the attack is over."""

    def __init__(self) -> None:
        self._here = threading.Event()
        self._over = threading.Event()

    def __call__(self) -> None:
        self._here.set()
        self._over.wait(MOST_SECONDS)

    def begin(self, box: Sandbox, code: str) -> Future[ExecResult]:
        """Run the tenant's code in a step that then stays; returns once it does, or has ended."""
        running: Future[ExecResult] = Future()
        running.add_done_callback(lambda _: self._here.set())
        threading.Thread(
            target=lambda: running.set_result(box.exec(f"{code}\nstay()")), name="rlm-neighbour"
        ).start()
        self._here.wait(MOST_SECONDS)
        return running

    def end(self) -> None:
        """The attack is over."""
        self._over.set()
