"""The text seen from both ends, for code that looks before it searches."""

from __future__ import annotations

from rlm_core.short_answers import first_word


class Looking:
    """Functions of the session that look at P."""

    def __init__(self, text: str) -> None:
        self._text = text

    def peek(self, n: int = 2000) -> str:
        """The first n characters of P."""
        return self._text[: max(0, n)]

    def tail(self, n: int = 2000) -> str:
        """The last n characters of P."""
        return self._text[-n:] if n > 0 else ""

    def lenP(self) -> int:  # noqa: N802 - the field's own name
        """The number of characters in P."""
        return len(self._text)

    def extract_after(self, marker: str, *, max_len: int = 128) -> str | None:
        """The first word after a marker in P, without punctuation around it, or None."""
        position = self._text.find(marker)
        if position < 0:
            return None
        start = position + len(marker)
        return first_word(self._text[start : start + max_len])
