from __future__ import annotations

from typing import get_args

import msgspec
import pytest

from rlm_core import stimuli


@pytest.mark.parametrize("kind", [*get_args(stimuli.Event), *get_args(stimuli.Action)])
def test_events_and_actions_are_frozen_data(kind: type[msgspec.Struct]) -> None:
    assert kind.__struct_config__.frozen


def test_what_a_cell_did_can_be_written_down() -> None:
    ran = stimuli.Ran("out", values={"x": stimuli.Value("1")})
    written = msgspec.to_builtins(ran)
    assert written["values"] == {"x": {"text": "1", "kind": "text", "data": None}}
    assert set(written) >= {"stdout", "error", "submitted"}
    assert msgspec.convert(written, stimuli.Ran) == ran


@pytest.mark.parametrize("limit", stimuli.Limit)
def test_every_limit_ends_an_episode_under_its_own_name(limit: stimuli.Limit) -> None:
    assert limit.ending.value == limit.value
