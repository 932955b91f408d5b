"""The corpus against a real sandbox: network."""

from __future__ import annotations

from rlm_sandbox.audit.corpus import network
from tests.rlm_sandbox.audit.corpus.running import escapes


def test_none_gets_out() -> None:
    assert escapes(network.PROGRAMS) == {}
