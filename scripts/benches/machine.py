"""What the bench runs on: ratios hold for machines like it."""

from __future__ import annotations

import os
import platform
from pathlib import Path

from scripts.benches.report import Machine


def this_machine() -> Machine:
    """The machine as it is now."""
    return Machine(
        cores=len(os.sched_getaffinity(0)),
        processor=_field("/proc/cpuinfo", "model name") or platform.machine(),
        memory=int(_field("/proc/meminfo", "MemTotal").split()[0]) * 1024,
        kernel=platform.release().partition("-")[0],
        python=platform.python_version(),
        load=os.getloadavg()[0],
        nice=os.nice(0),
    )


def _field(file: str, name: str) -> str:
    lines = Path(file).read_text().splitlines()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith(name)), "")
