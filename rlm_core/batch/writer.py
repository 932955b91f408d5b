"""Results on their way to the disk: as many as have come are made durable at once (group commit).

The file is synchronised in a thread of its own, so that no task waits for a slow disk.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from rlm_core.batch.errors import OutputUnwritable

if TYPE_CHECKING:
    from collections.abc import Callable

    from rlm_core.batch.journal import Journal

MOST_WAITING = 1_000
"""Lines; a disk that is slower than that many holds the tasks back."""


class Writer:
    """Appends lines to a journal in the background. `failed` is called once if that fails."""

    def __init__(self, journal: Journal, failed: Callable[[], object]) -> None:
        self.error: OutputUnwritable | None = None
        self._journal = journal
        self._failed = failed
        self._changed = threading.Condition()
        self._waiting: list[bytes] = []
        self._closed = False
        self._thread = threading.Thread(target=self._serve, name="rlm-results", daemon=True)
        self._thread.start()

    def put(self, line: bytes) -> None:
        """Have this line written soon. It is dropped where nothing can be written any more."""
        with self._changed:
            while len(self._waiting) >= MOST_WAITING and self.error is None:
                self._changed.wait()
            self._waiting.append(line)
            self._changed.notify_all()

    def close(self) -> None:
        """Return when all lines are durable. Raises OutputUnwritable where some are not."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        self._thread.join()
        if self.error is not None:
            raise self.error

    def _serve(self) -> None:
        while (lines := self._take()) is not None:
            try:
                self._journal.append(lines)
            except OutputUnwritable as error:
                with self._changed:
                    self.error = error
                    self._changed.notify_all()
                self._failed()
                return

    def _take(self) -> list[bytes] | None:
        """All lines that wait; None when there will be no more."""
        with self._changed:
            while not self._waiting and not self._closed:
                self._changed.wait()
            lines, self._waiting = self._waiting, []
            self._changed.notify_all()
            return lines or None
