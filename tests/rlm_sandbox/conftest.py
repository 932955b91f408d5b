"""Real sandboxes for the tests, closed when the test is over."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from rlm_sandbox import Sandbox


@pytest.fixture
def box() -> Iterator[Sandbox]:
    """A sandbox as it comes by default."""
    with Sandbox() as opened:
        yield opened


@pytest.fixture
def free_box() -> Iterator[Sandbox]:
    """A sandbox whose code may import whatever is there, as hostile code would."""
    with Sandbox(imports="all") as opened:
        yield opened
