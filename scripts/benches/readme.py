"""The table as Markdown, put between two marks of a README: generated, never typed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from scripts.benches.figures import OURS, Kind
from scripts.benches.report import Comparison, Machine, Report, Row
from scripts.benches.table import amount, goal, ratio

BEGIN, END = "<!-- speed: made by scripts/bench -->", "<!-- /speed -->"
SIGNS = {True: "yes", False: "**no**", None: ""}
WORDS = {Kind.FLOOR: "floor", Kind.PEER: "peer", Kind.BOUND: "bound"}


def markdown(report: Report) -> str:
    """A line for each promise, and what it was measured on."""
    head = ["| figure | median | against | ratio | goal | reached |", "|---|---|---|---|---|---|"]
    lines = [line for row in report.rows for line in _row(row)]
    return "\n".join([_measured_on(report), "", *head, *lines])


def _row(row: Row) -> Iterator[str]:
    if row.failure is not None:
        yield _line(row.title, "not measured", "", "", "", "")
        return
    ours = amount(row.sides[OURS].median, row.unit)
    title = row.title
    for comparison in row.comparisons or [None]:
        if comparison is None:
            yield _line(title, ours, "", "", "", "")
        else:
            reached = SIGNS[comparison.reached]
            told = ratio(comparison.ratio)
            yield _line(title, ours, _base(row, comparison), told, goal(comparison), reached)
        title = ours = ""


def _base(row: Row, comparison: Comparison) -> str:
    """What it is compared with, and how much that was."""
    if comparison.kind == Kind.BOUND:
        return comparison.base
    words = f"`{comparison.base}`" if comparison.base.startswith("python") else comparison.base
    if comparison.share is not None:
        return f"{words}, our p{comparison.share * 100:.0f}"
    return f"{words}: {amount(row.sides[comparison.base].median, row.unit)}"


def _line(*cells: str) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _measured_on(report: Report) -> str:
    machine = report.machine
    there = [peer for peer in report.peers if peer.failure is None]
    peers = [f"{peer.name} {peer.version}".strip() + f" ({peer.what})" for peer in there]
    beside = f" Peers: {'; '.join(peers)}." if peers else ""
    reached = [one.reached for row in report.rows for one in row.comparisons]
    return (
        f"{report.date}: {machine.processor}, {machine.cores} cores, Linux {machine.kernel}, "
        f"CPython {machine.python}, load {machine.load:.1f} when it began{_priority(machine)}."
        f"{beside} {reached.count(True)} of {len(reached) - reached.count(None)} goals reached."
    )


def _priority(machine: Machine) -> str:
    return f", all of it at nice {machine.nice}" if machine.nice else ""


def put_into(readme: Path, report: Report) -> None:
    """Replace what is between the marks. Raises ValueError if the file has none."""
    text = readme.read_text(encoding="utf-8")
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"{readme} has no place for the table: {BEGIN} and {END}")
    readme.write_text(f"{before}{BEGIN}\n{markdown(report)}\n{END}{after}", encoding="utf-8")
