"""Measures figures one after the other; one that fails does not end the rest."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime

from scripts.benches.arena import Arena
from scripts.benches.contender import ContenderFailed
from scripts.benches.figures import Figure
from scripts.benches.machine import this_machine
from scripts.benches.report import Report, Row, row_of

Progress = Callable[[str], None]


def measured(arena: Arena, figures: Sequence[Figure], progress: Progress) -> Report:
    """The report of these figures."""
    machine, began = this_machine(), time.monotonic()
    rows = []
    for number, figure in enumerate(figures, start=1):
        progress(f"[{number}/{len(figures)}] {figure.name}: {figure.title}")
        rows.append(_row(arena, figure))
        arena.rest()
    return Report(
        machine,
        rows,
        complaints=arena.complaints,
        quick=arena.scale < 1,
        seconds=time.monotonic() - began,
        date=datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
    )


def _row(arena: Arena, figure: Figure) -> Row:
    try:
        return row_of(figure, figure.measure(arena))
    except ContenderFailed as failed:
        return Row(figure.name, figure.title, figure.unit, failure=str(failed))


def tell(text: str) -> None:
    """Progress, for people: standard output is for the table."""
    print(text, file=sys.stderr, flush=True)
