"""What carries out attempts: threads of this process, or machines of a cluster."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from rlm_core.batch.outcome import Outcome
    from rlm_core.batch.schedule import Attempt


class Engine(Protocol):
    """Takes attempts and gives outcomes. Used by one thread, but for `wake` and `stop`."""

    @property
    def slots(self) -> int:
        """How many attempts it takes at once, at this moment."""
        ...

    def start(self, attempt: Attempt) -> None:
        """Begin an attempt and return at once."""
        ...

    def wait(self, seconds: float) -> list[tuple[str, Outcome]]:
        """The attempts that have ended, by the id of the task; waits that long for the first."""
        ...

    def wake(self) -> None:
        """Have `wait` return soon. May be called in a signal handler."""
        ...

    def stop(self) -> None:
        """Cancel what runs; each attempt still gets its outcome."""
        ...

    def close(self) -> None:
        """Give everything back. What still runs is left to itself."""
        ...
