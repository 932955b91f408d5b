"""The command line of the bench."""

from __future__ import annotations

import argparse
import importlib
import sys
from collections.abc import Sequence
from pathlib import Path

from scripts.benches import catalogue, report, table
from scripts.benches.arena import Arena
from scripts.benches.run import measured, tell

QUICK = 0.1
TABLES = ("paper", "checkpoints")
"""Modules with a table and options of their own."""


def main(arguments: Sequence[str]) -> int:
    """Do what the command line says; 0 unless something went wrong."""
    if arguments and arguments[0] in TABLES:
        table_of_its_own = importlib.import_module(f"scripts.benches.{arguments[0]}")
        return table_of_its_own.main(arguments[1:])
    given = _parser().parse_args(arguments)
    try:
        figures = catalogue.chosen(given.figure)
    except ValueError as error:
        print(f"scripts/bench: {error}", file=sys.stderr)
        return 2
    with Arena(QUICK if given.quick else 1.0) as arena:
        found = measured(arena, figures, tell)
    print(table.plain(found))
    if given.json is not None:
        report.write(found, given.json)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="scripts/bench", description=__doc__)
    parser.add_argument("figure", nargs="*", help="figures or families; all without one")
    parser.add_argument("--quick", action="store_true", help="a few rounds")
    parser.add_argument("--json", type=Path, metavar="FILE")
    return parser
