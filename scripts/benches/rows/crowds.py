"""A thousand live sessions on one machine."""

from __future__ import annotations

from functools import partial
from typing import Any

from scripts.benches.arena import Arena
from scripts.benches.figures import OURS, Figure, Promise, Taken, Unit, bound
from scripts.benches.samples import Series

MANY, QUICK = 1_000, 50
NOTE = "crowd"
LOOKS = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000)


def crowd(arena: Arena) -> Any:
    """Opened once for all figures of it."""
    if NOTE not in arena.notes:
        count = QUICK if arena.quick else MANY
        arena.notes[NOTE] = arena.contender("crowd").ask(
            "sessions", count=count, looks=LOOKS, within=900.0
        )
    return arena.notes[NOTE]


def _of_all(arena: Arena, what: str) -> Taken:
    return Taken({OURS: Series((tuple(crowd(arena)[what]),))})


def _slowest(arena: Arena) -> Taken:
    return Taken({OURS: Series(((max(crowd(arena)["answering"]),),))})


def _figure(name: str, title: str, unit: Unit, *promises: Promise, what: str) -> Figure:
    return Figure(f"sessions-{name}", title, unit, promises, partial(_of_all, what=what), 30.0)


FIGURES = (
    _figure("open", "opening one of 1,000 live sessions", Unit.SECONDS, what="opening"),
    Figure(
        "sessions-answer",
        "the slowest first answer of 1,000 live sessions",
        Unit.SECONDS,
        (bound("1 s", 1.0),),
        _slowest,
    ),
    _figure("memory", "memory of all of them", Unit.BYTES, bound("3 GB", 3e9), what="memory"),
)
