"""Code inside that only computes, against plain CPython."""

from __future__ import annotations

from functools import partial

from scripts.benches.arena import Arena
from scripts.benches.contenders.kernels import KERNELS
from scripts.benches.figures import OURS, Figure, Taken, Unit, floor, peer

PLAIN = "python -I -S"


def _computed(arena: Arena, kernel: str) -> Taken:
    sides = {
        OURS: arena.ours("computed", kernel=kernel),
        PLAIN: arena.floor("computed", kernel=kernel),
    }
    return Taken(arena.take(sides | arena.of_peers("computed", "monty", kernel=kernel), 25))


FIGURES = tuple(
    Figure(
        f"cpu-{kernel}",
        f"code that computes: {kernel}",
        Unit.SECONDS,
        (floor(PLAIN, 1.03), peer("monty")),
        partial(_computed, kernel=kernel),
    )
    for kernel in KERNELS
)
