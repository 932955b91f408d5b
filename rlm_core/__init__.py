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
    from rlm_core.errors import (
        AnswerMistyped,
        ConfigError,
        ContextError,
        RLMError,
        RunCancelled,
        StepCancelled,
        ToolError,
        TraceError,
    )
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
    from rlm_core.prelude import helper_modules
    from rlm_core.provider import ProviderLimits
    from rlm_core.replay import Difference, Replay
    from rlm_core.rlm import RLM, RunResult, RunUsage
    from rlm_core.router import ExecutionProfile, RouterConfig, RouterResult, SmartRouter
    from rlm_core.running import Running
    from rlm_core.stimuli import Ending, RunStatus
    from rlm_core.tools import Tool, ToolLimits, tool
    from rlm_core.trace import Trace, TraceStep
    from rlm_core.trace_format import TraceFormatter
    from rlm_sandbox import ExecResult, Limits, PythonREPL

_HOMES = {
    "rlm_core.adapters.base": ("ModelAdapter", "ModelResponse", "Usage"),
    "rlm_core.cache": ("CacheRecord", "FileCache"),
    "rlm_core.context": ("Context",),
    "rlm_core.errors": (
        "AnswerMistyped",
        "ConfigError",
        "ContextError",
        "RLMError",
        "RunCancelled",
        "StepCancelled",
        "ToolError",
        "TraceError",
    ),
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
    "rlm_core.prelude": ("helper_modules",),
    "rlm_core.provider": ("ProviderLimits",),
    "rlm_core.replay": ("Difference", "Replay"),
    "rlm_core.rlm": ("RLM", "RunResult", "RunUsage"),
    "rlm_core.router": ("ExecutionProfile", "RouterConfig", "RouterResult", "SmartRouter"),
    "rlm_core.running": ("Running",),
    "rlm_core.stimuli": ("Ending", "RunStatus"),
    "rlm_core.tools": ("Tool", "ToolLimits", "tool"),
    "rlm_core.trace": ("Trace", "TraceStep"),
    "rlm_core.trace_format": ("TraceFormatter",),
    "rlm_sandbox": ("ExecResult", "Limits", "PythonREPL"),
}
_HOME = {name: home for home, names in _HOMES.items() for name in names}

__all__ = [
    "RLM",
    "AnswerMistyped",
    "CacheRecord",
    "ConfigError",
    "Context",
    "ContextError",
    "Difference",
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
    "Replay",
    "RouterConfig",
    "RouterResult",
    "RunCancelled",
    "RunResult",
    "RunStatus",
    "RunUsage",
    "Running",
    "SmartRouter",
    "StepCancelled",
    "Tool",
    "ToolError",
    "ToolLimits",
    "Trace",
    "TraceError",
    "TraceFormatter",
    "TraceStep",
    "Usage",
    "estimate_tokens",
    "helper_modules",
    "tool",
]


_ELSEWHERE = {
    "give the code your search functions: RLM(tools=[search]) or RLM(functions={...})": (
        "AsyncElasticsearchRetriever",
        "AsyncRetrieverProtocol",
        "ElasticsearchRetriever",
        "RetrieverProtocol",
    ),
    "convert documents to text first (Context.from_documents), or give the code a reader": (
        "DocIndexStoreProtocol",
        "DocInfo",
        "DocumentCache",
        "DocumentPolicy",
        "DocumentPolicyError",
        "MaxPDFsExceeded",
        "MaxPagesExceeded",
        "MaxTablesExceeded",
        "PageInfo",
        "PageReaderProtocol",
        "create_doc_tools",
    ),
}
_ADVICE = {name: advice for advice, names in _ELSEWHERE.items() for name in names}
"""Names that programs written for another runtime import, and what to use here."""


def __getattr__(name: str) -> object:
    if name in _ADVICE:
        raise ImportError(f"rlm_core has no {name}: {_ADVICE[name]}")
    home = _HOME.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(home), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
