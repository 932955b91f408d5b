"""Programs that the tests run as processes of their own, to be looked at from outside."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from pathlib import Path

import rlm_sandbox

PACKAGE_ROOT = Path(rlm_sandbox.__file__).parent.parent
SECONDS = 300.0
"""How long a program may take: an emulated processor takes ten times as long as a real one."""


def environment(**extra: str) -> dict[str, str]:
    """A small environment in which the packages under test are importable."""
    return {
        "PATH": os.environ.get("PATH", os.defpath),
        "PYTHONPATH": str(PACKAGE_ROOT),
        "PYTHONUNBUFFERED": "1",
        **extra,
    }


def start(source: str, **extra: str) -> subprocess.Popen[str]:
    """Start a program; its output is piped. The caller ends it and closes the pipes."""
    return subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(source)],
        env=environment(**extra),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def run(source: str, **extra: str) -> str:
    """Run a program to its end and return what it printed. Fails with its errors if it fails."""
    with start(source, **extra) as process:
        try:
            out, err = process.communicate(timeout=SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            raise
    assert process.returncode == 0, err
    assert not err, err
    return out
