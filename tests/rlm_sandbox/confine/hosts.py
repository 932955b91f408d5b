"""What this host lets a process do, so that a test of what it refuses is skipped and not failed."""

from __future__ import annotations

from functools import cache

import pytest

from rlm_sandbox.confine.layers import Layer
from rlm_sandbox.doctor import prober
from rlm_sandbox.doctor.prober import Report
from rlm_sandbox.doctor.stage import Stage
from rlm_sandbox.host.zygote import import_paths


@cache
def report() -> Report:
    """What the probes saw, once for all tests."""
    with Stage() as stage:
        return prober.probe(import_paths(), stage.targets)


def needs(*layers: Layer) -> None:
    """Skip the test, saying why, where a layer cannot be put on."""
    for layer in layers:
        if report()[layer].result == "refused":
            pytest.skip(f"this host refuses {layer}: {report()[layer].text}")
