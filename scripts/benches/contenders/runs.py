"""This project's whole runs: `rlm_core` over a sealed worker, with trace and cache."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

from rlm_core import helper_modules
from rlm_sandbox import Limits, SandboxPool
from scripts.benches.contenders.episodes import Runtime

CONCURRENT = 256
LIMITS = Limits(concurrent_calls=CONCURRENT, processes=2 * CONCURRENT)
POOL_SIZE = 3


@cache
def _pool() -> SandboxPool:
    """Ends with this process."""
    return SandboxPool(POOL_SIZE, isolation="full", limits=LIMITS, modules=helper_modules())


def _pooled(home: Path) -> dict[str, Any]:
    return {"pool": _pool(), **_recorded(home)}


def _alone(home: Path) -> dict[str, Any]:
    return {"isolation": "full", "limits": LIMITS, **_recorded(home)}


def _recorded(home: Path) -> dict[str, Any]:
    return {"trace_path": home / "trace.jsonl", "max_concurrent_subcalls": CONCURRENT}


POOLED = Runtime("rlm_core", _pooled)
ALONE = Runtime("rlm_core", _alone)

TASKS = {
    "episodes": POOLED.episodes,
    "episodes_alone": ALONE.episodes,
    "subcalls": ALONE.subcalls,
    "bookkeeping": ALONE.bookkeeping,
}
