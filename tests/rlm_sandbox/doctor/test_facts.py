"""Facts about the host: those that matter have advice."""

from __future__ import annotations

import os
import platform
from pathlib import Path

import pytest

from rlm_sandbox.doctor import facts


def gathered() -> dict[str, str]:
    return {fact.name: fact.value for fact in facts.gather()}


def test_the_kernel_the_user_and_the_groups_are_told() -> None:
    told = gathered()
    assert platform.release() in told["kernel"]
    assert {"python", "user", "landlock abi", "control groups"} <= told.keys()


def test_root_is_warned(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    assert "ordinary user" in facts._user().advice
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert facts._user().advice == ""


def test_a_library_behind_a_closed_door_is_told(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    home = tmp_path / "closed"
    home.mkdir(mode=0o700)
    (home / "os.py").touch()
    monkeypatch.setattr(os, "__file__", str(home / "os.py"))
    assert str(home) in facts._library()[0].value


def test_a_setting_with_a_bad_value_has_advice(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(facts, "_SYSCTLS", {"kernel/ostype": ("Linux", "use something else")})
    told = list(facts._sysctls())
    assert [(fact.name, fact.advice) for fact in told] == [("kernel.ostype", "use something else")]


def test_a_pod_is_recognised(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "10.0.0.1")
    assert "a Kubernetes pod" in list(facts._surroundings())
