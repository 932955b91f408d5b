"""What is no such number is refused, and the refusal says what would do."""

from __future__ import annotations

import argparse
from collections.abc import Callable

import pytest

from rlm_core.cli.numbers import above_zero, amount, at_least, count, seconds, whole


@pytest.mark.parametrize(
    ("read", "text", "number"),
    [
        (whole, "1", 1),
        (count, "0", 0),
        (seconds, "0.5", 0.5),
        (above_zero, "1e-3", 0.001),
        (amount, "0", 0.0),
    ],
)
def test_a_number_is_read(read: Callable[[str], float], text: str, number: float) -> None:
    assert read(text) == number


@pytest.mark.parametrize(
    ("read", "text", "says"),
    [
        (whole, "0", "whole number of 1 or more"),
        (whole, "1.5", "whole number of 1 or more"),
        (count, "-1", "whole number of 0 or more"),
        (count, "\u0663", "whole number of 0 or more"),
        (seconds, "0", "number of seconds above 0"),
        (seconds, "inf", "number of seconds above 0"),
        (above_zero, "nan", "number above 0"),
        (above_zero, "", "number above 0"),
        (amount, "-0.1", "number of 0 or more"),
        (amount, "many", "number of 0 or more"),
    ],
)
def test_anything_else_is_refused(read: Callable[[str], float], text: str, says: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError, match=says):
        read(text)


def test_the_least_can_be_chosen() -> None:
    assert at_least("3", 3) == 3
    with pytest.raises(argparse.ArgumentTypeError, match="3 or more"):
        at_least("2", 3)
