"""What makes which tier, and the advice where one is not to be had."""

from __future__ import annotations

import platform

import pytest

from rlm_sandbox import IsolationUnavailable, Sandbox
from rlm_sandbox.confine import tiers
from rlm_sandbox.confine.layers import NAMESPACES, Layer

ALWAYS = {
    *(Layer.RLIMITS, Layer.CAPABILITIES, Layer.NO_NEW_PRIVS, Layer.NOT_DUMPABLE),
    Layer.SECCOMP,
}


def test_auto_takes_the_strongest_and_nothing_below_standard() -> None:
    assert tiers.choices("auto") == (tiers.FULL, tiers.STANDARD)
    assert tiers.choices("full") == (tiers.FULL,)
    assert tiers.choices("none") == (tiers.NONE,)
    assert all(tier.name == "standard" for tier in tiers.choices("standard"))


def test_full_stands_on_every_namespace_and_standard_on_landlock() -> None:
    assert tiers.FULL.required == ALWAYS | NAMESPACES
    assert tiers.STANDARD.required == ALWAYS | {Layer.LANDLOCK}
    assert tiers.FULL.layers == set(Layer)
    assert tiers.NONE.layers == {Layer.RLIMITS}


def test_a_layer_off_is_neither_required_nor_used() -> None:
    tier = tiers.FULL.without({Layer.NET, Layer.LANDLOCK})
    assert tier.layers == set(Layer) - {Layer.NET, Layer.LANDLOCK}
    assert tier.name == "full"


def test_an_isolation_that_does_not_exist_is_refused_by_name() -> None:
    with pytest.raises(ValueError, match="auto, full, standard, none"):
        tiers.choices("best")


@pytest.mark.parametrize("system", ["Darwin", "Windows", "FreeBSD"])
def test_other_systems_are_told_to_use_linux(monkeypatch: pytest.MonkeyPatch, system: str) -> None:
    monkeypatch.setattr(platform, "system", lambda: system)
    with pytest.raises(IsolationUnavailable, match=f"needs Linux; this is {system}"):
        Sandbox(packages=("unknown-breed",))


def test_other_machines_may_have_none_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(platform, "machine", lambda: "riscv64")
    assert "riscv64" in (tiers.unsupported("auto") or "")
    assert tiers.unsupported("none") is None


@pytest.mark.parametrize(
    ("reason", "advice"),
    [
        ("PermissionError: [Errno 1] unshare(0x10020000): Operation not permitted", "userns"),
        ("PermissionError: [Errno 1] Operation not permitted: 'self/uid_map'", "apparmor"),
        ("OSError: [Errno 38] mount_setattr /sys/usr/lib: Function not implemented", "5.12"),
        ("PermissionError: [Errno 1] mount none on /: Operation not permitted", "5.12"),
        ("OSError: [Errno 38] landlock: this kernel has none", "lsm="),
        ("OSError: [Errno 38] seccomp: Function not implemented", "CONFIG_SECCOMP_FILTER"),
        ("NotContained: the standard library at /root/x cannot be read", "every user can read"),
        ("something else", "rlm doctor"),
    ],
)
def test_every_refusal_has_a_remedy(reason: str, advice: str) -> None:
    assert advice in tiers.remedy(reason)
