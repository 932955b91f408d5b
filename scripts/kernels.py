"""The wall on other kernels, processors and Pythons: `scripts/kernels --help`."""

from __future__ import annotations

import signal
import sys
from pathlib import Path

sys.path[:1] = [str(Path(__file__).resolve().parents[1])]

from scripts.machines.command import main  # noqa: E402 - once it can be found


def _leave(number: int, _frame: object) -> None:
    """As Ctrl-C does: no machine stays behind."""
    sys.exit(128 + number)


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, _leave)
    sys.exit(main(sys.argv[1:]))
