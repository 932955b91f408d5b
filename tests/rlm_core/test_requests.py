from __future__ import annotations

import pytest

from rlm_core.digest import digest
from rlm_core.requests import request_of


def test_a_request_says_what_was_asked_and_how_deep() -> None:
    request = request_of("hello", {"max_tokens": 5, "model": "m"}, level=1, max_tokens=256)
    assert (request.prompt, request.max_tokens, request.depth, request.model) == (
        "hello",
        5,
        2,
        "m",
    )
    assert request.digest == digest("hello")


def test_what_is_not_said_is_as_usual_and_what_means_nothing_is_passed_over() -> None:
    request = request_of("\ud800", {"model": 5, "group": 1, "index": "x"}, level=0, max_tokens=256)
    assert (request.max_tokens, request.depth) == (256, 1)
    assert (request.model, request.group, request.index) == (None, None, None)
    assert request_of("a", "no options", level=0, max_tokens=1).depth == 1


@pytest.mark.parametrize(
    ("prompt", "options"),
    [(5, {}), ("a", {"max_tokens": 0}), ("a", {"depth": "deep"}), ("a", {"max_tokens": True})],
)
def test_what_is_no_request_is_refused(prompt: object, options: object) -> None:
    with pytest.raises((TypeError, ValueError)):
        request_of(prompt, options, level=0, max_tokens=256)
