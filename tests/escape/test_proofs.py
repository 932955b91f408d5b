"""A program that could never have worked proves nothing: each is seen to work, or is inert."""

from __future__ import annotations

import pytest

from rlm_sandbox.audit.corpus import CORPUS
from rlm_sandbox.audit.findings import Status
from rlm_sandbox.audit.program import Kind, Program
from rlm_sandbox.audit.runner import Auditor

QUICK = (
    *("files/open", "files/append", "files/chmod", "network/tcp", "network/udp", "process/fork"),
    *("kernel/personality", "kernel/io-uring", "python/subclasses", "neighbours/file-locks"),
)


def idle(programs: list[Program]) -> list[str]:
    """Those that do not work even with the layers against them off."""
    with Auditor() as auditor:
        rows = [auditor.prove(program) for program in programs]
    if all(row.status is Status.UNTRIED for row in rows):
        pytest.skip(rows[0].reason)
    return [row.program.id for row in rows if row.status is Status.CONTAINED]


def test_the_quick_ones_work() -> None:
    programs = [program for program in CORPUS if program.id in QUICK]
    assert len(programs) == len(QUICK)
    assert idle(programs) == []


@pytest.mark.slow
@pytest.mark.parametrize("kind", [kind for kind in Kind if kind is not Kind.PROTOCOL])
def test_every_program_that_is_not_inert_works(kind: Kind) -> None:
    assert idle([program for program in CORPUS if program.kind is kind and not program.inert]) == []
