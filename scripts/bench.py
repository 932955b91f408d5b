"""What isolation costs: `scripts/bench --help`."""

from __future__ import annotations

import sys
from pathlib import Path

# Last: an installed package is measured before its source.
sys.path[:1] = []
sys.path.append(str(Path(__file__).resolve().parents[1]))

from scripts.benches.command import main  # noqa: E402 - once it can be found

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
