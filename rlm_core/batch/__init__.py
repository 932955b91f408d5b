"""Many questions: each answered once, through crashes, on one machine or many.

Start at `run_batch`. Names are imported when they are first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rlm_core.batch.control import Control
    from rlm_core.batch.errors import (
        BadInput,
        BatchError,
        OutputForeign,
        OutputInUse,
        OutputUnwritable,
    )
    from rlm_core.batch.models import NamedModels, OfflineModels
    from rlm_core.batch.pace import Progress
    from rlm_core.batch.run import run_batch
    from rlm_core.batch.schedule import Why
    from rlm_core.batch.summary import BatchSummary

_HOMES = {
    "rlm_core.batch.control": ("Control",),
    "rlm_core.batch.errors": (
        "BadInput",
        "BatchError",
        "OutputForeign",
        "OutputInUse",
        "OutputUnwritable",
    ),
    "rlm_core.batch.models": ("NamedModels", "OfflineModels"),
    "rlm_core.batch.pace": ("Progress",),
    "rlm_core.batch.run": ("run_batch",),
    "rlm_core.batch.schedule": ("Why",),
    "rlm_core.batch.summary": ("BatchSummary",),
}
_HOME = {name: home for home, names in _HOMES.items() for name in names}

__all__ = [
    "BadInput",
    "BatchError",
    "BatchSummary",
    "Control",
    "NamedModels",
    "OfflineModels",
    "OutputForeign",
    "OutputInUse",
    "OutputUnwritable",
    "Progress",
    "Why",
    "run_batch",
]


def __getattr__(name: str) -> object:
    home = _HOME.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(home), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
