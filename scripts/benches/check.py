"""Compares a run with an earlier one: which ratios have grown, beyond what noise explains."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from scripts.benches.figures import Kind, Unit
from scripts.benches.report import Comparison, Report, Row
from scripts.benches.table import ratio

TOLERANCE = 0.25
"""What a ratio may lose beyond its notches: two runs on a shared machine differ by that much."""

STEADY = (Unit.BYTES, Unit.TIMES)
"""Units that do not depend on how fast the machine is: bounds of them are compared too."""


@dataclass(frozen=True)
class Worse:
    """A ratio that has become worse."""

    row: str
    base: str
    before: float
    now: float

    def __str__(self) -> str:
        return f"{self.row} against {self.base}: {ratio(self.before)} -> {ratio(self.now)}"


@dataclass(frozen=True)
class Verdict:
    """What came of it. `failed` rows were measured before and could not be now."""

    worse: tuple[Worse, ...]
    failed: tuple[str, ...]
    compared: int


def compare(now: Report, before: Report, tolerance: float = TOLERANCE) -> Verdict:
    """Every ratio that both runs have. Times are not compared: they belong to a machine."""
    pairs = list(_pairs(now, before))
    worse = [
        Worse(row.name, new.base, old.ratio, new.ratio)
        for row, new, old in pairs
        if _is_worse(row.unit, new, old, tolerance)
    ]
    sound = {row.name for row in before.rows if row.failure is None}
    failed = [row.name for row in now.rows if row.failure is not None and row.name in sound]
    return Verdict(tuple(worse), tuple(failed), len(pairs))


def _pairs(now: Report, before: Report) -> Iterator[tuple[Row, Comparison, Comparison]]:
    known = {
        (row.name, *_key(comparison)): comparison
        for row in before.rows
        for comparison in row.comparisons
    }
    for row in now.rows:
        for comparison in row.comparisons:
            old = known.get((row.name, *_key(comparison)))
            if old is not None and _comparable(row, comparison):
                yield row, comparison, old


def _key(comparison: Comparison) -> tuple[str, float | None]:
    return comparison.base, comparison.share


def _comparable(row: Row, comparison: Comparison) -> bool:
    """Percentiles are left out: a single pause of the machine moves them."""
    if comparison.share is not None:
        return False
    return comparison.kind != Kind.BOUND or row.unit in STEADY


def _is_worse(unit: Unit, new: Comparison, old: Comparison, tolerance: float) -> bool:
    """Beyond the tolerance, and even where both are read in favour of the new one."""
    if unit is Unit.RATE:  # more is better
        return new.ratio < old.ratio / (1 + tolerance) and new.high < old.low
    return new.ratio > old.ratio * (1 + tolerance) and new.low > old.high


def told(verdict: Verdict) -> str:
    """For people."""
    lines = [f"worse: {one}" for one in verdict.worse]
    lines += [f"not measured any more: {name}" for name in verdict.failed]
    lines.append(f"{verdict.compared} ratios compared, {len(verdict.worse)} worse")
    return "\n".join(lines)
