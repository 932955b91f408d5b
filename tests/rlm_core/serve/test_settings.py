from __future__ import annotations

import pytest

from rlm_core.serve.settings import Settings, default_turns


@pytest.mark.parametrize(
    ("host", "is_loopback"),
    [("127.0.0.1", True), ("::1", True), ("localhost", True), ("0.0.0.0", False), ("", False)],
)
def test_only_the_loopback_is_out_of_reach_for_others(host: str, is_loopback: bool) -> None:
    assert Settings(host=host).is_loopback is is_loopback


def test_what_is_here_in_all_has_an_end() -> None:
    assert Settings(turns=2, straight_turns=3, places=4).most_inside == 13
    assert default_turns() >= 4
