"""Whole runs: episodes a second, many subcalls at once, what a long run costs a step."""

from __future__ import annotations

from functools import partial

from scripts.benches.arena import Arena
from scripts.benches.figures import OURS, Figure, Taken, Unit, bound, floor, peer
from scripts.benches.samples import Series

LONG_RUN = 500
LONG_NOTE = "long run"
EARLY = "step 5"
ALONE = "ours, without a pool"
CONCURRENT = 100
SUBCALLS = {
    "batch": ("`llm_batch`", 0.060, ("pyrlm", "monty", "rlms")),
    "threads": ("threads of the code", 0.080, ()),
}


def _episodes(arena: Arena) -> Taken:
    runs = arena.contender("runs")
    ours = {
        OURS: partial(runs.ask, "episodes", count=3),
        ALONE: partial(runs.ask, "episodes_alone", count=3),
    }
    peers = arena.of_peers("episodes", "pyrlm", "rlms", count=3)
    return Taken(arena.take(ours | peers, 15))


def _subcalls(arena: Arena, way: str) -> Taken:
    ours = partial(arena.contender("runs").ask, "subcalls", way=way, count=CONCURRENT)
    known = SUBCALLS[way][2]
    others = arena.of_peers("subcalls", *known, way=way, count=CONCURRENT) if known else {}
    return Taken(arena.take({OURS: ours, **others}, 10))


def _bookkeeping(arena: Arena) -> Taken:
    """The steps around the fifth and the last of the same run, some runs."""
    runs = long_run(arena)
    early = tuple(tuple(steps[2:32]) for steps in runs)
    late = tuple(tuple(steps[-30:]) for steps in runs)
    return Taken({OURS: Series(late), EARLY: Series(early)})


def long_run(arena: Arena) -> list[list[float]]:
    """Seconds of each step of some long runs; measured once."""
    if LONG_NOTE not in arena.notes:
        ask = partial(arena.contender("runs").ask, "bookkeeping", steps=LONG_RUN, within=300.0)
        arena.notes[LONG_NOTE] = [ask() for _ in range(arena.rounds(4))]
    return arena.notes[LONG_NOTE]


FIGURES = (
    Figure(
        "episodes",
        "whole episodes a second: 10 steps, 20 subcalls, 1 MB, trace and cache on",
        Unit.RATE,
        (peer("pyrlm", at_least=1.5),),
        _episodes,
        20.0,
    ),
    *(
        Figure(
            f"subcalls-{way}",
            f"{CONCURRENT} subcalls of 50 ms by {words}",
            Unit.SECONDS,
            (bound(f"{limit * 1000:.0f} ms", limit), *(peer(name) for name in peers)),
            partial(_subcalls, way=way),
        )
        for way, (words, limit, peers) in SUBCALLS.items()
    ),
    Figure(
        "bookkeeping",
        f"step {LONG_RUN} of a run, against step 5",
        Unit.SECONDS,
        (floor(EARLY, 1.1),),
        _bookkeeping,
        30.0,
    ),
)
