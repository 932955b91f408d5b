"""What a worker holds while nothing runs in it."""

from __future__ import annotations

from functools import partial

from scripts.benches.arena import Arena
from scripts.benches.figures import OURS, Figure, Taken, Unit, bound, peer
from scripts.benches.samples import Series


def _idle(arena: Arena, *, stepped: bool) -> Taken:
    count = 4 if arena.quick else 12
    found = [
        arena.contender("ours").ask("idle", count=count, stepped=stepped)
        for _ in range(arena.rounds(5))
    ]
    sides = {OURS: Series(tuple((one["total"],) for one in found))}
    for name, sample in arena.of_peers("idle", count=count).items():
        sides |= arena.take({name: sample}, 5)
    return Taken(sides, {name: value for name, value in found[-1].items() if name != "total"})


FIGURES = (
    Figure(
        "idle-spare",
        "memory of one more worker (PSS of all its processes), before its first step",
        Unit.BYTES,
        (bound("1.0 MB", 1.0e6), peer("monty")),
        partial(_idle, stepped=False),
    ),
    Figure(
        "idle-live",
        "the same after a step, with a checkpoint",
        Unit.BYTES,
        (bound("2.0 MB", 2.0e6), peer("monty")),
        partial(_idle, stepped=True),
    ),
)
