"""pyrlm-runtime: runs the code in its own process, with no isolation."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

from scripts.benches.contenders.episodes import Runtime
from scripts.benches.contenders.stage import now, numbered, timed

CONCURRENT = 256


def _options(_: Path) -> dict[str, Any]:
    return {"parallel_subcalls": True, "max_concurrent_subcalls": CONCURRENT}


RUNTIME = Runtime("pyrlm_runtime", _options)
_LINES = numbered("x = {}")


def fresh(count: int) -> list[float]:
    """Seconds until a new session has its first result."""
    return timed(lambda: _session().exec("x = 1"), count)


def _session() -> Any:
    return importlib.import_module("pyrlm_runtime.env").PythonREPL()


def steps(count: int, **placement: object) -> list[float]:  # noqa: ARG001 - one process
    """Seconds of short lines in one session."""
    session = _session()
    seconds = []
    for _ in range(count):
        line = next(_LINES)
        began = now()
        session.exec(line)
        seconds.append(now() - began)
    return seconds


TASKS = {
    "fresh": fresh,
    "steps": steps,
    "episodes": RUNTIME.episodes,
    "subcalls": RUNTIME.subcalls,
    "bookkeeping": RUNTIME.bookkeeping,
}
