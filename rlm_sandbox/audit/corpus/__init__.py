"""The hostile programs, as data."""

from __future__ import annotations

from rlm_sandbox.audit.corpus import (
    files,
    kernel,
    kernel_doors,
    neighbours,
    network,
    process,
    process_others,
    protocol,
    python,
    resources,
)
from rlm_sandbox.audit.program import Kind, Program

__all__ = ["CORPUS", "of_kind"]

CORPUS: tuple[Program, ...] = (
    *files.PROGRAMS,
    *network.PROGRAMS,
    *process.PROGRAMS,
    *process_others.PROGRAMS,
    *kernel.PROGRAMS,
    *kernel_doors.PROGRAMS,
    *resources.PROGRAMS,
    *protocol.PROGRAMS,
    *python.PROGRAMS,
    *neighbours.PROGRAMS,
)
"""Every program; names are unique within their class."""


def of_kind(kind: Kind) -> tuple[Program, ...]:
    """The programs of one class."""
    return tuple(program for program in CORPUS if program.kind is kind)
