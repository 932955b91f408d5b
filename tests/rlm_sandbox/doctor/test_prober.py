"""The clean interpreter in which the probes run."""

from __future__ import annotations

import pytest

from rlm_sandbox.confine.layers import Layer
from rlm_sandbox.doctor import prober
from rlm_sandbox.doctor.stage import Stage
from rlm_sandbox.host.zygote import import_paths


def test_every_layer_is_reported_and_nothing_got_out_under_one() -> None:
    with Stage() as stage:
        report = prober.probe(import_paths(), stage.targets)
        assert set(report) == {str(layer) for layer in Layer}
        assert set(stage.visitors()) <= {b"before"}
        assert not stage.touched()


def test_a_prober_that_does_not_start_says_why() -> None:
    with Stage() as stage, pytest.raises(OSError, match="No module named"):
        prober.probe(["/nowhere"], stage.targets)
