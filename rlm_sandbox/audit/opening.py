"""A sandbox with layers left off: for the audit only, and on purpose not in the public signature."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping

from rlm_sandbox.confine.layers import Layer
from rlm_sandbox.host.keeper import Keeper
from rlm_sandbox.host.link import Terms
from rlm_sandbox.host.zygote import Breed
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
    box._take(  # noqa: SLF001 - as its own `fork` does
        Keeper.start(
            Breed(isolation, (), without),
            Spawn(WorkerLimits.of(limits), tuple(functions), _allowed_modules(imports, ())),
            Terms(limits, dict(functions), None),
        )
    )
    return box
