from __future__ import annotations

from typing import get_args

import pytest

from rlm_core import phases


@pytest.mark.parametrize("phase", get_args(phases.Phase))
def test_phases_are_frozen_and_say_what_is_waited_for(phase: type) -> None:
    assert phase.__dataclass_params__.frozen  # ty: ignore[missing-attribute]
    assert "Phase" not in (phase.__doc__ or "Phase")
