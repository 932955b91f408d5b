"""`python -m rlm_core.cli` is `rlm`."""

from __future__ import annotations

import sys

from rlm_core.cli import main

sys.exit(main())
