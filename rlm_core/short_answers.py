"""Short clear answers, out of what sub-models say.

This file is also what the worker runs, beside `guest`: it imports nothing.
"""

from __future__ import annotations

LONGEST = 80
"""Characters of an answer that counts as short."""
_EDGES = " \t\r\n.,;:\"'()[]{}"
_MARKER = "the key term is:"


def short_answer(text: str) -> str | None:
    """The answer without its preamble; None where it is long, unclear or none."""
    cleaned = text.strip()
    if "```" in cleaned or "<think>" in cleaned.lower():
        return None
    if cleaned.lower().startswith(("answer:", "final:", "result:")):
        cleaned = cleaned.split(":", 1)[1].strip()
    if _MARKER in cleaned.lower():
        return first_word(cleaned[cleaned.lower().index(_MARKER) + len(_MARKER) :])
    unusable = cleaned in {"", "NO_ANSWER"} or cleaned.startswith(("[SUBCALL_LIMIT]", "[ERROR]"))
    if unusable or "\n" in cleaned or len(cleaned) > LONGEST:
        return None
    return cleaned


def first_word(text: str) -> str | None:
    """The first word, without punctuation around it."""
    words = text.split(None, 1)
    return (words[0].strip(_EDGES) or None) if words else None
