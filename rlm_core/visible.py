"""Text of a model or a worker, made fit for a terminal: nothing in it can steer one."""

from __future__ import annotations

import unicodedata

__all__ = ["visible", "visible_line"]

_KEPT = frozenset("\n\t")
_BLIND = frozenset({"Cc", "Cf", "Cs", "Co", "Zl", "Zp"})
"""Unicode categories that are not to be seen but may steer a terminal or the order of reading."""
_JOINERS = frozenset("\u200c\u200d\u00ad")  # parts of words and emoji, and harmless


def visible(text: str) -> str:
    """`text` with every control character replaced by a sign or an escape that shows it."""
    text = text.replace("\r\n", "\n")
    if text.isascii() and text.replace("\n", "").replace("\t", "").isprintable():
        return text
    return "".join(map(_shown, text))


def visible_line(text: str) -> str:
    """`text` as one line that is safe to show."""
    return visible(" ".join(text.split()))


def _shown(character: str) -> str:
    if character in _KEPT or unicodedata.category(character) not in _BLIND:
        return character
    if character in _JOINERS:
        return character
    code = ord(character)
    if code < 0x20:
        return chr(0x2400 + code)  # the control pictures: ESC is shown as U+241B
    return "\u2421" if code == 0x7F else ascii(character)[1:-1]
