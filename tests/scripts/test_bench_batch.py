"""A batch before a model that takes its time is shown beside what the model alone allows."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import rlm_core
from tests.scripts.test_suite import SCRIPTS

PACKAGES = Path(rlm_core.__file__).parents[1]


def test_each_delay_and_concurrency_is_a_row_of_times_and_ratios() -> None:
    flags = ["--tasks", "4", "--concurrency", "2", "4", "--delay", "0.01", "0.02"]
    done = subprocess.run(
        [sys.executable, SCRIPTS / "bench.py", "batch", *flags],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": str(PACKAGES)},
        timeout=120,
    )
    assert (done.returncode, done.stderr) == (0, "")
    head, *rows = done.stdout.splitlines()
    assert head.split()[:4] == ["delay", "concurrency", "tasks/s", "seconds"]
    figures = [list(map(float, row.split())) for row in rows]
    assert [tuple(row[:2]) for row in figures] == [(0.01, 2), (0.01, 4), (0.02, 2), (0.02, 4)]
    for _, _, rate, seconds, ideal, times, directly, _, processor, *_ in figures:
        assert seconds > ideal > 0
        assert times > 1
        assert directly > 0
        assert rate > 0
        assert processor > 0
