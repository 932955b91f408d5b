from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rlm_core.answer_type import AnswerType
from rlm_core.conversation import ContextFacts
from rlm_core.loop import Episode
from rlm_core.rules import AutoFinalize, Compaction, EpisodeRules
from rlm_core.stimuli import (
    Action,
    Actions,
    Ask,
    Begin,
    Clear,
    Compacted,
    Ending,
    Event,
    Finish,
    Limit,
    Look,
    Looked,
    Ran,
    Refused,
    Replied,
    Run,
    RunStatus,
    Value,
)

FACTS = ContextFacts(length=10_000, head="x" * 400)


def started(**rules: object) -> Episode:
    episode = Episode(EpisodeRules(**rules), "Who?", FACTS)  # ty: ignore[invalid-argument-type]
    assert isinstance(only(episode.handle(Begin())), Ask)
    return episode


def only(actions: Actions) -> Action:
    (action,) = actions
    return action


def after(episode: Episode, *events: Event) -> Action:
    """The last action that these events lead to."""
    actions: Actions = ()
    for event in events:
        actions = episode.handle(event)
    return actions[-1]


def shown(action: Action) -> str:
    """The last message that the model is sent."""
    assert isinstance(action, Ask)
    return action.messages[-1]["content"]


def test_code_is_run_and_its_result_shown() -> None:
    episode = started()
    assert after(episode, Replied("print(1)")) == Run("print(1)")
    assert "stdout:\n1\n" in shown(after(episode, Ran("1\n")))


def test_final_ends_the_episode() -> None:
    assert after(started(), Replied("FINAL: Paris")) == Finish(
        "Paris", RunStatus.ANSWERED, Ending.FINAL
    )


def test_final_var_is_looked_up_first() -> None:
    episode = started()
    assert after(episode, Replied("FINAL_VAR: x")) == Look(("x",))
    assert after(episode, Looked({"x": Value("7", "other")})) == Finish(
        "7", RunStatus.ANSWERED, Ending.FINAL_VAR
    )


def test_a_missing_final_var_is_told_and_the_episode_goes_on() -> None:
    for values in ({}, {"x": Value("None", "none")}):
        episode = started()
        action = after(episode, Replied("FINAL_VAR: x"), Looked(values))
        assert "FINAL_VAR missing in REPL" in shown(action)


def test_a_missing_final_var_runs_the_fallback_code() -> None:
    episode = started(fallback_code="f()", auto_finalize=AutoFinalize("key"))
    action = after(episode, Replied("FINAL_VAR: x"), Looked({}))
    assert action == Run("f()", ("key",))
    finished = after(episode, Ran(values={"key": Value("found")}))
    assert finished == Finish("found", RunStatus.ANSWERED, Ending.AUTO_FINALIZE)


def test_a_name_given_as_the_answer_becomes_its_value_where_there_is_one() -> None:
    episode = started()
    assert after(episode, Replied("FINAL(answer)")) == Look(("answer",))
    assert after(episode, Looked({"answer": Value("42")})) == Finish(
        "42", RunStatus.ANSWERED, Ending.FINAL
    )
    assert after(started(), Replied("FINAL(Paris)"), Looked({})) == Finish(
        "Paris", RunStatus.ANSWERED, Ending.FINAL
    )


def test_final_var_beside_code_is_taken_once_the_code_has_run() -> None:
    episode = started()
    assert after(episode, Replied("x = 1\nFINAL_VAR: x")) == Run("x = 1", ("x",))
    assert after(episode, Ran(values={"x": Value("1", "other")})) == Finish(
        "1", RunStatus.ANSWERED, Ending.FINAL_VAR
    )


def test_final_var_beside_code_that_failed_is_not_taken() -> None:
    action = after(
        started(),
        Replied("x = f()\nFINAL_VAR: x"),
        Ran(error="NameError", values={"x": Value("old")}),
    )
    assert "NameError" in shown(action)


def test_final_guessed_beside_code_is_not_believed() -> None:
    episode = started()
    action = after(episode, Replied("```python\nprint(len(P))\n```\nFINAL: 7"), Ran("10000\n"))
    assert "10000" in shown(action)


def test_an_answer_that_the_code_submits_ends_the_episode() -> None:
    action = after(started(), Replied("SUBMIT(x)\ny = 1"), Ran(submitted=Value("42")))
    assert action == Finish("42", RunStatus.ANSWERED, Ending.SUBMITTED)


def test_silent_code_shows_what_it_changed_and_other_code_does_not() -> None:
    changes = "REPL state changes:\n- new: x = int"
    assert changes in shown(after(started(), Replied("x = 1"), Ran(changes=changes)))
    assert changes not in shown(after(started(), Replied("x = 1"), Ran("out", changes=changes)))


@pytest.mark.parametrize(
    ("reply", "told"),
    [
        ("", "empty visible content"),
        ("I cannot.", "expected Python code or FINAL"),
        ("```js\nx\n```", "not Python"),
        ("```python\nx = (", "in the middle of code"),
        ("FINAL: I will search", "a plan"),
    ],
)
def test_what_is_neither_code_nor_answer_is_told_so(reply: str, told: str) -> None:
    assert told in shown(after(started(), Replied(reply)))


def test_a_plan_that_is_given_twice_is_the_answer() -> None:
    episode = started()
    after(episode, Replied("FINAL: I will marry Anne"))
    action = after(episode, Replied("FINAL: I will marry Anne"))
    assert action == Finish("I will marry Anne", RunStatus.ANSWERED, Ending.FINAL)


# --- guards ---------------------------------------------------------------------------------------


def test_a_final_before_min_steps_is_put_off() -> None:
    episode = started(min_steps=2)
    assert "Guard: step 1/2" in shown(after(episode, Replied("FINAL: early")))
    assert after(episode, Replied("FINAL: late")) == Finish(
        "late", RunStatus.ANSWERED, Ending.FINAL
    )


def test_required_code_and_subcalls_come_before_a_final() -> None:
    episode = started(require_repl_before_final=True, require_subcall_before_final=True)
    assert "execute REPL code" in shown(after(episode, Replied("FINAL: x")))
    action = after(episode, Replied("y = 1"), Ran(), Replied("FINAL: x"))
    assert "at least one subcall" in shown(action)
    action = after(episode, Replied("llm_query('a')"), Ran(subcalls=1), Replied("FINAL: x"))
    assert action == Finish("x", RunStatus.ANSWERED, Ending.FINAL)


def test_guards_hold_for_what_code_submits_too() -> None:
    episode = started(require_subcall_before_final=True)
    assert "subcall" in shown(
        after(episode, Replied("SUBMIT(1)\nx = 1"), Ran(submitted=Value("1")))
    )


def test_the_subcall_guard_runs_the_fallback_code_when_its_step_has_come() -> None:
    episode = started(require_subcall_before_final=True, subcall_guard_steps=2, fallback_code="f()")
    assert isinstance(after(episode, Replied("x = 1"), Ran()), Ask)
    assert after(episode, Replied("x = 2"), Ran()) == Run("f()")


def test_the_fallback_guard_looks_at_the_variable_and_runs_the_fallback_code() -> None:
    rules = {
        "fallback_guard_steps": 1, "fallback_code": "f()", "auto_finalize": AutoFinalize("key")
    }  # fmt: skip
    episode = started(**rules)
    assert after(episode, Replied("words")) == Look(("key",))
    assert after(episode, Looked({})) == Run("f()", ("key",))
    episode = started(**rules)
    assert isinstance(after(episode, Replied("words"), Looked({"key": Value("there")})), Ask)
    episode = started(**rules)
    assert after(episode, Replied("key = 0"), Ran(values={})) == Run("f()", ("key",))


def test_too_many_invalid_replies_run_the_fallback_code_once() -> None:
    episode = started(invalid_response_limit=2, fallback_code="f()")
    after(episode, Replied("words"))
    assert after(episode, Replied("more words")) == Run("f()")
    after(episode, Ran())
    assert isinstance(after(episode, Replied("yet more words")), Ask)


def test_valid_code_makes_earlier_invalid_replies_forgotten() -> None:
    episode = started(invalid_response_limit=2, fallback_code="f()")
    action = after(episode, Replied("words"), Replied("x = 1"), Ran(), Replied("words again"))
    assert isinstance(action, Ask)


def test_too_many_errors_run_the_fallback_code() -> None:
    episode = started(repl_error_limit=2, fallback_code="f()")
    assert isinstance(after(episode, Replied("a()"), Ran(error="NameError: a")), Ask)
    assert after(episode, Replied("b()"), Ran(error="NameError: b")) == Run("f()")


# --- auto-finalize --------------------------------------------------------------------------------


def test_the_auto_variable_ends_the_episode_as_soon_as_it_holds_an_answer() -> None:
    episode = started(auto_finalize=AutoFinalize("key"))
    assert after(episode, Replied("key = f()")) == Run("key = f()", ("key",))
    assert after(episode, Ran(values={"key": Value("found")})) == Finish(
        "found", RunStatus.ANSWERED, Ending.AUTO_FINALIZE
    )


def test_a_short_answer_is_blocked_and_its_variable_cleared() -> None:
    episode = started(auto_finalize=AutoFinalize("key", min_length=10))
    episode.handle(Replied("key = 'a'"))
    clear, ask = episode.handle(Ran(values={"key": Value("a")}))
    assert clear == Clear("key")
    assert "too short" in shown(ask)


def test_no_answer_in_the_variable_runs_the_fallback_code() -> None:
    episode = started(auto_finalize=AutoFinalize("key"), fallback_code="f()")
    action = after(episode, Replied("key = 'NO_ANSWER'"), Ran(values={"key": Value("NO_ANSWER")}))
    assert action == Run("f()", ("key",))


def test_rejected_answers_are_told_and_at_the_limit_the_last_one_is_given() -> None:
    auto = AutoFinalize("key", reject_patterns=("next step",), reject_limit=2)
    episode = started(auto_finalize=auto)
    rejected = Ran(values={"key": Value("Next steps: look")})
    assert "reject pattern" in shown(after(episode, Replied("key = 1"), rejected))
    look = after(episode, Replied("key = 2"), rejected)
    assert isinstance(look, Look)
    assert look.names[0] == "key"
    assert after(episode, Looked(rejected.values)) == Finish(
        "Next steps: look", RunStatus.LIMITED, Ending.REJECTED
    )


# --- endings --------------------------------------------------------------------------------------


def test_at_the_last_step_the_model_is_asked_for_its_best_answer() -> None:
    episode = started(max_steps=1)
    action = after(episode, Replied("x = 1"), Ran("some output"))
    assert isinstance(action, Ask)
    assert action.purpose == "summary"
    assert "no step left" in shown(action)
    assert after(episode, Replied("Probably Paris.")) == Finish(
        "Probably Paris.", RunStatus.LIMITED, Ending.MAX_STEPS
    )


@pytest.mark.parametrize("reply", [Replied(""), Replied("x = 2"), Refused(Limit.TOKENS)])
def test_without_a_summary_variables_then_the_last_output_are_the_answer(reply: Event) -> None:
    episode = started(max_steps=1)
    after(episode, Replied("x = 1"), Ran("some output\n"))
    assert isinstance(after(episode, reply), Look)
    assert after(episode, Looked({})) == Finish("some output", RunStatus.LIMITED, Ending.MAX_STEPS)


def test_a_summary_that_is_a_final_is_read_as_one() -> None:
    episode = started(max_steps=1)
    after(episode, Replied("x = 1"), Ran())
    assert after(episode, Replied("FINAL: Paris")) == Finish(
        "Paris", RunStatus.LIMITED, Ending.MAX_STEPS
    )


def test_at_the_last_step_the_auto_variable_counts_whatever_its_length() -> None:
    episode = started(max_steps=1, min_steps=9, auto_finalize=AutoFinalize("key", min_length=99))
    episode.handle(Replied("key = 1"))
    assert after(episode, Ran(values={"key": Value("short")})) == Look(("key",))
    assert after(episode, Looked({"key": Value("short")})) == Finish(
        "short", RunStatus.LIMITED, Ending.MAX_STEPS
    )


def test_nothing_at_all_is_no_answer() -> None:
    episode = started()
    assert isinstance(after(episode, Refused(Limit.SECONDS)), Look)
    assert after(episode, Looked({})) == Finish(
        "NO_ANSWER", RunStatus.NO_ANSWER, Ending.MAX_SECONDS
    )


def test_the_reply_that_uses_the_tokens_up_still_has_its_code_run() -> None:
    episode = started()
    assert isinstance(after(episode, Replied("answer = 'done'", overdrawn=Limit.TOKENS)), Look)
    assert after(episode, Looked({})) == Run(
        "answer = 'done'", ("final_answer", "answer", "result", "summary")
    )
    assert after(episode, Ran(values={"answer": Value("done")})) == Finish(
        "done", RunStatus.LIMITED, Ending.MAX_TOKENS
    )


def test_the_reply_that_uses_the_tokens_up_may_itself_be_the_answer() -> None:
    episode = started()
    after(episode, Replied("FINAL: 42", overdrawn=Limit.TOKENS))
    assert after(episode, Looked({})) == Finish("42", RunStatus.LIMITED, Ending.MAX_TOKENS)


def test_without_tokens_the_fallback_code_comes_before_the_raw_text() -> None:
    episode = started(fallback_code="f()")
    after(episode, Replied("just words", overdrawn=Limit.TOKENS))
    run = after(episode, Looked({}))
    assert isinstance(run, Run)
    assert run.code == "f()"
    assert after(episode, Ran("printed")) == Finish("printed", RunStatus.LIMITED, Ending.MAX_TOKENS)


def test_replies_that_are_all_hidden_thought_end_the_episode_at_the_limit() -> None:
    episode = started(invalid_response_limit=2)
    dry = Replied("", finish_reason="length")
    assert "finish_reason=length" in shown(after(episode, dry))
    after(episode, dry)
    assert after(episode, Looked({})) == Finish(
        "NO_ANSWER", RunStatus.NO_ANSWER, Ending.EMPTY_REPLIES
    )


def test_the_same_reply_with_the_same_result_gets_advice_and_then_an_end() -> None:
    episode = started(collapse_limit=3)
    turn = (Replied("print(1)"), Ran("1\n"))
    assert "same reply" not in shown(after(episode, *turn))
    assert "same reply 2 times" in shown(after(episode, *turn))
    assert isinstance(after(episode, *turn), Look)
    assert after(episode, Looked({})) == Finish("1", RunStatus.LIMITED, Ending.COLLAPSED)


def test_the_same_code_with_new_results_is_progress() -> None:
    episode = started(collapse_limit=3)
    for number in range(6):
        action = after(episode, Replied("print(next(chunks))"), Ran(f"chunk {number}\n"))
    assert isinstance(action, Ask)


def test_printing_the_context_gets_advice_and_then_an_end() -> None:
    episode = started(context_print_limit=2)
    printed = Ran(FACTS.head + "y" * 9_000)
    assert "You printed the context" in shown(after(episode, Replied("print(P)"), printed))
    assert isinstance(after(episode, Replied("print(ctx.text)"), printed), Look)
    assert after(episode, Looked({})) == Finish(
        "NO_ANSWER", RunStatus.NO_ANSWER, Ending.CONTEXT_PRINTED
    )


def test_a_look_at_the_beginning_is_no_printing_of_the_context() -> None:
    action = after(started(), Replied("peek()"), Ran(FACTS.head + "y" * 1_600))
    assert "You printed the context" not in shown(action)


# --- the door -------------------------------------------------------------------------------------


def test_the_same_events_give_the_same_actions_again() -> None:
    first = started(max_steps=3)
    events = (Replied("x = 1"), Ran("a"), Replied("words"), Replied("FINAL_VAR: x"), Looked({}))
    actions = [first.handle(event) for event in events]
    again = Episode(first.rules, "Who?", FACTS)
    begin, *logged = first.log
    again.handle(begin)
    assert [again.handle(event) for event in logged] == actions


def test_an_event_out_of_turn_is_the_drivers_mistake() -> None:
    episode = started()
    with pytest.raises(ValueError, match="Ran is not expected"):
        episode.handle(Ran())
    finished = started()
    after(finished, Replied("FINAL: x"))
    with pytest.raises(ValueError, match="not expected"):
        finished.handle(Begin())


# --- any model, any session -----------------------------------------------------------------------

REPLIES = st.sampled_from(
    [
        "",
        "words",
        "x = 1",
        "print(P)",
        "FINAL: a",
        "FINAL(answer)",
        "FINAL_VAR: x",
        "FINAL: I will",
        "x = 1\nFINAL_VAR: x",
        "```python\nx = (\n```",
        "```js\nx\n```",
        "SUBMIT(x)\ny = 1",
    ]
)
VALUES = st.dictionaries(
    st.sampled_from(["x", "key", "answer", "final_answer", "result"]),
    st.builds(Value, st.sampled_from(["", "a", "NO_ANSWER", "next step"]),
              st.sampled_from(["text", "none", "other"])),
)  # fmt: skip
RULES = st.builds(
    EpisodeRules,
    max_steps=st.integers(1, 6),
    min_steps=st.integers(0, 3),
    require_repl_before_final=st.booleans(),
    require_subcall_before_final=st.booleans(),
    auto_finalize=st.none()
    | st.builds(AutoFinalize, st.just("key"), st.integers(0, 3), st.just(("next",)), st.just(2)),
    fallback_code=st.none() | st.just("f()"),
    invalid_response_limit=st.none() | st.integers(1, 3),
    repl_error_limit=st.none() | st.integers(1, 2),
    subcall_guard_steps=st.none() | st.integers(1, 3),
    fallback_guard_steps=st.none() | st.integers(1, 3),
    collapse_limit=st.integers(2, 4),
    conversation_history=st.booleans(),
    compaction=st.none() | st.builds(Compaction, st.sampled_from(["rule", "model"]), st.just(700)),
    output=st.none() | st.just(AnswerType(int)),
)


@given(rules=RULES, data=st.data())
def test_every_episode_comes_to_an_end_whatever_model_and_session_do(
    rules: EpisodeRules, data: st.DataObject
) -> None:
    episode = Episode(rules, "Who?", FACTS)
    event: Event = Begin()
    for _ in range(60):
        *quiet, action = episode.handle(event)
        assert all(isinstance(each, Clear | Compacted) for each in quiet)
        match action:
            case Finish(answer):
                assert answer.strip() or action.status is RunStatus.ANSWERED
                typed = rules.output is not None and action.status is not RunStatus.NO_ANSWER
                assert isinstance(action.value, int) == typed
                return
            case Ask(messages):
                assert [message["role"] for message in messages[:2]] == ["system", "user"]
                assert all(message["content"] for message in messages)
                roles = [message["role"] for message in messages[1:]]
                assert all(one != two for one, two in pairwise(roles))
                event = data.draw(
                    st.builds(
                        Replied,
                        REPLIES,
                        st.sampled_from([None, "length"]),
                        st.sampled_from([None, None, None, Limit.TOKENS]),
                    )
                    | st.builds(Refused, st.sampled_from(Limit))
                )
            case Run():
                event = data.draw(
                    st.builds(
                        Ran,
                        stdout=st.sampled_from(["", "out\n"]),
                        error=st.none() | st.just("NameError: x"),
                        values=VALUES,
                        submitted=st.none() | st.just(Value("s")),
                        subcalls=st.integers(0, 1),
                    )
                )
            case Look():
                event = Looked(data.draw(VALUES))
    pytest.fail("the episode does not end")


# --- answers of a type, and histories that grow -----------------------------------------------


def test_a_final_of_another_type_is_told_and_the_step_counts() -> None:
    episode = started(output=AnswerType(int), max_steps=2)
    assert "Expected `int`" in shown(after(episode, Replied("FINAL: many")))
    assert after(episode, Replied("FINAL: 7")) == Finish("7", RunStatus.ANSWERED, Ending.FINAL, 7)


def test_the_same_mistyped_answer_again_and_again_ends_the_episode() -> None:
    episode = started(output=AnswerType(int), collapse_limit=3)
    action = after(episode, *[Replied("FINAL: many")] * 3)
    assert action == Look(("final_answer", "answer", "result", "summary"))


def grown(by: str) -> tuple[Episode, Actions]:
    """An episode whose history has just grown too long."""
    episode = started(compaction=Compaction(by, 1_500))  # ty: ignore[invalid-argument-type]
    for number in range(20):
        after(episode, Replied(f"print({number})"))
        actions = episode.handle(Ran(f"{number} " + "z" * 900))
        if len(actions) > 1 or (isinstance(actions[0], Ask) and actions[0].purpose != "step"):
            return episode, actions
    raise AssertionError("it did not grow")


def test_by_rule_older_turns_are_summarised_on_the_way() -> None:
    _, (compacted, ask) = grown("rule")
    assert isinstance(compacted, Compacted)
    assert compacted.turns >= 1
    assert "- ran: print(0)" in compacted.summary
    assert isinstance(ask, Ask)
    assert ask.purpose == "step"
    assert "- ran: print(0)" in ask.messages[1]["content"]


def test_by_model_a_summary_is_asked_for_and_a_refusal_falls_back_to_the_rule() -> None:
    episode, (ask,) = grown("model")
    assert isinstance(ask, Ask)
    assert ask.purpose == "compaction"
    step = episode.step
    compacted, going_on = episode.handle(Replied("All printed."))
    assert isinstance(compacted, Compacted)
    assert compacted.summary == "All printed."
    assert isinstance(going_on, Ask)
    assert episode.step == step + 1
    episode, _ = grown("model")
    compacted, _ = episode.handle(Refused(Limit.TOKENS))
    assert isinstance(compacted, Compacted)
    assert "- ran: print(0)" in compacted.summary
