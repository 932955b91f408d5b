"""The corpus against a real sandbox: protocol."""

from __future__ import annotations

import pytest

from rlm_sandbox.audit.corpus import protocol
from tests.rlm_sandbox.audit.corpus.running import escapes

QUICK = frozenset(
    {"junk", "length-lie", "nested-arrays", "call-twice", "torn-exit", "close", "forged-name"}
)


def test_none_of_the_quick_ones_gets_out() -> None:
    quick = [program for program in protocol.PROGRAMS if program.name in QUICK]
    assert len(quick) == len(QUICK)
    assert escapes(quick) == {}


@pytest.mark.slow
def test_none_gets_out() -> None:
    assert escapes(protocol.PROGRAMS) == {}
