"""Whether a sandbox was made with what a run's helpers need."""

from __future__ import annotations

from rlm_sandbox import Sandbox

_LOOK = "import sys\n__all__ = ['helped']\nhelped = 'rlm_core.guest.entry' in sys.modules"


def is_helped(box: Sandbox) -> bool:
    """True if the helpers are loaded before a run begins in it."""
    box.install(_LOOK)
    return box.exec("print(helped)").stdout == "True\n"
