"""Recursive Language Models: a model answers questions over huge contexts by writing code.

Start at `RLM`. Names are imported when they are first used, so that `import rlm_core` is quick.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rlm_core.adapters.base import ModelAdapter, ModelResponse, Usage
    from rlm_core.cache import CacheRecord, FileCache
    from rlm_core.context import Context
    from rlm_core.errors import ConfigError, ContextError, RLMError, RunCancelled
    from rlm_core.events import RLMEvent, RLMEventListener
    from rlm_core.policy import (
        MaxCostExceeded,
        MaxRecursionExceeded,
        MaxSecondsExceeded,
        MaxStepsExceeded,
        MaxSubcallsExceeded,
        MaxTokensExceeded,
        Policy,
        PolicyError,
        Price,
        estimate_tokens,
    )
    from rlm_core.provider import ProviderLimits
    from rlm_core.rlm import RLM, RunResult, RunUsage
    from rlm_core.router import ExecutionProfile, RouterConfig, RouterResult, SmartRouter
    from rlm_core.stimuli import Ending, RunStatus
    from rlm_core.trace import Trace, TraceStep
    from rlm_core.trace_format import TraceFormatter
    from rlm_sandbox import ExecResult, Limits, PythonREPL

_HOMES = {
    "rlm_core.adapters.base": ("ModelAdapter", "ModelResponse", "Usage"),
    "rlm_core.cache": ("CacheRecord", "FileCache"),
    "rlm_core.context": ("Context",),
    "rlm_core.errors": ("ConfigError", "ContextError", "RLMError", "RunCancelled"),
    "rlm_core.events": ("RLMEvent", "RLMEventListener"),
    "rlm_core.policy": (
        "MaxCostExceeded",
        "MaxRecursionExceeded",
        "MaxSecondsExceeded",
        "MaxStepsExceeded",
        "MaxSubcallsExceeded",
        "MaxTokensExceeded",
        "Policy",
        "PolicyError",
        "Price",
        "estimate_tokens",
    ),
    "rlm_core.provider": ("ProviderLimits",),
    "rlm_core.rlm": ("RLM", "RunResult", "RunUsage"),
    "rlm_core.router": ("ExecutionProfile", "RouterConfig", "RouterResult", "SmartRouter"),
    "rlm_core.stimuli": ("Ending", "RunStatus"),
    "rlm_core.trace": ("Trace", "TraceStep"),
    "rlm_core.trace_format": ("TraceFormatter",),
    "rlm_sandbox": ("ExecResult", "Limits", "PythonREPL"),
}
_HOME = {name: home for home, names in _HOMES.items() for name in names}

__all__ = [
    "RLM",
    "CacheRecord",
    "ConfigError",
    "Context",
    "ContextError",
    "Ending",
    "ExecResult",
    "ExecutionProfile",
    "FileCache",
    "Limits",
    "MaxCostExceeded",
    "MaxRecursionExceeded",
    "MaxSecondsExceeded",
    "MaxStepsExceeded",
    "MaxSubcallsExceeded",
    "MaxTokensExceeded",
    "ModelAdapter",
    "ModelResponse",
    "Policy",
    "PolicyError",
    "Price",
    "ProviderLimits",
    "PythonREPL",
    "RLMError",
    "RLMEvent",
    "RLMEventListener",
    "RouterConfig",
    "RouterResult",
    "RunCancelled",
    "RunResult",
    "RunStatus",
    "RunUsage",
    "SmartRouter",
    "Trace",
    "TraceFormatter",
    "TraceStep",
    "Usage",
    "estimate_tokens",
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
