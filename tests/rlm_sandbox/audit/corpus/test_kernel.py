"""The corpus against a real sandbox: kernel."""

from __future__ import annotations

from rlm_sandbox.audit.corpus import kernel
from tests.rlm_sandbox.audit.corpus.running import escapes


def test_none_gets_out() -> None:
    assert escapes(kernel.PROGRAMS) == {}
