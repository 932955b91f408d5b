"""A figure: what is measured, in what unit, and what is promised of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

from scripts.benches.samples import Series

if TYPE_CHECKING:
    from scripts.benches.arena import Arena

OURS = "ours"


class Unit(StrEnum):
    """What the values of a figure are."""

    SECONDS = "s"
    RATE = "1/s"
    BYTES = "B"
    TIMES = "x"


class Kind(StrEnum):
    """What a figure is compared with."""

    FLOOR = "floor"
    PEER = "peer"
    BOUND = "bound"  # an amount that was promised, not measured


@dataclass(frozen=True)
class Promise:
    """Ours is at most (or at least) `times` the base. None: compared, and nothing promised."""

    base: str
    """The name of a side of the figure; of a bound, its words: "60 ms"."""
    kind: Kind
    at_most: float | None = None
    at_least: float | None = None
    share: float | None = None
    """A percentile of ours instead of its median, against the base's median: 0.99."""
    bound: float | None = None
    """The amount of a bound, in the figure's unit."""


def floor(base: str, at_most: float | None = None, at_least: float | None = None) -> Promise:
    return Promise(base, Kind.FLOOR, at_most, at_least)


def floor_p99(base: str, at_most: float) -> Promise:
    return Promise(base, Kind.FLOOR, at_most, share=0.99)


def peer(base: str, at_most: float | None = None, at_least: float | None = None) -> Promise:
    return Promise(base, Kind.PEER, at_most, at_least)


def bound(words: str, amount: float) -> Promise:
    """At most this amount."""
    return Promise(words, Kind.BOUND, at_most=1.0, bound=amount)


@dataclass(frozen=True)
class Taken:
    """What measuring a figure gave: a series a side, and parts of ours worth a look."""

    sides: Mapping[str, Series]
    parts: Mapping[str, float] = field(default_factory=dict)
    """Of the figure's unit, such as the bytes of each process."""


@dataclass(frozen=True)
class Figure:
    """One row of the table."""

    name: str
    title: str
    unit: Unit
    promises: tuple[Promise, ...]
    measure: Callable[[Arena], Taken]
    seconds: float = 5.0
    """About how long it takes."""

    @property
    def family(self) -> str:
        """The part of the name that selects all of its kin."""
        return self.name.partition("-")[0]
