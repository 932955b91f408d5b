"""The corpus against a real sandbox: files."""

from __future__ import annotations

from rlm_sandbox.audit.corpus import files
from tests.rlm_sandbox.audit.corpus.running import escapes


def test_none_gets_out() -> None:
    assert escapes(files.PROGRAMS) == {}
