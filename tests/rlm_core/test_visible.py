from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rlm_core.visible import visible, visible_line


@pytest.mark.parametrize(
    ("raw", "shown"),
    [
        ("plain\ttext\n", "plain\ttext\n"),
        ("\x1b[31mred\x1b[0m", "\u241b[31mred\u241b[0m"),
        ("a\rb", "a\u240db"),
        ("a\r\nb", "a\nb"),
        ("\x07\x00\x7f", "\u2407\u2400\u2421"),
        ("\x9b31m", "\\x9b31m"),
        ("\u202egnp.exe", "\\u202egnp.exe"),
        ("\u2028", "\\u2028"),
        ("\ud800", "\\ud800"),
        ("h\u00e9llo \u4f60\u597d \U0001f600", "h\u00e9llo \u4f60\u597d \U0001f600"),
        ("\U0001f468\u200d\U0001f469", "\U0001f468\u200d\U0001f469"),
    ],
)
def test_control_characters_are_shown_and_text_is_left_alone(raw: str, shown: str) -> None:
    assert visible(raw) == shown


@given(st.text())
def test_no_text_keeps_a_control_character(text: str) -> None:
    for character in visible(text):
        assert character in "\n\t\u200c\u200d\u00ad" or unicodedata.category(character) not in {
            "Cc",
            "Cf",
            "Cs",
        }
    assert "\n" not in visible_line(text)
