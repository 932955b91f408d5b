"""The local engine: one thread a task, and each task's code in a sandbox of its own."""

from __future__ import annotations

import threading
import time
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING

from rlm_core.batch.outcome import failure

if TYPE_CHECKING:
    from rlm_core.batch.answerer import Answerer
    from rlm_core.batch.outcome import Outcome
    from rlm_core.batch.schedule import Attempt

CLOSE_SECONDS = 10.0
"""How long threads are waited for at the end; one that cannot be stopped is left to itself."""


class LocalEngine:
    """Answers tasks in threads of this process. See `Engine`."""

    def __init__(self, answerer: Answerer, *, concurrency: int) -> None:
        self.slots = concurrency
        self._answerer = answerer
        self._given: SimpleQueue[Attempt | None] = SimpleQueue()
        self._ended: SimpleQueue[tuple[str, Outcome] | None] = SimpleQueue()
        self._threads: list[threading.Thread] = []
        self._busy = 0

    def start(self, attempt: Attempt) -> None:
        """Begin an attempt; a thread is made where all are at work."""
        self._busy += 1
        if self._busy > len(self._threads):
            thread = threading.Thread(target=self._serve, name="rlm-batch", daemon=True)
            thread.start()
            self._threads.append(thread)
        self._given.put(attempt)

    def wait(self, seconds: float) -> list[tuple[str, Outcome]]:
        """All that has ended by the time that something has, or that `seconds` are over."""
        ended: list[tuple[str, Outcome]] = []
        try:
            first = self._ended.get(timeout=max(0.0, seconds))
            while True:
                if first is not None:
                    ended.append(first)
                first = self._ended.get_nowait()
        except Empty:
            self._busy -= len(ended)
            return ended

    def wake(self) -> None:
        """Have `wait` return."""
        self._ended.put(None)

    def stop(self) -> None:
        """Cancel what runs."""
        self._answerer.stop()

    def close(self) -> None:
        """End the threads."""
        for _ in self._threads:
            self._given.put(None)
        deadline = time.monotonic() + CLOSE_SECONDS
        for thread in self._threads:
            thread.join(max(0.0, deadline - time.monotonic()))

    def _serve(self) -> None:
        while (attempt := self._given.get()) is not None:
            self._ended.put((attempt.task.id, self._outcome(attempt)))

    def _outcome(self, attempt: Attempt) -> Outcome:
        try:
            return self._answerer.answer(attempt)
        except BaseException as error:  # noqa: BLE001 - sys.exit() ends a thread, and nobody knew
            return failure(error)
