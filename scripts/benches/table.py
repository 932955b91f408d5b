"""A report as a table: for a terminal, and as Markdown for the README."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from scripts.benches.figures import OURS, Unit
from scripts.benches.report import Comparison, Report, Row

HEAD = ("figure", "ours", "p99", "against", "its", "ratio", "goal", "")
NUMERIC = (1, 2, 4, 5, 6)
MARKS = {True: "reached", False: "MISSED", None: ""}
SECONDS = ((1.0, "s"), (1e-3, "ms"), (1e-6, "µs"))
BYTES = ((1e9, "GB"), (1e6, "MB"), (1e3, "kB"))


def amount(value: float, unit: Unit) -> str:
    """A value for people: "3.1 ms", "91,000/s", "0.94 MB"."""
    if unit is Unit.RATE:
        return f"{_significant(value)}/s"
    if unit is Unit.TIMES:
        return ratio(value)
    scale = SECONDS if unit is Unit.SECONDS else BYTES
    size, name = next((step for step in scale if abs(value) >= step[0]), scale[-1])
    return f"{_significant(value / size)} {name}"


def _significant(value: float) -> str:
    """Three digits that mean something."""
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"


def ratio(value: float) -> str:
    return f"{_significant(value)} x"


def lines(report: Report) -> list[tuple[str, ...]]:
    """The cells of every line, the head first; a row has a line for each comparison."""
    return [HEAD, *(cells for row in report.rows for cells in _row_lines(row))]


def _row_lines(row: Row) -> Iterator[tuple[str, ...]]:
    if row.failure is not None:
        yield (row.name, "not measured", "", "", "", "", "", "FAILED")
        return
    ours = row.sides[OURS]
    first = (row.name, amount(ours.median, row.unit), amount(ours.p99, row.unit))
    later = ("", "", "")
    compared = [_compared(row, comparison) for comparison in row.comparisons]
    for cells in compared or [("", "", "", "", "")]:
        yield (*first, *cells)
        first = later
    for base in row.missing:
        yield (*first, base, "not measured", "", "", "")
        first = later
    others = [name for name in row.sides if name != OURS and not _is_base(row, name)]
    for name in others:
        side = row.sides[name]
        told = ratio(ours.median / side.median) if side.median else ""
        yield ("", "", "", name, amount(side.median, row.unit), told, "", "")


def _is_base(row: Row, name: str) -> bool:
    return any(comparison.base == name for comparison in row.comparisons)


def _compared(row: Row, comparison: Comparison) -> tuple[str, ...]:
    base = row.sides.get(comparison.base)
    words = comparison.base if comparison.share is None else f"{comparison.base} (p99)"
    return (
        words,
        "" if base is None else amount(base.median, row.unit),
        ratio(comparison.ratio),
        goal(comparison),
        MARKS[comparison.reached],
    )


def goal(comparison: Comparison) -> str:
    """What was promised, in words."""
    if comparison.at_most is not None:
        return f"<= {comparison.at_most:g} x"
    return "" if comparison.at_least is None else f">= {comparison.at_least:g} x"


def plain(report: Report) -> str:
    """The table for a terminal."""
    rows = lines(report)
    widths = [max(len(row[column]) for row in rows) for column in range(len(HEAD))]
    return "\n".join([*(_padded(row, widths) for row in rows), *_failures(report)])


def _failures(report: Report) -> Iterator[str]:
    """What went wrong, in words."""
    failed = [(row.name, row.failure) for row in report.rows]
    failed += [(curve.name, curve.failure) for curve in report.curves]
    failed += [(peer.name, peer.failure) for peer in report.peers]
    failed += [("a peer is left out", complaint) for complaint in report.complaints]
    for name, failure in failed:
        if failure is not None:
            yield f"{name}: {failure}"


def _padded(row: Sequence[str], widths: Sequence[int]) -> str:
    cells = [
        cell.rjust(width) if column in NUMERIC else cell.ljust(width)
        for column, (cell, width) in enumerate(zip(row, widths, strict=True))
    ]
    return "  ".join(cells).rstrip()
