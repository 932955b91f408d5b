"""This project's whole runs: `rlm_core` over a sealed worker, with trace and cache."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from rlm_sandbox import Limits
from scripts.benches.contenders.episodes import Runtime

CONCURRENT = 256


def _options(home: Path) -> dict[str, Any]:
    return {
        "isolation": "full",
        "trace_path": home / "trace.jsonl",
        "max_concurrent_subcalls": CONCURRENT,
        "limits": Limits(concurrent_calls=CONCURRENT, processes=2 * CONCURRENT),
    }


RUNTIME = Runtime("rlm_core", _options)

TASKS = {
    "episodes": RUNTIME.episodes,
    "subcalls": RUNTIME.subcalls,
    "bookkeeping": RUNTIME.bookkeeping,
}
