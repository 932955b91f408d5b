"""The way to end a batch that is under way."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


class Control:
    """Ends a batch from another thread, or from a signal handler. Both leave it resumable."""

    def __init__(self) -> None:
        self.finishing = False
        self.stopping = False
        self._wake: Callable[[], object] | None = None

    @property
    def under_way(self) -> bool:
        """True once tasks may run; before, there is nothing that could be finished."""
        return self._wake is not None

    def finish(self) -> None:
        """Begin no more tasks; what runs may end."""
        self.finishing = True
        if self._wake is not None:
            self._wake()

    def stop(self) -> None:
        """Cancel what runs as well."""
        self.stopping = True
        self.finish()

    def attach(self, wake: Callable[[], object]) -> None:
        """The batch is under way, and is woken by this."""
        self._wake = wake
