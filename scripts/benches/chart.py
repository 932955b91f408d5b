"""A report as a picture: SVG, one panel a curve, and one of bars. Drawn from the JSON alone."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from xml.sax.saxutils import escape

from scripts.benches.figures import OURS, Unit
from scripts.benches.report import Curve, Measured, Point, Report, Row
from scripts.benches.table import amount

PANEL_WIDTH, PANEL_HEIGHT = 330, 240
LEFT, RIGHT, TOP, BOTTOM = 62, 18, 44, 40
COLUMNS = 3
OURS_COLOUR, LINE_COLOUR, OTHER_COLOUR = "#1b6ac9", "#8a8f98", "#b9bec6"
INK, FAINT = "#24292f", "#e3e6ea"
FONT = "font-family='system-ui, sans-serif'"
BARS = {
    "fresh": "A fresh worker to its first result",
    "exec-free": "A short new line in a live session",
    "callbacks-one": "Host callbacks a second, on one core",
    "episodes": "Whole episodes a second",
}
"""Rows that are shown as bars, before the curves."""
BAR_ROOM = 110
LONGEST_LABEL, LONGEST_TITLE = 17, 46


@dataclass(frozen=True)
class Scale:
    """A logarithmic axis: values from `low` to `high` on pixels from `start` to `end`."""

    low: float
    high: float
    start: float
    end: float

    @classmethod
    def over(cls, values: Sequence[float], start: float, end: float) -> Scale:
        """Whole decades, so that the ends have a tick."""
        low = 10 ** math.floor(math.log10(min(values)) + 1e-9)
        high = 10 ** math.ceil(math.log10(max(values)) - 1e-9)
        return cls(low, high if high > low else low * 10, start, end)

    def at(self, value: float) -> float:
        share = math.log10(value / self.low) / math.log10(self.high / self.low)
        return round(self.start + share * (self.end - self.start), 1)

    def ticks(self) -> list[float]:
        """Powers of ten, no more than six of them."""
        decades = round(math.log10(self.high / self.low))
        stride = max(1, math.ceil(decades / 5))
        return [self.low * 10**power for power in range(0, decades + 1, stride)]


def svg(report: Report) -> str:
    """The whole picture."""
    rows = [row for row in report.rows if row.name in BARS and row.failure is None]
    curves = [curve for curve in report.curves if curve.points]
    panels = [*(_bars(row) for row in rows), *(_curve(curve) for curve in curves)]
    columns = min(COLUMNS, max(1, len(panels)))
    width = columns * PANEL_WIDTH
    height = math.ceil(len(panels) / columns) * PANEL_HEIGHT
    placed = [
        f"<g transform='translate({number % columns * PANEL_WIDTH} "
        f"{number // columns * PANEL_HEIGHT})'>{''.join(panel)}</g>"
        for number, panel in enumerate(panels)
    ]
    return (
        f"<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 {width} {height}' "
        f"width='{width}' height='{height}' {FONT} font-size='11' fill='{INK}'>"
        f"<rect width='{width}' height='{height}' fill='white'/>" + "\n".join(placed) + "</svg>\n"
    )


# --- a curve --------------------------------------------------------------------------------------


def _curve(curve: Curve) -> Iterator[str]:
    points = curve.points
    heights = [height for point in points for height in (point.y, point.line)]
    x = Scale.over([point.x for point in points], LEFT, PANEL_WIDTH - RIGHT)
    y = Scale.over(heights, PANEL_HEIGHT - BOTTOM, TOP)
    yield _title(curve.title)
    yield from _grid(x, y, curve)
    yield _path([(x.at(p.x), y.at(p.line)) for p in points], LINE_COLOUR, dashed=True)
    yield _path([(x.at(p.x), y.at(p.y)) for p in points], OURS_COLOUR)
    for point in points:
        yield _dot(x, y, point, curve.y)
    yield _text(LEFT, TOP - 12, f"- - {curve.line}", colour=LINE_COLOUR)


def _grid(x: Scale, y: Scale, curve: Curve) -> Iterator[str]:
    for value in y.ticks():
        height = y.at(value)
        yield f"<path d='M{x.start} {height}H{x.end}' stroke='{FAINT}'/>"
        yield _text(LEFT - 6, height + 4, _round(value, curve.y), anchor="end")
    for value in x.ticks():
        words = _round(value, Unit.BYTES) if curve.x == "bytes" else f"{value:,.0f}"
        yield _text(x.at(value), y.start + 15, words, anchor="middle")
    yield _text((x.start + x.end) / 2, y.start + 31, curve.x, anchor="middle")


def _round(value: float, unit: Unit) -> str:
    """A power of ten: "10 ms"."""
    number, space, name = amount(value, unit).partition(" ")
    return f"{float(number.replace(',', '')):,.0f}{space}{name}"


def _dot(x: Scale, y: Scale, point: Point, unit: Unit) -> str:
    """Its values are shown where a pointer rests on it."""
    said = escape(f"{point.x:,.0f}: {amount(point.y, unit)}, line {amount(point.line, unit)}")
    place = f"cx='{x.at(point.x)}' cy='{y.at(point.y)}'"
    return f"<circle {place} r='3' fill='{OURS_COLOUR}'><title>{said}</title></circle>"


def _path(points: Sequence[tuple[float, float]], colour: str, *, dashed: bool = False) -> str:
    moves = "M" + "L".join(f"{x} {y}" for x, y in points)
    dashes = " stroke-dasharray='4 3'" if dashed else ""
    return f"<path d='{moves}' stroke='{colour}' stroke-width='1.8' fill='none'{dashes}/>"


# --- bars -----------------------------------------------------------------------------------------


def _bars(row: Row) -> Iterator[str]:
    """Ours and everybody else, the quickest first."""
    sides = sorted(row.sides.items(), key=_median, reverse=row.unit is Unit.RATE)
    x = Scale.over([side.median for _, side in sides], BAR_ROOM, PANEL_WIDTH - RIGHT - 46)
    yield _title(BARS[row.name])
    step = (PANEL_HEIGHT - TOP - 14) / len(sides)
    for number, (name, side) in enumerate(sides):
        height = TOP + number * step
        colour = OURS_COLOUR if name == OURS else OTHER_COLOUR
        long = max(1.0, x.at(side.median) - BAR_ROOM)
        yield _text(
            BAR_ROOM - 6, height + step / 2 + 4, _shortened(name, LONGEST_LABEL), anchor="end"
        )
        yield (
            f"<rect x='{BAR_ROOM}' y='{height + step * 0.15:.1f}' width='{long:.1f}' "
            f"height='{step * 0.7:.1f}' fill='{colour}'/>"
        )
        yield _text(BAR_ROOM + long + 4, height + step / 2 + 4, amount(side.median, row.unit))


def _median(side: tuple[str, Measured]) -> float:
    return side[1].median


def _title(text: str) -> str:
    words = _shortened(text[:1].upper() + text[1:], LONGEST_TITLE)
    return f"<text x='12' y='18' font-size='12' font-weight='600'>{escape(words)}</text>"


def _shortened(text: str, longest: int) -> str:
    return text if len(text) <= longest else f"{text[: longest - 1]}…"


def _text(x: float, y: float, text: str, *, anchor: str = "start", colour: str = INK) -> str:
    place = f"x='{x:.1f}' y='{y:.1f}' text-anchor='{anchor}' fill='{colour}'"
    return f"<text {place}>{escape(text)}</text>"
