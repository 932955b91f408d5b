"""What a run of the bench found: a document that is written as JSON and read again."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TypeVar

import msgspec
from msgspec import structs

from scripts.benches.figures import OURS, Figure, Promise, Taken, Unit
from scripts.benches.samples import Series, ratio

FORMAT = 1
Named = TypeVar("Named", "Row", "Curve", "PeerState")


class Measured(msgspec.Struct, frozen=True):
    """One side of a row, in the row's unit."""

    median: float
    p99: float
    """What 99 of 100 are better than; of rates, the low ones."""
    low: float
    high: float
    """The quartiles."""
    count: int


class Comparison(msgspec.Struct, frozen=True):
    """Ours against a floor, a peer or a bound."""

    base: str
    kind: str
    ratio: float
    low: float
    high: float
    """Where the ratio of another run is expected to lie."""
    at_most: float | None = None
    at_least: float | None = None
    share: float | None = None

    @property
    def reached(self) -> bool | None:
        """None where nothing was promised."""
        if self.at_most is not None:
            return self.ratio <= self.at_most
        return None if self.at_least is None else self.ratio >= self.at_least


class Row(msgspec.Struct, frozen=True):
    """A figure as it was measured; `failure` says why it was not."""

    name: str
    title: str
    unit: Unit
    sides: dict[str, Measured] = {}
    comparisons: list[Comparison] = []
    parts: dict[str, float] = {}
    missing: list[str] = []
    """Bases that something was promised against and that were not measured: peers left out."""
    failure: str | None = None


class Point(msgspec.Struct, frozen=True):
    """A point of a curve; `line` is where it should be."""

    x: float
    y: float
    line: float


class Curve(msgspec.Struct, frozen=True):
    """Cost by size, and the line that it should follow."""

    name: str
    title: str
    x: str
    """What is on the x axis, with its unit."""
    y: Unit
    line: str
    """What the line is."""
    points: list[Point] = []
    failure: str | None = None


class PeerState(msgspec.Struct, frozen=True):
    """A peer that was asked for, and how that went."""

    name: str
    what: str
    version: str = ""
    python: str = ""
    failure: str | None = None


class Machine(msgspec.Struct, frozen=True):
    """What it ran on."""

    cores: int
    processor: str
    memory: int
    kernel: str
    python: str
    load: float
    """Of the minute before: what else was running."""
    nice: int = 0
    """The priority of the bench and of all that it measured."""


class Report(msgspec.Struct, frozen=True):
    """A whole run."""

    machine: Machine
    rows: list[Row]
    curves: list[Curve] = []
    peers: list[PeerState] = []
    complaints: list[str] = []
    quick: bool = False
    seconds: float = 0.0
    date: str = ""
    format: int = FORMAT


def row_of(figure: Figure, taken: Taken) -> Row:
    """A figure's row from what was measured."""
    promises = [p for p in figure.promises if p.bound is not None or p.base in taken.sides]
    return Row(
        figure.name,
        figure.title,
        figure.unit,
        {name: _measured(series, figure.unit) for name, series in taken.sides.items()},
        [_comparison(promise, taken) for promise in promises],
        dict(taken.parts),
        [promise.base for promise in figure.promises if promise not in promises],
    )


def _measured(series: Series, unit: Unit) -> Measured:
    return Measured(
        series.median,
        series.percentile(0.01 if unit is Unit.RATE else 0.99),
        series.percentile(0.25),
        series.percentile(0.75),
        len(series.values),
    )


def _comparison(promise: Promise, taken: Taken) -> Comparison:
    ours = taken.sides[OURS]
    if promise.bound is not None:
        base = ours.map(lambda _: promise.bound or 0.0)
    else:
        base = taken.sides[promise.base]
    found = ratio(ours, base)
    scale = 1.0 if promise.share is None else ours.percentile(promise.share) / ours.median
    return Comparison(
        promise.base,
        promise.kind.value,
        found.median * scale,
        found.low * scale,
        found.high * scale,
        promise.at_most,
        promise.at_least,
        promise.share,
    )


def merged(new: Report, old: Report) -> Report:
    """The new report, with what only the old one has; the order is that of the old one.

    The sides of a row are always of one run: rows are taken whole. So are curves. Of the machine's
    two states the busier one is told.
    """
    return structs.replace(
        new,
        machine=max(new.machine, old.machine, key=_load),
        rows=_merged(new.rows, old.rows),
        curves=_merged(new.curves, old.curves),
        peers=_merged(new.peers, old.peers),
    )


def _load(machine: Machine) -> float:
    return machine.load


def _merged(new: Sequence[Named], old: Sequence[Named]) -> list[Named]:
    fresh = {one.name: one for one in new}
    kept = [fresh.pop(one.name, one) for one in old]
    return [*kept, *fresh.values()]


def write(report: Report, file: Path) -> None:
    """Write it as JSON for people and programs."""
    file.write_bytes(msgspec.json.format(msgspec.json.encode(report), indent=1) + b"\n")


def read(file: Path) -> Report:
    """A report that was written. Raises ValueError if the file is none, OSError without one."""
    try:
        report = msgspec.json.decode(file.read_bytes(), type=Report)
    except msgspec.DecodeError as error:
        raise ValueError(f"{file} is no report of scripts/bench: {error}") from None
    if report.format != FORMAT:
        raise ValueError(f"{file} has format {report.format}, and this bench reads {FORMAT}")
    return report
