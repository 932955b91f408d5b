"""How many tokens a text has, by rule of thumb: where nobody has counted."""

from __future__ import annotations

__all__ = ["CHARACTERS_PER_TOKEN", "estimate_tokens"]

CHARACTERS_PER_TOKEN = 4
"""Of English text."""


def estimate_tokens(text: str) -> int:
    """Tokens of a text: four characters each, and one at least if any."""
    return max(1, len(text) // CHARACTERS_PER_TOKEN) if text else 0
