"""Measurements taken in turns, so that a noisy machine moves both sides of a ratio."""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

PATIENCE = 8.0
FEWEST_ROUNDS = 2

Sample = Callable[[], Sequence[float]]
"""Takes a few measurements of one side."""


@dataclass(frozen=True)
class Series:
    """What was measured of one side, round by round."""

    rounds: tuple[tuple[float, ...], ...]

    @property
    def values(self) -> list[float]:
        return [value for one in self.rounds for value in one]

    @property
    def median(self) -> float:
        return statistics.median(self.values)

    @property
    def medians(self) -> list[float]:
        """The median of each round."""
        return [statistics.median(one) for one in self.rounds]

    def percentile(self, share: float) -> float:
        """The value that this share of all values does not exceed."""
        ordered = sorted(self.values)
        return ordered[max(0, math.ceil(share * len(ordered)) - 1)]

    def map(self, change: Callable[[float], float]) -> Series:
        return Series(tuple(tuple(map(change, one)) for one in self.rounds))


@dataclass(frozen=True)
class Ratio:
    """How one side compares with another: the median over rounds, and how far that is sure."""

    median: float
    low: float
    high: float


def interleaved(
    sides: Mapping[str, Sample], rounds: int, warmup: int = 1, patience: float = PATIENCE
) -> dict[str, Series]:
    """A B C A B C ...: each side once a round; the rounds of the warm-up are thrown away.

    A side that has taken more than `patience` seconds in all sits the later rounds out.
    """
    taken: dict[str, list[tuple[float, ...]]] = {name: [] for name in sides}
    used = dict.fromkeys(sides, 0.0)
    for number in range(-warmup, rounds):
        for name, sample in sides.items():
            if used[name] > patience and len(taken[name]) >= FEWEST_ROUNDS:
                continue
            began = time.monotonic()
            values = tuple(sample())
            used[name] += time.monotonic() - began
            if number >= 0:
                taken[name].append(values)
    return {name: Series(tuple(rounds)) for name, rounds in taken.items()}


def added(*parts: Series) -> Series:
    """The sum of things that were measured one by one: value by value where there are as many."""
    return Series(
        tuple(
            tuple(map(sum, zip(*rounds, strict=False)))
            for rounds in zip(*(part.rounds for part in parts), strict=False)
        )
    )


def ratio(side: Series, base: Series) -> Ratio:
    """Round by round, since what disturbs a round disturbs both sides of it.

    Where one side has sat rounds out, over those that both took part in.

    `low` and `high` are the notches of a box plot: medians of other runs lie between them nineteen
    times in twenty (McGill, Tukey and Larsen, 1978).
    """
    both = zip(side.medians, base.medians, strict=False)
    return spread([ours / theirs if theirs else math.inf for ours, theirs in both])


def spread(values: Sequence[float]) -> Ratio:
    """The median of some ratios with its notches."""
    median = statistics.median(values)
    if len(values) < 2:
        return Ratio(median, median, median)
    lower, _, upper = statistics.quantiles(values, n=4, method="inclusive")
    notch = 1.57 * (upper - lower) / math.sqrt(len(values))
    return Ratio(median, median - notch, median + notch)
