"""Values as text: whole for a prompt, or in a few words for a list of variables.

This file is also what the worker runs, beside `guest`: it imports nothing.
"""

from __future__ import annotations


def sketch(value: object) -> str:
    """Type and size of a value, and what it is where that is short."""
    kind = type(value).__name__
    if isinstance(value, (str, bytes, list, tuple, dict, set, frozenset)):
        return f"{kind}[len={len(value)}]"
    text = repr(value) if isinstance(value, (bool, int, float, type(None))) else ""
    return f"{kind} {text}"[:80].rstrip()


def as_text(value: object) -> str:
    """A text, what has one (a context), several of them, or anything else as Python puts it."""
    if isinstance(value, str):
        return value
    text = getattr(value, "text", None)
    if isinstance(text, str):
        return text
    if isinstance(value, (list, tuple)):
        return "\n".join(map(as_text, value))
    return str(value)
