"""Counters and histograms, and their text form for Prometheus (exposition format 0.0.4).

https://prometheus.io/docs/instrumenting/exposition_formats/
"""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
SECONDS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0)
"""Upper bounds of a histogram's buckets, from a short reply to a long run."""


@dataclass
class Counter:
    """A sum that only grows, one for each combination of labels."""

    name: str
    told: str
    labels: tuple[str, ...] = ()
    _sums: dict[tuple[str, ...], float] = field(default_factory=dict)

    def add(self, *values: str, amount: float = 1) -> None:
        """Add to the sum with these values of the labels."""
        self._sums[values] = self._sums.get(values, 0) + amount

    def lines(self) -> Iterator[str]:
        """Its lines of the text."""
        yield from _head(self.name, self.told, "counter")
        for values, total in sorted(self._sums.items()):
            yield f"{self.name}{_labelled(self.labels, values)} {_number(total)}"


@dataclass
class Gauge:
    """A value of this moment, asked for when the text is made; by the values of one label."""

    name: str
    told: str
    label: str
    ask: Callable[[], Mapping[str, float]]

    def lines(self) -> Iterator[str]:
        """Its lines of the text."""
        yield from _head(self.name, self.told, "gauge")
        labels = (self.label,) if self.label else ()
        for value, now in self.ask().items():
            shown = _labelled(labels, (value,)) if labels else ""
            yield f"{self.name}{shown} {_number(now)}"


@dataclass
class _Buckets:
    """How many values fell where, and their sum."""

    counts: list[int] = field(default_factory=lambda: [0] * (len(SECONDS) + 1))
    total: float = 0.0


@dataclass
class Histogram:
    """How seconds are spread, by labels."""

    name: str
    told: str
    labels: tuple[str, ...] = ()
    _seen: dict[tuple[str, ...], _Buckets] = field(default_factory=dict)

    def see(self, *values: str, seconds: float) -> None:
        """Count one duration."""
        buckets = self._seen.setdefault(values, _Buckets())
        buckets.counts[bisect_left(SECONDS, seconds)] += 1
        buckets.total += seconds

    def lines(self) -> Iterator[str]:
        """Its lines of the text; buckets are cumulative."""
        yield from _head(self.name, self.told, "histogram")
        for values, buckets in sorted(self._seen.items()):
            yield from self._lines_of(values, buckets)

    def _lines_of(self, values: tuple[str, ...], buckets: _Buckets) -> Iterator[str]:
        count = 0
        for bound, inside in zip((*map(_number, SECONDS), "+Inf"), buckets.counts, strict=True):
            count += inside
            shown = _labelled((*self.labels, "le"), (*values, bound))
            yield f"{self.name}_bucket{shown} {count}"
        shown = _labelled(self.labels, values)
        yield f"{self.name}_sum{shown} {_number(buckets.total)}"
        yield f"{self.name}_count{shown} {count}"


Instrument = Counter | Gauge | Histogram


def text_of(instruments: Iterable[Instrument]) -> str:
    """All of them as text."""
    return "".join(f"{line}\n" for each in instruments for line in each.lines())


def _head(name: str, told: str, kind: str) -> tuple[str, str]:
    return f"# HELP {name} {told}", f"# TYPE {name} {kind}"


def _labelled(names: tuple[str, ...], values: tuple[str, ...]) -> str:
    if not names:
        return ""
    pairs = zip(names, values, strict=True)
    return "{" + ",".join(f'{name}="{_escaped(value)}"' for name, value in pairs) + "}"


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def _number(value: float) -> str:
    return str(int(value)) if float(value).is_integer() else repr(float(value))
