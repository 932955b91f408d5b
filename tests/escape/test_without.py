"""With any single layer off nothing gets out, save where that layer is known to stand alone."""

from __future__ import annotations

import pytest

from rlm_sandbox.audit.corpus import CORPUS
from rlm_sandbox.audit.findings import Status
from rlm_sandbox.audit.runner import Auditor
from rlm_sandbox.confine.layers import Layer
from rlm_sandbox.errors import IsolationUnavailable

INSEPARABLE = {
    Layer.NO_NEW_PRIVS: "Landlock and seccomp are refused to a process that lacks it",
}
"""Layers that others stand on: they cannot be taken off by themselves."""


def escapes(isolation: str = "auto", without: tuple[Layer, ...] = ()) -> dict[str, tuple[str, ...]]:
    try:
        with Auditor(isolation, without) as auditor:
            rows = [auditor.run(program) for program in CORPUS]
    except IsolationUnavailable as unavailable:
        pytest.skip(str(unavailable))
    return {row.program.id: row.findings for row in rows if row.status is Status.ESCAPED}


@pytest.mark.slow
@pytest.mark.parametrize("layer", [layer for layer in Layer if layer not in INSEPARABLE])
def test_the_others_hold(layer: Layer) -> None:
    assert escapes(without=(layer,)) == {}


@pytest.mark.parametrize("layer", INSEPARABLE)
def test_some_layers_cannot_be_taken_off(layer: Layer) -> None:
    with pytest.raises(IsolationUnavailable):
        Auditor(without=[layer])


@pytest.mark.slow
def test_nothing_gets_out_of_the_standard_tier() -> None:
    assert escapes(isolation="standard") == {}
