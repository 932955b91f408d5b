"""What a provider allows: calls at once, and calls a minute, over all runs of an `RLM`."""

from __future__ import annotations

import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Mapping

    from rlm_core.calls import CancelScope

POLL_SECONDS = 0.1  # how soon one that waits for its turn notices that its run was stopped


@dataclass(frozen=True)
class ProviderLimits:
    """What the provider of a model allows. None means no limit."""

    concurrent: int | None = None
    per_minute: float | None = None


class ProviderGate:
    """Lets calls of one model through, as many at once and as often as its provider allows."""

    def __init__(
        self, limits: ProviderLimits, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._limits = limits
        self._clock = clock
        self._lock = threading.Lock()
        self._inside = 0
        self._next = clock()

    @contextmanager
    def passing(self, scope: CancelScope) -> Generator[None]:
        """Wait for a turn, and hold it. Raises RunCancelled when the run is stopped meanwhile."""
        while not self._enter():
            scope.sleep(POLL_SECONDS)
        try:
            scope.sleep(self._turn())
            yield
        finally:
            with self._lock:
                self._inside -= 1

    def _enter(self) -> bool:
        with self._lock:
            most = self._limits.concurrent
            if most is not None and self._inside >= most:
                return False
            self._inside += 1
            return True

    def _turn(self) -> float:
        """Seconds until this call may be made; the turns are spread evenly over the minute."""
        if self._limits.per_minute is None:
            return 0.0
        with self._lock:
            now = self._clock()
            turn = max(now, self._next)
            self._next = turn + 60.0 / self._limits.per_minute
            return turn - now


class Providers:
    """The gates of all models, by model name; "*" stands for every model that is not named.

    Given to several `RLM` as their `provider_limits`, it holds for all of them together.
    """

    def __init__(self, limits: Mapping[str, ProviderLimits] | None = None) -> None:
        self._limits = dict(limits or {})
        self._gates: dict[str | None, ProviderGate] = {}
        self._lock = threading.Lock()

    def gate(self, model: str | None) -> ProviderGate:
        """The gate of a model, the same one each time."""
        with self._lock:
            if model not in self._gates:
                fallback = self._limits.get("*", ProviderLimits())
                self._gates[model] = ProviderGate(self._limits.get(model or "*", fallback))
            return self._gates[model]
