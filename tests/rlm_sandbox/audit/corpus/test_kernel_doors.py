"""The corpus against a real sandbox: back doors into the kernel."""

from __future__ import annotations

from rlm_sandbox.audit.corpus import kernel_doors
from tests.rlm_sandbox.audit.corpus.running import escapes


def test_none_gets_out() -> None:
    assert escapes(kernel_doors.PROGRAMS) == {}
