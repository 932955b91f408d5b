"""The paper's tasks are shown as a table, a row a task and size."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import rlm_core
from tests.scripts.test_suite import SCRIPTS

PACKAGES = Path(rlm_core.__file__).parents[1]


def bench(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, SCRIPTS / "bench.py", "paper", *arguments],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": str(PACKAGES)},
    )


def test_each_task_is_a_row_with_answer_score_and_costs() -> None:
    done = bench("--tokens", "2048")
    assert (done.returncode, done.stderr) == (0, "")
    head, *rows = done.stdout.splitlines()
    assert head.split() == [
        "task/tokens", "answer", "score", "steps", "subcalls", "seconds", "worker", "host",
    ]  # fmt: skip
    assert [row.split("/")[0] for row in rows] == [
        "S-NIAH",
        "OOLONG",
        "OOLONG-Pairs",
        "BrowseComp",
        "CodeQA",
    ]
    assert all(" 1.00 " in row for row in rows)


def test_models_that_err_are_shown_as_they_are() -> None:
    done = bench("--tokens", "8192", "--task", "oolong/", "--mistakes", "1.0")
    assert done.returncode == 0
    assert "(inexact)" in done.stdout
