"""What a step of a live session costs, and a call of a host function out of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial

from scripts.benches.arena import Arena
from scripts.benches.figures import OURS, Figure, Taken, Unit, floor, floor_p99, peer
from scripts.benches.samples import Series, added

LEAST = "ping-pong + compile, exec"
PINGPONG = "ping-pong"
SPINNING = "ping-pong, spinning"
SPUN = "spinning ping-pong + compile, exec"
UNSAVED = "without checkpoint"
THINKING = 0.005


@dataclass(frozen=True)
class Placement:
    """Where the two ends of a conversation run."""

    name: str
    words: str
    cores: int
    """How many of the arena's cores the controller may use."""
    apart: bool = False

    def arguments(self, arena: Arena) -> dict[str, object]:
        """What a task is told of it."""
        first, *others = arena.cores
        return {"apart": [[first], others or [first]]} if self.apart else {}

    def on(self, arena: Arena) -> tuple[int, ...]:
        """The cores that a contender is started on."""
        return tuple(arena.cores[: self.cores])


PLACEMENTS = (
    Placement("one", "both ends on one core", 1),
    Placement("two", "an end each on two cores", 2, apart=True),
    Placement("free", "as the kernel places them", 0),
)


def _steps(arena: Arena, placement: Placement) -> Taken:
    cores, where = placement.on(arena), placement.arguments(arena)
    ours, bare = arena.contender("ours", cores), arena.contender("floor", cores)
    taken = arena.take(
        {
            OURS: partial(ours.ask, "steps", count=100, **where),
            PINGPONG: partial(bare.ask, "pingpong", count=100, **where),
            SPINNING: partial(bare.ask, "pingpong", count=20, receiver="spinning", **where),
            "exec": partial(bare.ask, "compiled_and_run", count=100),
            **arena.of_peers("steps", cores=cores, count=100, **where),
        },
        30,
    )
    return Taken(_with_least(taken))


def _with_least(taken: dict[str, Series]) -> Mapping[str, Series]:
    """The floor: what is measured on its own, added."""
    inside = taken.pop("exec")
    taken[LEAST] = added(taken.pop(PINGPONG), inside)
    taken[SPUN] = added(taken.pop(SPINNING), inside)
    return taken


def _callbacks(arena: Arena, placement: Placement) -> Taken:
    cores, where = placement.on(arena), placement.arguments(arena)
    ours, bare = arena.contender("ours", cores), arena.contender("floor", cores)
    taken = arena.take(
        {
            OURS: partial(ours.ask, "callbacks", count=500, **where),
            PINGPONG: partial(bare.ask, "pingpong", count=500, **where),
            SPINNING: partial(bare.ask, "pingpong", count=100, receiver="spinning", **where),
            **arena.of_peers("callbacks", cores=cores, count=500, **where),
        },
        20,
    )
    rates = {base: taken[base].map(_rate) for base in (PINGPONG, SPINNING)}
    return Taken(taken | rates)


def _rate(seconds: float) -> float:
    return 1 / seconds


def _checkpoint(arena: Arena) -> Taken:
    sides = {
        name: arena.ours("steps", count=10, thinking=THINKING, checkpoints=checkpoints)
        for name, checkpoints in ((OURS, True), (UNSAVED, False))
    }
    return Taken(arena.take(sides, 25))


def _unpaused(arena: Arena) -> Taken:
    sides = {
        name: arena.ours("steps", count=30, checkpoints=checkpoints)
        for name, checkpoints in ((OURS, True), (UNSAVED, False))
    }
    return Taken(arena.take(sides, 20))


def _step_figure(placement: Placement) -> Figure:
    return Figure(
        f"exec-{placement.name}",
        f"exec of a short new line, not saved, {placement.words}",
        Unit.SECONDS,
        (floor(LEAST, 1.3), floor_p99(LEAST, 3.0), floor(SPUN), peer("monty", 1.0)),
        partial(_steps, placement=placement),
    )


def _callback_figure(placement: Placement) -> Figure:
    promised = 7.0 if placement.name == "one" else 1.0
    return Figure(
        f"callbacks-{placement.name}",
        f"host callbacks a second, {placement.words}",
        Unit.RATE,
        (floor(PINGPONG, at_least=0.8), floor(SPINNING), peer("monty", at_least=promised)),
        partial(_callbacks, placement=placement),
    )


FIGURES = (
    *map(_step_figure, PLACEMENTS),
    Figure(
        "checkpoint",
        "exec after 5 ms of thinking, the state saved meanwhile",
        Unit.SECONDS,
        (floor(UNSAVED, 1.2),),
        _checkpoint,
    ),
    Figure(
        "checkpoint-unpaused",
        "exec one after the other without a pause, each saved",
        Unit.SECONDS,
        (floor(UNSAVED),),
        _unpaused,
    ),
    *map(_callback_figure, PLACEMENTS),
)
