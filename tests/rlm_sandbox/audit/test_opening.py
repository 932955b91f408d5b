"""A sandbox of the audit lacks what it is told to leave off, and nothing else."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from rlm_sandbox import Limits, Sandbox
from rlm_sandbox.audit.opening import forget_layers, open_sandbox
from rlm_sandbox.confine.layers import Layer

WITHOUT = frozenset({Layer.UTS})


@pytest.fixture
def _forgotten() -> Iterator[None]:
    yield
    forget_layers("auto", WITHOUT)


@pytest.mark.usefixtures("_forgotten")
def test_it_is_a_sandbox_without_that_layer() -> None:
    with (
        Sandbox() as whole,
        open_sandbox(limits=Limits(), functions={}, imports="safe", without=WITHOUT) as weak,
    ):
        assert set(whole.layers) - set(weak.layers) == {Layer.UTS} & set(whole.layers)
        assert weak.exec("6 * 7").stdout == "42\n"


def test_its_host_functions_can_be_called() -> None:
    with open_sandbox(
        limits=Limits(), functions={"double": lambda x: 2 * x}, imports="safe"
    ) as box:
        assert box.exec("double(21)").stdout == "42\n"
