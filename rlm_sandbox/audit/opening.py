"""A sandbox with layers left off: for the audit only, so it is in no public signature."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping

from rlm_sandbox.confine.layers import Layer
from rlm_sandbox.host.keeper import Keeper
from rlm_sandbox.host.nursery import NURSERY, Breed
from rlm_sandbox.host.terms import Terms
from rlm_sandbox.limits import Limits
from rlm_sandbox.protocol import Spawn, WorkerLimits
from rlm_sandbox.sandbox import Sandbox, _allowed_modules


def open_sandbox(
    *,
    limits: Limits,
    functions: Mapping[str, Callable[..., object]],
    imports: str | Collection[str],
    isolation: str = "auto",
    without: frozenset[Layer] = frozenset(),
) -> Sandbox:
    """As `Sandbox(...)`, in the strongest tier that the host offers when `without` is left off.

    Raises IsolationUnavailable, StartFailed.
    """
    box = object.__new__(Sandbox)
    box._take(  # as its own `fork` does
        Keeper.start(
            _breed(isolation, without),
            Spawn(WorkerLimits.of(limits), tuple(functions), _allowed_modules(imports, ())),
            Terms(limits, dict(functions), None),
        )
    )
    return box


def forget_layers(isolation: str, without: frozenset[Layer]) -> None:
    """End what such sandboxes are forked from. One that others may use too is left."""
    if without or isolation != "auto":
        NURSERY.retire(_breed(isolation, without))


def _breed(isolation: str, without: frozenset[Layer]) -> Breed:
    return Breed(isolation, (), without)
