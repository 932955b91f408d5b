"""How the promises are tried: run a program, see what it prints."""

from __future__ import annotations

from rlm_sandbox import Outcome, Sandbox

PATIENCE = 60.0
"""Seconds after which something that should happen is said not to happen."""


def printed(box: Sandbox, code: str) -> str:
    """What the code prints; it must run to its end."""
    result = box.exec(code)
    assert (result.outcome, result.error) == (Outcome.OK, None)
    return result.stdout
