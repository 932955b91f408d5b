"""The corpus against a real sandbox: the processes of others."""

from __future__ import annotations

from rlm_sandbox.audit.corpus import process_others
from tests.rlm_sandbox.audit.corpus.running import escapes


def test_none_gets_out() -> None:
    assert escapes(process_others.PROGRAMS) == {}
