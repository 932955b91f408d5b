"""The examination of this very host."""

from __future__ import annotations

import platform

import pytest

from rlm_sandbox import Sandbox
from rlm_sandbox.confine.layers import Layer
from rlm_sandbox.doctor import examine, prober
from rlm_sandbox.host.groups import Groups


def test_this_host_is_examined_and_agrees_with_its_workers(box: Sandbox) -> None:
    found = examine()
    assert found.tier == box.isolation
    assert {layer.layer for layer in found.layers if layer.in_use} == set(box.layers)
    assert {layer.layer for layer in found.layers} == {str(layer) for layer in Layer}
    assert found.sound
    assert all(layer.available for layer in found.layers if layer.in_use)
    assert found.start_seconds is not None


def test_every_layer_that_is_not_available_has_a_remedy() -> None:
    for layer in examine().layers:
        assert bool(layer.remedy) is not layer.available


def test_another_system_is_told_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(platform, "system", lambda: "Darwin")
    found = examine()
    assert found.tier == "none"
    assert not found.sound
    assert "needs Linux; this is Darwin" in found.reason


def test_room_for_control_groups_is_made_before_the_prober_needs_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    done: list[str] = []

    class Enough(Exception):
        pass

    def probe(*_: object) -> None:
        done.append("probe")
        raise Enough

    monkeypatch.setattr(Groups, "bases", lambda _: done.append("room") or ())
    monkeypatch.setattr(prober, "probe", probe)
    with pytest.raises(Enough):
        examine()
    assert done == ["room", "probe"]
