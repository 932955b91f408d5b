"""How soon the session is there again after a step that hangs, dies or takes too much."""

from __future__ import annotations

from functools import partial

from scripts.benches.arena import Arena
from scripts.benches.figures import OURS, Figure, Taken, Unit, bound

LIMIT = 0.2
HANGS = {
    "loop": ("while True: pass", "`while True: pass`"),
    "deaf": (
        "while True:\n try:\n  while True: pass\n except BaseException: pass",
        "a loop that catches everything",
    ),
}
DEATHS = {
    "exit": "`os._exit`",
    "segfault": "a segmentation fault",
    "memory": "8 GB asked for at once",
}


def _hang(arena: Arena, code: str) -> Taken:
    sample = arena.ours("hang", limit=LIMIT, code=code, count=3)
    return Taken(arena.take({OURS: sample}, 8))


def _death(arena: Arena, kind: str) -> Taken:
    return Taken(arena.take({OURS: arena.ours("death", kind=kind, count=3)}, 10))


FIGURES = (
    Figure(
        "hang-loop",
        "beyond the limit, state there: `while True: pass`",
        Unit.SECONDS,
        (bound("5 ms", 0.005),),
        partial(_hang, code=HANGS["loop"][0]),
    ),
    Figure(
        "hang-deaf",
        f"beyond the limit, state there: {HANGS['deaf'][1]}",
        Unit.SECONDS,
        (),
        partial(_hang, code=HANGS["deaf"][0]),
    ),
    *(
        Figure(
            f"death-{kind}",
            f"state of the step before there after {words}",
            Unit.SECONDS,
            (bound("10 ms", 0.010),),
            partial(_death, kind=kind),
        )
        for kind, words in DEATHS.items()
    ),
)
