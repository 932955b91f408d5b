from __future__ import annotations

import pytest

from rlm_core.short_answers import first_word, short_answer


@pytest.mark.parametrize(
    ("said", "answer"),
    [
        (" Paris ", "Paris"),
        ("Answer: Paris", "Paris"),
        ("The key term is: 'oolong', I think.", "oolong"),
        ("NO_ANSWER", None),
        ("[SUBCALL_LIMIT] x", None),
        ("two\nlines", None),
        ("```\nx\n```", None),
        ("<think>x", None),
        ("x" * 81, None),
    ],
)
def test_only_short_clear_answers_count(said: str, answer: str | None) -> None:
    assert short_answer(said) == answer


def test_a_word_is_taken_without_its_punctuation() -> None:
    assert first_word(' ("key"), rest') == "key"
    assert first_word(" ... ") is None
