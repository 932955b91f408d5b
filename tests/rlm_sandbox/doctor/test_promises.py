"""What is not promised follows from the layers that are not there."""

from __future__ import annotations

from rlm_sandbox.confine import tiers
from rlm_sandbox.confine.layers import Layer
from rlm_sandbox.doctor import promises


def test_with_every_layer_only_what_nobody_can_promise_is_left() -> None:
    assert tuple(promises.not_promised(set(Layer))) == promises.ALWAYS


def test_each_missing_layer_is_a_promise_less() -> None:
    for layer in promises._WITHOUT:
        told = promises.not_promised(set(Layer) - {layer}, uid=1000)
        assert len(told) == len(promises.ALWAYS) + 1, layer


def test_standard_says_what_can_be_seen_of_the_host() -> None:
    told = " ".join(promises.not_promised(tiers.STANDARD.required, uid=1000))
    for word in ("private /tmp", "pathname UNIX sockets", "RLIMIT_NPROC", "cgroup", "names, sizes"):
        assert word in told


def test_a_root_that_stays_root_is_told() -> None:
    assert "root without any capability" in " ".join(
        promises.not_promised(tiers.STANDARD.required, uid=0)
    )


def test_a_host_without_a_tier_promises_nothing() -> None:
    assert promises.not_promised(()) == [promises.NO_TIER]
