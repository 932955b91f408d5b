"""Cost by size: contexts, steps, workers, concurrency, each with the line it should follow."""

from __future__ import annotations

import statistics
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from scripts.benches.arena import Arena
from scripts.benches.contender import ContenderFailed
from scripts.benches.contenders.episodes import LATENCY
from scripts.benches.figures import OURS, Unit
from scripts.benches.report import Curve, Point
from scripts.benches.rows import crowds, whole_runs
from scripts.benches.rows.contexts import sides_of

SIZES = tuple(10**power for power in range(3, 10))
QUICK_SIZES = SIZES[:4]
ROUNDS = 3
CONCURRENCIES = (1, 2, 4, 8, 16, 32, 64, 128, 256)
AROUND = 0.2
"""A point of a long row is the median of its neighbours, so far to each side."""


@dataclass(frozen=True)
class Plan:
    """A curve to be measured."""

    name: str
    title: str
    x: str
    y: Unit
    line: str
    measure: Callable[[Arena], list[Point]]


def curve_of(arena: Arena, plan: Plan) -> Curve:
    """The curve, or why there is none."""
    try:
        points, failure = plan.measure(arena), None
    except ContenderFailed as failed:
        points, failure = [], str(failed)
    return Curve(plan.name, plan.title, plan.x, plan.y, plan.line, points, failure)


def _contexts(arena: Arena) -> list[Point]:
    """The line: what the smallest costs, and what this size costs at least."""
    sizes = QUICK_SIZES if arena.quick else SIZES
    with tempfile.TemporaryDirectory(prefix="bench-") as home:
        found = [_context(arena, size, Path(home) / "text") for size in sizes]
    least = found[0].y - found[0].line
    return [Point(point.x, point.y, least + point.line) for point in found]


def _context(arena: Arena, size: int, file: Path) -> Point:
    taken = arena.take(sides_of(arena, size, "ascii", str(file)), ROUNDS)
    medians = {name: series.median for name, series in taken.items()}
    return Point(size, medians.pop(OURS), sum(medians.values()))


def _steps(arena: Arena) -> list[Point]:
    """The line: what the first steps of the same run cost."""
    steps = whole_runs.long_run(arena)[0]
    early = statistics.median(steps[2:32])
    return [Point(x, y, early) for x, y in _thinned(steps)]


def _openings(arena: Arena) -> list[Point]:
    opening = crowds.crowd(arena)["opening"]
    early = statistics.median(opening[:10])
    return [Point(x, y, early) for x, y in _thinned(opening)]


def _memory(arena: Arena) -> list[Point]:
    """The line: so many times what each of the first ten took."""
    growth = crowds.crowd(arena)["growth"]
    base, first = growth[0][1], next(one for one in growth if one[0] >= 10)
    each = (first[1] - base) / (first[0] - growth[0][0])
    return [Point(x, y, base + (x - growth[0][0]) * each) for x, y in growth]


def _concurrency(arena: Arena) -> list[Point]:
    """The line: what one call takes, since all wait at once."""
    ask = arena.contender("runs").ask
    points = []
    for count in CONCURRENCIES:
        taken = [ask("subcalls", way="batch", count=count)[0] for _ in range(arena.rounds(5))]
        points.append(Point(count, statistics.median(taken), LATENCY))
    return points


def _thinned(values: Sequence[float]) -> Iterator[tuple[int, float]]:
    """At 1, 2, 5, 10, 20, 50, ...: the median of the values around."""
    for number in marks(len(values)):
        low, high = int(number * (1 - AROUND)), max(number, int(number * (1 + AROUND)))
        yield number, statistics.median(values[max(0, low - 1) : high])


def marks(last: int) -> list[int]:
    """1, 2, 5, 10, 20, 50, ... up to the last, which is one of them."""
    found = [lead * 10**power for power in range(6) for lead in (1, 2, 5)]
    return [*(number for number in found if number < last), last]


PLANS = (
    Plan(
        "context-size",
        "A context of a size becomes P",
        "bytes",
        Unit.SECONDS,
        "decode + memfd write + the smallest",
        _contexts,
    ),
    Plan("steps", "A step of a long run", "step", Unit.SECONDS, "the first steps", _steps),
    Plan(
        "workers-open",
        "Opening one more worker",
        "workers that live",
        Unit.SECONDS,
        "the first ten",
        _openings,
    ),
    Plan(
        "workers-memory",
        "Memory of all live workers",
        "workers that live",
        Unit.BYTES,
        "as much for each as for the first ten",
        _memory,
    ),
    Plan(
        "concurrency",
        "So many subcalls of 50 ms at once",
        "subcalls",
        Unit.SECONDS,
        "one alone",
        _concurrency,
    ),
)
