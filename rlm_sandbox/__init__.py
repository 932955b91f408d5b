"""A Python REPL in a sealed, resource-limited child process, with host functions.

It knows nothing of language models. Start at `Sandbox`.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rlm_sandbox.errors import (
        AnswerLost,
        CheckpointUnavailable,
        ControllerExhausted,
        IsolationUnavailable,
        NameNotFound,
        PackageUnavailable,
        PoolExhausted,
        SandboxBusy,
        SandboxClosed,
        SandboxError,
        SessionLost,
        StartFailed,
        ValueRefused,
    )
    from rlm_sandbox.host.nursery import recycle_zygotes
    from rlm_sandbox.limits import Limits
    from rlm_sandbox.modules import Modules
    from rlm_sandbox.pool import SandboxPool
    from rlm_sandbox.repl import PythonREPL
    from rlm_sandbox.result import ExecResult, Outcome, State
    from rlm_sandbox.sandbox import Checkpoint, Sandbox

__all__ = [
    "AnswerLost",
    "Checkpoint",
    "CheckpointUnavailable",
    "ControllerExhausted",
    "ExecResult",
    "IsolationUnavailable",
    "Limits",
    "Modules",
    "NameNotFound",
    "Outcome",
    "PackageUnavailable",
    "PoolExhausted",
    "PythonREPL",
    "Sandbox",
    "SandboxBusy",
    "SandboxClosed",
    "SandboxError",
    "SandboxPool",
    "SessionLost",
    "StartFailed",
    "State",
    "ValueRefused",
    "recycle_zygotes",
]

_HOMES = {
    "Checkpoint": "sandbox",
    "ExecResult": "result",
    "Limits": "limits",
    "Modules": "modules",
    "Outcome": "result",
    "PythonREPL": "repl",
    "Sandbox": "sandbox",
    "SandboxPool": "pool",
    "State": "result",
    "recycle_zygotes": "host.nursery",
}


def __getattr__(name: str) -> object:
    """Import a public name when it is first used: the worker imports this package too."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(f"{__name__}.{_HOMES.get(name, 'errors')}"), name)
    globals()[name] = value
    return value
