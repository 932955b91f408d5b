from __future__ import annotations

from dataclasses import FrozenInstanceError

import pytest

from rlm_core.events import RLMEvent


def test_an_event_is_frozen_and_needs_nothing_but_its_kind() -> None:
    event = RLMEvent("run_started")
    assert (event.query, event.step, event.elapsed) == (None, None, None)
    with pytest.raises(FrozenInstanceError):
        event.kind = "run_finished"  # ty: ignore[invalid-assignment]
