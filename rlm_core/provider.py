"""What a provider allows: calls at once, and calls a minute, over all runs of an `RLM`."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rlm_core.turns import Turn, Turns

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from rlm_core.calls import CancelScope


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
        self._turns = Turns(limits.concurrent)
        self._lock = threading.Lock()
        self._next = clock()

    def passing(self, scope: CancelScope) -> Passing:
        """Wait for a turn, and hold it. Raises RunCancelled when the run is stopped meanwhile."""
        return Passing(self, scope)

    def enter(self, scope: CancelScope) -> Turn:
        """Wait for a turn. Raises RunCancelled, and then holds none."""
        turn = self._turns.take(scope)
        try:
            scope.sleep(self._pause())
        except BaseException:
            turn.give_back()
            raise
        return turn

    def _pause(self) -> float:
        """Seconds until this call may be made; the turns are spread evenly over the minute."""
        if self._limits.per_minute is None:
            return 0.0
        with self._lock:
            now = self._clock()
            turn = max(now, self._next)
            self._next = turn + 60.0 / self._limits.per_minute
            return turn - now


class Passing:
    """Lasts as long as a turn is held."""

    __slots__ = ("_gate", "_scope", "_turn")

    def __init__(self, gate: ProviderGate, scope: CancelScope) -> None:
        self._gate = gate
        self._scope = scope

    def __enter__(self) -> None:
        self._turn = self._gate.enter(self._scope)

    def __exit__(self, *_: object) -> None:
        self._turn.give_back()


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
        known = self._gates.get(model)
        if known is not None:
            return known
        with self._lock:
            if model not in self._gates:
                fallback = self._limits.get("*", ProviderLimits())
                self._gates[model] = ProviderGate(self._limits.get(model or "*", fallback))
            return self._gates[model]
