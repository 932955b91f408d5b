"""Numbers as people give them on the command line: checked, or refused with what would do."""

from __future__ import annotations

import argparse
import math


def whole(text: str) -> int:
    """A whole number of 1 or more. Raises ArgumentTypeError."""
    return at_least(text, 1)


def count(text: str) -> int:
    """A whole number of 0 or more. Raises ArgumentTypeError."""
    return at_least(text, 0)


def at_least(text: str, least: int) -> int:
    """A whole number that is not below `least`. Raises ArgumentTypeError."""
    number = int(text) if text.isascii() and text.isdigit() else -1
    if number < least:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number of {least} or more")
    return number


def seconds(text: str) -> float:
    """A number of seconds above 0. Raises ArgumentTypeError."""
    return _above_zero(text, "number of seconds")


def above_zero(text: str) -> float:
    """A number above 0. Raises ArgumentTypeError."""
    return _above_zero(text, "number")


def amount(text: str) -> float:
    """A number of 0 or more. Raises ArgumentTypeError."""
    number = _number(text)
    if number < 0:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of 0 or more")
    return number


def _above_zero(text: str, what: str) -> float:
    number = _number(text)
    if number <= 0:
        raise argparse.ArgumentTypeError(f"{text!r} is not a {what} above 0")
    return number


def _number(text: str) -> float:
    """-1.0 for what is no finite number."""
    try:
        number = float(text)
    except ValueError:
        return -1.0
    return number if math.isfinite(number) else -1.0
