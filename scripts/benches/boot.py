"""Starts a contender in its own process: `boot.py NAME [CORES]`, cores as "0" or "0,1"."""

from __future__ import annotations

import importlib
import os
import sys
from pathlib import Path

if __name__ == "__main__":
    name, *cores = sys.argv[1:]
    if cores:  # before anything is imported that asks how many there are
        os.sched_setaffinity(0, set(map(int, cores[0].split(","))))
    # This directory is on the path because the script lies in it. The root comes last: an
    # installed package is measured before its source.
    sys.path[:1] = []
    sys.path.append(str(Path(__file__).resolve().parents[2]))
    stage = importlib.import_module("scripts.benches.contenders.stage")
    stage.serve(f"scripts.benches.contenders.{name}")
