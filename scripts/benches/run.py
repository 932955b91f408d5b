"""Measures figures one after the other; one that fails does not end the rest."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime

from msgspec import structs

from scripts.benches.arena import Arena
from scripts.benches.contender import ContenderFailed
from scripts.benches.curves import Plan, curve_of
from scripts.benches.figures import Figure
from scripts.benches.machine import this_machine
from scripts.benches.report import Curve, Report, Row, row_of

Progress = Callable[[str], None]


def measured(
    arena: Arena, figures: Sequence[Figure], plans: Sequence[Plan], progress: Progress
) -> Iterator[Report]:
    """The report of these figures and curves as far as it has come, after each of them."""
    began = time.monotonic()
    date = datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")
    rows, curves = [], []
    report = Report(this_machine(), [], date=date, quick=arena.quick)
    for number, figure in enumerate(figures, start=1):
        progress(f"[{number}/{len(figures)}] {figure.name}: {figure.title}")
        rows.append(_row(arena, figure))
        arena.rest()
        yield _so_far(report, arena, began, rows, curves)
    for plan in plans:
        progress(f"curve {plan.name}: {plan.title}")
        curves.append(curve_of(arena, plan))
        arena.rest()
        yield _so_far(report, arena, began, rows, curves)


def _so_far(
    report: Report, arena: Arena, began: float, rows: list[Row], curves: list[Curve]
) -> Report:
    seconds = time.monotonic() - began
    return structs.replace(
        report, rows=rows, curves=curves, complaints=arena.complaints, seconds=seconds
    )


def _row(arena: Arena, figure: Figure) -> Row:
    try:
        return row_of(figure, figure.measure(arena))
    except ContenderFailed as failed:
        return Row(figure.name, figure.title, figure.unit, failure=str(failed))


def tell(text: str) -> None:
    """Progress, for people: standard output is for the table."""
    print(text, file=sys.stderr, flush=True)
