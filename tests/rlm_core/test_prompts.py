from __future__ import annotations

import re

from rlm_core import prompts
from rlm_core.context import Context
from tests.rlm_core.guest_double import names_of_guest

MANY = list(range(1, 21))


def message(**changes: object) -> str:
    given: dict[str, object] = {
        "query": "Who?",
        "context_len": 1234,
        "repl_executed": False,
        "last_stdout": None,
        "last_error": None,
        "step": 1,
        "max_steps": 40,
    }
    return prompts.build_root_user_message(**{**given, **changes})  # ty: ignore[invalid-argument-type]


def test_the_sub_models_prompt_begins_with_the_words_that_programs_match_on() -> None:
    assert prompts.SUBCALL_SYSTEM_PROMPT.startswith("You are a sub-LLM")


def test_no_other_prompt_holds_these_words() -> None:
    others = (
        prompts.BASE_SYSTEM_PROMPT,
        prompts.RECURSIVE_SUBCALL_SYSTEM_PROMPT,
        prompts.LLAMA_SYSTEM_PROMPT,
        prompts.QWEN_SYSTEM_PROMPT,
        prompts.TINYLLAMA_SYSTEM_PROMPT,
    )
    for prompt in others:
        assert "You are a sub-LLM" not in prompt
        assert "FINAL_VAR" in prompt


def test_the_first_step_asks_to_look_before_answering() -> None:
    assert prompts.FIRST_LOOK in message()
    assert prompts.FIRST_LOOK not in message(step=2)
    assert prompts.FIRST_LOOK not in message(repl_executed=True)


def test_long_lists_are_shown_by_their_ends() -> None:
    text = message(context_type="document_list", num_documents=20, document_lengths=MANY)
    assert "[1, 2, 3, 4, 5, ... 16, 17, 18, 19, 20]" in text
    assert "Number of documents: 20" in text


def test_results_are_cut_with_the_number_of_characters_left_out() -> None:
    text = prompts.build_iteration_message(
        last_stdout="X" * 5000, last_error=None, last_state_summary=None, step=2, max_steps=40
    )
    assert "stdout:\n" in text
    assert "...[truncated 3200 chars]" in text
    assert "error:\n<none>" in text
    assert len(text) < 2600


def test_the_query_is_repeated_so_that_it_is_not_lost() -> None:
    text = prompts.build_iteration_message(
        last_stdout=None, last_error=None, last_state_summary=None, step=2, max_steps=40,
        root_query="Who?",
    )  # fmt: skip
    assert '"Who?"' in text
    assert "Step: 2/40" in text


def test_additions_come_after_the_base_prompt() -> None:
    prompt = prompts.build_system_prompt("base", retriever_available=True, supplement=" more")
    assert prompt.startswith("base")
    assert prompt.endswith(" more")
    assert "search" in prompt


def test_every_helper_that_the_base_prompt_shows_is_there() -> None:
    called = set(re.findall(r"\b([a-zA-Z_]+)\(", prompts.BASE_SYSTEM_PROMPT)) - {"print", "len"}
    methods = {name for name in called if f"ctx.{name}(" in prompts.BASE_SYSTEM_PROMPT}
    assert called - methods <= names_of_guest()
    assert all(hasattr(Context, name) for name in methods)
