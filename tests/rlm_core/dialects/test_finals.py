from __future__ import annotations

import pytest

from rlm_core.dialects import finals
from rlm_core.dialects.finals import Final, FinalVar


def test_the_first_final_that_begins_a_line_is_found_with_its_place() -> None:
    found = finals.find("some words\nFINAL: a\nFINAL: b")
    assert found is not None
    assert (found.final, found.start) == (Final("a\nFINAL: b"), 11)
    assert finals.find("the word FINAL: is not at the beginning") is None


@pytest.mark.parametrize("text", ["FINALLY: x", "FINAL", "final: x", "FINALS(x)"])
def test_words_that_only_look_like_it_are_no_final(text: str) -> None:
    assert finals.find(text) is None


def test_parentheses_are_balanced_and_an_apostrophe_is_no_quote() -> None:
    found = finals.find("FINAL(it's (really) here) and more")
    assert found is not None
    assert found.final == Final("it's (really) here")


def test_finals_among_the_statements_of_code_are_taken_out() -> None:
    assert finals.in_code("x = 1\nFINAL_VAR: x") == ("x = 1", FinalVar("x"))
    assert finals.in_code("if x:\n    FINAL_VAR: x") == ("if x:\n    FINAL_VAR: x", None)
    assert finals.in_code("not python FINAL") == ("not python FINAL", None)


def test_plans_are_told_from_answers() -> None:
    assert finals.is_plan("I will search for it")
    assert finals.is_plan("First, let me look at P")
    assert not finals.is_plan("Let me know is the title")
    assert not finals.is_plan("The plan was accepted")


def test_the_last_box_counts() -> None:
    assert finals.boxed("\\boxed{1} no, \\boxed{x^{2}}") == Final("x^{2}")
    assert finals.boxed("\\boxed{}") is None
