"""The result of a step: frozen, with words that stay the same for programs that compare them."""

from __future__ import annotations

import dataclasses
import json

import pytest

from rlm_sandbox.result import ExecResult, Outcome, State


def test_outcomes_and_states_are_the_documented_words() -> None:
    assert {str(outcome) for outcome in Outcome} == {
        *("ok", "error", "timeout", "cpu", "memory", "output"),
        *("crashed", "exited", "violation", "cancelled"),
    }
    assert {str(state) for state in State} == {"kept", "restored", "lost"}


def test_an_outcome_compares_and_serialises_as_its_word() -> None:
    assert Outcome("timeout") is Outcome.TIMEOUT
    assert json.dumps(Outcome.MEMORY) == '"memory"'


def test_a_result_is_frozen_and_works_with_replace_and_asdict() -> None:
    result = ExecResult(stdout="hello")
    with pytest.raises(dataclasses.FrozenInstanceError):
        result.__setattr__("stdout", "other")
    assert dataclasses.replace(result, stdout="other").stdout == "other"
    assert set(dataclasses.asdict(result)) == {
        *("stdout", "error", "outcome", "state", "wall_seconds", "worker_seconds", "cpu_seconds"),
        *("peak_memory", "host_calls", "truncated"),
    }
