"""Runs the programs of one class and tells which of them got out."""

from __future__ import annotations

from collections.abc import Iterable

from rlm_sandbox.audit.findings import Status
from rlm_sandbox.audit.program import Program
from rlm_sandbox.audit.runner import Auditor


def escapes(programs: Iterable[Program]) -> dict[str, tuple[str, ...]]:
    """What was seen from outside, by program: empty if all were contained."""
    programs = list(programs)
    assert programs
    with Auditor() as auditor:
        rows = [auditor.run(program) for program in programs]
    return {row.program.id: row.findings for row in rows if row.status is not Status.CONTAINED}
