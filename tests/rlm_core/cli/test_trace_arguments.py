from __future__ import annotations

import pytest

from rlm_core.cli.arguments import parse
from rlm_core.cli.trace_arguments import TraceArguments


def test_traces_are_shown_and_replayed() -> None:
    assert parse(["trace", "show", "t", "--full"]) == TraceArguments("show", "t", full=True)
    assert parse(["trace", "replay", "t", "a", "--json"]) == TraceArguments(
        "replay", "t", ("a",), json=True
    )
    with pytest.raises(SystemExit):
        parse(["trace"])


def test_flags_are_not_guessed_from_their_beginnings() -> None:
    with pytest.raises(SystemExit):
        parse(["trace", "show", "t", "--ful"])
