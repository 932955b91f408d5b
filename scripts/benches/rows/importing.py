"""What stands before everything else: imports and the command line."""

from __future__ import annotations

from functools import partial

from scripts.benches.arena import Arena
from scripts.benches.figures import OURS, Figure, Taken, Unit, bound
from scripts.benches.samples import Series

BARE = "python -c pass"


def _imported(arena: Arena) -> Taken:
    """What the import adds, round by round."""
    sides = {
        OURS: arena.floor("run", arguments=["-c", "import rlm_core"], count=1),
        BARE: arena.floor("run", arguments=["-c", "pass"], count=1),
    }
    taken = arena.take(sides, 20)
    more = zip(taken[OURS].medians, taken[BARE].medians, strict=True)
    return Taken({OURS: Series(tuple((ours - bare,) for ours, bare in more)), BARE: taken[BARE]})


def _helped(arena: Arena) -> Taken:
    sides = {
        OURS: arena.floor("run", arguments=["-m", "rlm_core.cli", "--help"], count=1),
        BARE: arena.floor("run", arguments=["-c", "pass"], count=1),
    }
    return Taken(arena.take(sides, 20))


FIGURES = (
    Figure(
        "import",
        "`import rlm_core`, beyond bare Python",
        Unit.SECONDS,
        (bound("60 ms", 0.060),),
        partial(_imported),
    ),
    Figure("help", "`rlm --help`", Unit.SECONDS, (bound("0.15 s", 0.15),), _helped),
)
