"""Logging to standard error, as safe to look at as everything else."""

from __future__ import annotations

import logging
import sys

from rlm_core.visible import visible


class SafeFormatter(logging.Formatter):
    """Shows control characters: log lines quote models too."""

    def format(self, record: logging.LogRecord) -> str:
        """One record as text."""
        return visible(super().format(record))


def configure_logging(level: str) -> None:
    """Log from `level` on, replacing what was configured before."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(SafeFormatter("%(levelname)s %(name)s: %(message)s"))
    logging.basicConfig(level=level, handlers=[handler], force=True)
