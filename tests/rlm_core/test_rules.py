from __future__ import annotations

from dataclasses import FrozenInstanceError, replace

import pytest

from rlm_core.rules import AutoFinalize, EpisodeRules


def test_rules_are_frozen_and_can_be_varied() -> None:
    rules = EpisodeRules(auto_finalize=AutoFinalize("x"))
    with pytest.raises(FrozenInstanceError):
        rules.max_steps = 1  # ty: ignore[invalid-assignment]
    assert replace(rules, max_steps=1).auto_finalize == AutoFinalize("x")
