from __future__ import annotations

from typing import get_args

import msgspec
import pytest

from rlm_core import phases


@pytest.mark.parametrize("phase", get_args(phases.Phase))
def test_phases_are_frozen_and_say_what_is_waited_for(phase: type[msgspec.Struct]) -> None:
    assert phase.__struct_config__.frozen
    assert "Phase" not in (phase.__doc__ or "Phase")
