"""The corpus against a real sandbox: process."""

from __future__ import annotations

import pytest

from rlm_sandbox.audit.corpus import process
from tests.rlm_sandbox.audit.corpus.running import escapes

QUICK = frozenset({"fork", "clone3", "system", "immortal"})


def test_none_of_the_quick_ones_gets_out() -> None:
    quick = [program for program in process.PROGRAMS if program.name in QUICK]
    assert len(quick) == len(QUICK)
    assert escapes(quick) == {}


@pytest.mark.slow
def test_none_gets_out() -> None:
    assert escapes(process.PROGRAMS) == {}
