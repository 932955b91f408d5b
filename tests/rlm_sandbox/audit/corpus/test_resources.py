"""The corpus against a real sandbox: resources."""

from __future__ import annotations

import pytest

from rlm_sandbox.audit.corpus import resources
from tests.rlm_sandbox.audit.corpus.running import escapes

QUICK = frozenset({"one-block", "shared-anonymous", "spin", "thread-bomb", "flood", "fill-scratch"})


def test_none_of_the_quick_ones_gets_out() -> None:
    quick = [program for program in resources.PROGRAMS if program.name in QUICK]
    assert len(quick) == len(QUICK)
    assert escapes(quick) == {}


@pytest.mark.slow
def test_none_gets_out() -> None:
    assert escapes(resources.PROGRAMS) == {}
