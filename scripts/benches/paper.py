"""The paper's tasks with scripted models: answer, steps, subcalls, seconds and memory by size.

scripts/bench paper                      sizes from 8 K to 1 M tokens
scripts/bench paper --tokens 10000000    a size of your own, as often as you like
scripts/bench paper --failures 0.2 --mistakes 0.1 --stumbles 0.3
"""

from __future__ import annotations

import argparse
import gc
import tempfile
from collections.abc import Sequence
from pathlib import Path

from tests.paper import browse, codeqa, niah, oolong
from tests.paper.task import Measured, Task, run

SUMMARY = "The paper's tasks with scripted models, by size."
MAKERS = (niah.task, oolong.counting, oolong.pairs, browse.task, codeqa.task)
SIZES = (8_192, 131_072, 1_048_576)
COLUMNS = ("task/tokens", "answer", "score", "steps", "subcalls", "seconds", "worker", "host")
WIDTHS = (24, 22, 6, 6, 9, 9, 9, 9)


def main(arguments: Sequence[str]) -> int:
    """Print a row a task and size; 1 if an answer is not exact though nobody erred."""
    parser = argparse.ArgumentParser(prog="scripts/bench paper", description=SUMMARY)
    parser.add_argument("--tokens", type=int, action="append", help="size of the context")
    parser.add_argument("--task", help="only tasks whose name begins like this")
    parser.add_argument("--seed", type=int, default=0)
    for name, what in (
        ("failures", "calls of the sub-model that fail, and may not the next time"),
        ("mistakes", "replies of the sub-model that are beside the point"),
        ("stumbles", "steps of the root model before which it does something foolish"),
    ):
        parser.add_argument(f"--{name}", type=float, default=0.0, help=f"share of {what}")
    given = parser.parse_args(arguments)
    rates = {name: getattr(given, name) for name in ("failures", "mistakes", "stumbles")}
    print(_row(COLUMNS), flush=True)
    inexact = 0
    for tokens in given.tokens or SIZES:
        for make in MAKERS:
            task = make(tokens, given.seed)
            if task.name.lower().startswith((given.task or "").lower()):
                measured = _measured(task, rates)
                inexact += not measured.exact
                print(_row(_cells(measured)), flush=True)
    return int(inexact > 0 and not any(rates.values()))


def _measured(task: Task, rates: dict[str, float]) -> Measured:
    gc.collect()
    with tempfile.TemporaryDirectory() as cache:
        return run(task, Path(cache), **rates)


def _cells(measured: Measured) -> tuple[str, ...]:
    usage = measured.result.usage
    answer = measured.result.answer
    shown = answer if len(answer) <= 20 else f"{len(answer):,} characters"
    return (
        measured.task.name,
        shown if measured.exact else f"{shown} (inexact)",
        f"{measured.score:.2f}",
        str(usage.steps),
        str(usage.subcalls),
        f"{measured.seconds:.2f}",
        f"{measured.worker_memory / 1e6:.0f} MB",
        f"{measured.host_memory / 1e6:+.0f} MB",
    )


def _row(cells: tuple[str, ...]) -> str:
    first, *rest = cells
    padded = [first.ljust(WIDTHS[0])]
    padded += [cell.rjust(width) for cell, width in zip(rest, WIDTHS[1:], strict=True)]
    return " ".join(padded)
