from __future__ import annotations

import pytest

from rlm_core.conversation import ContextFacts, Conversation, Feedback
from rlm_core.reply import Code, Final, FinalVar, Neither, Why
from rlm_core.rules import AutoFinalize, EpisodeRules
from rlm_core.salvage import (
    Salvage,
    TryCode,
    TryFinal,
    TryStdout,
    TrySummary,
    TryText,
    TryVariables,
    answer_names,
    plan,
)
from rlm_core.stimuli import Begin, Ending, Finish, Look, Looked, RunStatus, Value

PLAIN = EpisodeRules()
AUTO = EpisodeRules(auto_finalize=AutoFinalize("found"))
COMMON = TryVariables(("final_answer", "answer", "result", "summary"))


def test_the_variable_that_was_asked_for_comes_first() -> None:
    assert answer_names(AUTO)[0] == "found"
    assert answer_names(EpisodeRules(auto_finalize=AutoFinalize("answer")))[:2] == (
        "answer",
        "final_answer",
    )


def test_at_the_last_step_the_model_is_asked_once_more_before_stdout_is_taken() -> None:
    assert plan(Ending.MAX_STEPS, PLAIN, Code("x = 1"), "", fallback=None) == [
        TrySummary(),
        COMMON,
        TryStdout(),
    ]
    assert plan(Ending.MAX_STEPS, AUTO, None, "", fallback=None)[0] == TryVariables(("found",))


def test_a_model_that_has_seen_nothing_is_not_asked_to_sum_up() -> None:
    assert plan(Ending.MAX_STEPS, PLAIN, None, "", fallback=None) == [COMMON, TryStdout()]


def test_without_tokens_the_code_that_was_written_is_still_run() -> None:
    reply = Code("x = 1", FinalVar("x"))
    assert plan(Ending.MAX_TOKENS, PLAIN, reply, "raw", fallback="y = 2") == [
        COMMON,
        TryCode("x = 1"),
        TryFinal(FinalVar("x")),
        TryStdout(),
        TryCode("y = 2"),
        TryStdout(),
        TryFinal(FinalVar("x")),
        TryText("raw"),
    ]


def test_without_tokens_a_final_that_was_given_holds() -> None:
    attempts = plan(Ending.MAX_TOKENS, PLAIN, Final("42"), "FINAL: 42", fallback=None)
    assert attempts == [COMMON, TryFinal(Final("42")), TryText("FINAL: 42")]


def test_tokens_that_are_gone_before_the_question_leave_variables_and_stdout() -> None:
    assert plan(Ending.MAX_TOKENS, PLAIN, None, "", fallback=None) == [COMMON, TryStdout()]


def test_in_a_circle_a_final_that_was_ignored_is_taken() -> None:
    reply = Code("print(1)", Final("42"))
    assert TryFinal(Final("42")) in plan(Ending.COLLAPSED, PLAIN, reply, "", fallback=None)
    insisted = Neither(Why.PLAN, "I will")
    assert TryText("I will") in plan(Ending.COLLAPSED, PLAIN, insisted, "", fallback=None)


def test_the_context_itself_is_never_given_as_the_answer() -> None:
    assert plan(Ending.CONTEXT_PRINTED, PLAIN, None, "", fallback=None) == [COMMON]


def test_attempts_follow_each_other_until_one_gives_an_answer() -> None:
    rules = EpisodeRules()
    salvage = Salvage(Ending.MAX_STEPS, rules, [TryVariables(("a", "b")), TryText("said")])
    conversation, feedback = Conversation(rules, "Q?", ContextFacts(1)), Feedback()
    assert salvage.next(conversation, feedback, 1, "") == Look(("a", "b"))
    assert salvage.hear(Looked({"a": Value("None", "none")})) is None
    assert salvage.next(conversation, feedback, 1, "") == Finish(
        "said", RunStatus.LIMITED, Ending.MAX_STEPS
    )
    end = salvage.next(conversation, feedback, 1, "")
    assert end == Finish("NO_ANSWER", RunStatus.NO_ANSWER, Ending.MAX_STEPS)


def test_what_was_not_asked_for_is_the_drivers_mistake() -> None:
    with pytest.raises(ValueError, match="Begin is not expected"):
        Salvage(Ending.MAX_STEPS, EpisodeRules(), []).hear(Begin())
