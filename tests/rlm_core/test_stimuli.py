from __future__ import annotations

from dataclasses import asdict, fields, is_dataclass
from typing import get_args

import pytest

from rlm_core import stimuli


@pytest.mark.parametrize("kind", [*get_args(stimuli.Event), *get_args(stimuli.Action)])
def test_events_and_actions_are_frozen_data(kind: type) -> None:
    assert is_dataclass(kind)
    assert kind.__dataclass_params__.frozen  # ty: ignore[missing-attribute]


def test_what_a_cell_did_can_be_written_down() -> None:
    ran = stimuli.Ran("out", values={"x": stimuli.Value("1")})
    assert asdict(ran)["values"] == {"x": {"text": "1", "kind": "text", "data": None}}
    assert {field.name for field in fields(ran)} >= {"stdout", "error", "submitted"}
