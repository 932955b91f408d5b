"""The names of the layers, which users meet in results and in the doctor's table."""

from __future__ import annotations

from rlm_sandbox.confine import tiers
from rlm_sandbox.confine.layers import NAMESPACES, Layer


def test_every_layer_belongs_to_the_strongest_tier() -> None:
    assert tiers.FULL.layers == set(Layer)


def test_the_namespaces_are_seven() -> None:
    assert sorted(NAMESPACES) == ["cgroup-view", "ipc", "mount", "net", "pid", "user", "uts"]
