"""All figures, in the order in which they are measured and shown."""

from __future__ import annotations

from collections.abc import Sequence

from scripts.benches.figures import Figure
from scripts.benches.rows import (
    computing,
    contexts,
    crowds,
    failing,
    importing,
    memory,
    serving,
    starting,
    steps,
    whole_runs,
)

FIGURES: tuple[Figure, ...] = (
    *starting.FIGURES,
    *steps.FIGURES,
    *whole_runs.FIGURES,
    *contexts.FIGURES,
    *memory.FIGURES,
    *crowds.FIGURES,
    *computing.FIGURES,
    *failing.FIGURES,
    *importing.FIGURES,
    *serving.FIGURES,
)


def chosen(names: Sequence[str]) -> list[Figure]:
    """The figures of these names or families, all for none. Raises ValueError for another."""
    known = {figure.name for figure in FIGURES} | {figure.family for figure in FIGURES}
    unknown = [name for name in names if name not in known]
    if unknown:
        raise ValueError(f"no figure is called {', '.join(unknown)}; --list shows all")
    wanted = set(names)
    return [f for f in FIGURES if not wanted or f.name in wanted or f.family in wanted]
