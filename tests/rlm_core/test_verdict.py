from __future__ import annotations

import pytest

from rlm_core import verdict
from rlm_core.reply import Why
from rlm_core.rules import AutoFinalize, EpisodeRules
from rlm_core.stimuli import Value
from rlm_core.verdict import Accepted, Blocked, Done, NotYet, Rejected

DONE = Done(step=3, ran_code=True, called_sub_model=True)


def judge(value: Value | None, *, pending: bool = False, done: Done = DONE, **auto: object):
    rules = EpisodeRules(
        auto_finalize=AutoFinalize("x", **auto),  # ty: ignore[invalid-argument-type]
        min_steps=2,
    )
    return verdict.of_auto_variable(rules, value, done, fallback_pending=pending)


def test_guards_name_what_is_missing() -> None:
    strict = EpisodeRules(
        min_steps=2, require_repl_before_final=True, require_subcall_before_final=True
    )
    assert verdict.guard(strict, Done(1, ran_code=True, called_sub_model=True)) == (
        "Guard: step 1/2, keep exploring before FINAL."
    )
    assert "REPL" in (verdict.guard(strict, Done(2, ran_code=False, called_sub_model=True)) or "")
    assert "subcall" in (
        verdict.guard(strict, Done(2, ran_code=True, called_sub_model=False)) or ""
    )
    assert verdict.guard(strict, DONE) is None


def test_a_value_is_accepted_stripped() -> None:
    assert judge(Value("  Paris ")) == Accepted("Paris")
    assert judge(Value("42", "other")) == Accepted("42")


def test_nothing_in_the_variable_is_no_answer_yet() -> None:
    assert judge(None) == NotYet()
    assert judge(Value("None", "none")) == NotYet()
    assert "empty" in judge(Value("  ")).error
    assert judge(Value("no_answer"), pending=True) == NotYet("Auto-finalize blocked: NO_ANSWER.")
    assert judge(Value("NO_ANSWER")) == Accepted("NO_ANSWER")


def test_short_answers_are_blocked() -> None:
    assert isinstance(judge(Value("abc"), min_length=4), Blocked)
    assert judge(Value("abcd"), min_length=4) == Accepted("abcd")


def test_answers_that_match_a_pattern_are_rejected_whatever_the_case() -> None:
    assert judge(Value("See Above"), reject_patterns=("see above",)) == Rejected("see above")


def test_too_few_steps_put_an_answer_off() -> None:
    early = Done(1, ran_code=True, called_sub_model=True)
    assert "min_steps=2" in judge(Value("x"), done=early).error


def test_own_words_for_a_rejection_are_formatted() -> None:
    auto = AutoFinalize(
        "x", reject_limit=3, reject_feedback="{var} {pattern} {count}/{limit} {remaining}"
    )
    assert verdict.rejection_feedback(auto, "p", 1) == "x p 1/3 2"
    assert "'p'" in verdict.rejection_feedback(AutoFinalize("x"), "p", 1)


@pytest.mark.parametrize(
    ("value", "salvaged"),
    [
        (None, None),
        (Value("None", "none"), None),
        (Value(" no_answer "), None),
        (Value(" 42 "), "42"),
        (Value("42", "other"), "42"),
        (Value("[1, 2" * 9_000, "other"), None),
    ],
)
def test_what_is_worth_salvaging(value: Value | None, salvaged: str | None) -> None:
    assert verdict.salvageable(value) == salvaged


@pytest.mark.parametrize("why", list(Why))
def test_every_kind_of_invalid_reply_is_told_what_to_do(why: Why) -> None:
    assert verdict.invalid_reply(why, "text", None).startswith("Invalid response: ")


def test_a_reply_used_up_by_thinking_is_told_so() -> None:
    assert "finish_reason=length" in verdict.invalid_reply(Why.EMPTY, "", "length")


def test_zero_none_and_no_answer_leave_the_fallback_needed() -> None:
    for text in ("", "0", "None", "NO_ANSWER"):
        assert verdict.holds_nothing(Value(text))
    assert not verdict.holds_nothing(Value("x"))
    assert not verdict.holds_nothing(Value("0", "other"))
