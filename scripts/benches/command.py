"""The command line of the bench."""

from __future__ import annotations

import argparse
import importlib
import sys
from collections.abc import Sequence
from pathlib import Path

from msgspec import structs

from scripts.benches import catalogue, chart, check, curves, peers, readme, report, table
from scripts.benches.arena import Arena
from scripts.benches.run import measured, tell

QUICK = 0.1
TABLES = ("paper", "checkpoints", "batch")
"""Modules with a table and options of their own."""

SUMMARY = """\
What isolation costs: each figure as a ratio to a floor (what the machine needs for the least that
must be done) or to a peer (another project's sandbox), measured in the same run, in turns, so that
a noisy machine moves both."""

EXAMPLES = """\
examples:
  scripts/bench --quick                        all figures, a few rounds each: some minutes
  scripts/bench exec callbacks-one             a family, and one figure
  scripts/bench --peer monty fresh tasks       beside one peer, installed below .bench/
  scripts/bench --peers --curves --json new.json --plot new.svg
  scripts/bench --check docs/speed.json        1 if a ratio has grown beyond noise
  scripts/bench --update docs/speed.json exec  measure these again, and keep the others
  scripts/bench --from docs/speed.json --plot docs/speed.svg --readme README.md
  scripts/bench paper --help                   the paper's tasks, with a table of their own
  scripts/bench checkpoints --help             what surviving costs, by what a session holds
  scripts/bench batch --help                   rlm batch before a model that takes 50 ms
  PYTHON=/usr/bin/python3.13 scripts/bench     on another Python

ratios below 1 mean less time or memory than the base; of rates (1/s) more is better.
exit codes: 0 fine, 1 --check found a ratio that has grown, 2 the command line is wrong
"""


def main(arguments: Sequence[str]) -> int:
    """Do what the command line says."""
    if arguments and arguments[0] in TABLES:
        table_of_its_own = importlib.import_module(f"scripts.benches.{arguments[0]}")
        return table_of_its_own.main(arguments[1:])
    given = _parser().parse_args(arguments)
    if given.list:
        print(_listed())
        return 0
    try:
        found = report.read(given.source) if given.source else _measure(given)
        if given.update is not None:
            found = report.merged(found, report.read(given.update))
            report.write(found, given.update)
        print(table.plain(found))
        _hand_out(found, given)
        return 0 if given.check is None else _checked(found, given)
    except (ValueError, OSError) as error:
        print(f"scripts/bench: {error}", file=sys.stderr)
        return 2


def _measure(given: argparse.Namespace) -> report.Report:
    """Raises ValueError for figures that there are not."""
    figures = catalogue.chosen(given.figure)
    for earlier in filter(None, (given.check, given.update)):
        report.read(earlier)  # if it is none, say so now
    wanted = [source.name for source in peers.SOURCES] if given.peers else given.peer
    there, states = peers.gather(wanted, tell)
    plans = curves.PLANS if given.curves else ()
    found = None
    share = QUICK if given.quick else given.share
    with Arena(share, there, given.quick) as arena:
        for so_far in measured(arena, figures, plans, tell):
            found = structs.replace(so_far, peers=states)
            if given.json is not None:  # what has been measured is not lost
                report.write(found, given.json)
    assert found is not None
    return found


def _hand_out(found: report.Report, given: argparse.Namespace) -> None:
    """Write what was asked for."""
    if given.json is not None and given.source is not None:
        report.write(found, given.json)
    if given.plot is not None:
        given.plot.write_text(chart.svg(found), encoding="utf-8")
    if given.readme is not None:
        readme.put_into(given.readme, found)


def _checked(found: report.Report, given: argparse.Namespace) -> int:
    verdict = check.compare(found, report.read(given.check), given.tolerance)
    print(check.told(verdict))
    return int(bool(verdict.worse or verdict.failed))


def _listed() -> str:
    width = max(len(figure.name) for figure in catalogue.FIGURES)
    lines = [f"{figure.name.ljust(width)}  {figure.title}" for figure in catalogue.FIGURES]
    return "\n".join(lines)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="scripts/bench",
        description=SUMMARY,
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("figure", nargs="*", help="figures, or families such as `exec`; all if none is named")
    add("--list", action="store_true", help="show all figures and measure nothing")
    add("--quick", action="store_true", help="a few rounds, smaller texts, fewer sessions")
    add("--share", type=float, default=1.0, metavar="X", help="so many of the rounds: 0.5, half")
    add("--peers", action="store_true", help="other projects' sandboxes beside ours, all of them")
    add(
        "--peer",
        action="append",
        default=[],
        choices=[source.name for source in peers.SOURCES],
        help="this one, as often as you like: %(choices)s",
        metavar="NAME",
    )
    add("--curves", action="store_true", help="cost by size, too")
    add("--json", type=Path, metavar="FILE", help="write what was found")
    add("--update", type=Path, metavar="FILE", help="put what was found into an earlier report")
    add("--plot", type=Path, metavar="FILE", help="draw it as SVG")
    add("--readme", type=Path, metavar="FILE", help="put the table between the marks of a file")
    add(
        "--from",
        dest="source",
        type=Path,
        metavar="FILE",
        help="measure nothing: take what an earlier run has written",
    )
    add("--check", type=Path, metavar="FILE", help="compare the ratios with an earlier run's")
    add(
        "--tolerance",
        type=float,
        default=check.TOLERANCE,
        help="what a ratio may lose beyond noise (%(default)s)",
    )
    return parser
