"""How long a worker takes to start, and how many tasks a second can have one of their own."""

from __future__ import annotations

from functools import partial
from typing import Any

from scripts.benches.arena import Arena
from scripts.benches.contenders.kernels import TASK
from scripts.benches.figures import OURS, Figure, Taken, Unit, bound, floor, peer

SPAWN = "python -I -S -c pass"
SPAWNED = "python -I -S a task"
WALL = "2 forks, namespaces, filters: the wall alone"
MILLISECOND = TASK.format(20_000)
THREADS = 2


def _fresh(arena: Arena) -> Taken:
    sides = {
        OURS: arena.ours("fresh", count=3),
        SPAWN: arena.floor("spawn", count=3),
        WALL: partial(arena.contender("wall").ask, "walled", count=3),
    }
    return Taken(arena.take(sides | arena.of_peers("fresh", count=3), 30))


def _spare(arena: Arena) -> Taken:
    ours = partial(arena.contender("pool").ask, "spare", count=4)
    sides = {OURS: ours, SPAWN: arena.floor("spawn", count=4)}
    return Taken(arena.take(sides | arena.of_peers("spare", count=4), 30))


def _tasks(arena: Arena) -> Taken:
    work: dict[str, Any] = {"count": 5, "threads": THREADS, "work": MILLISECOND}
    sides = {
        OURS: arena.ours("tasks", **work),
        SPAWNED: arena.floor("spawned_tasks", **work),
        WALL: partial(arena.contender("wall").ask, "walled_tasks", count=5, threads=THREADS),
    }
    return Taken(arena.take(sides | arena.of_peers("tasks", **work), 20))


def _zygote(arena: Arena) -> Taken:
    return Taken(arena.take({OURS: arena.ours("zygote")}, 15))


FIGURES = (
    Figure(
        "fresh",
        "fresh worker to first result, no pool",
        Unit.SECONDS,
        (floor(SPAWN, 0.35), floor(WALL), peer("monty", 1.0)),
        _fresh,
    ),
    Figure(
        "spare",
        "the same from a pre-forked spare",
        Unit.SECONDS,
        (floor(SPAWN, 0.05), peer("monty", 0.75)),
        _spare,
    ),
    Figure(
        "tasks",
        "start, 1 ms of work, close, on two cores",
        Unit.RATE,
        (floor(SPAWNED, at_least=3.5), floor(WALL), peer("monty", at_least=1.0)),
        _tasks,
    ),
    Figure("zygote", "zygote start to ready", Unit.SECONDS, (bound("60 ms", 0.060),), _zygote),
)
