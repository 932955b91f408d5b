from __future__ import annotations

from typing import Any

import pytest

from rlm_core.context import Context
from tests.rlm_core.guest_double import TEXT, HostDouble, guest_session, run


def test_llm_query_sends_the_text_of_whatever_it_is_given(
    guest: dict[str, Any], host: HostDouble
) -> None:
    assert run(guest, "out = llm_query('a', max_tokens=5, depth=2)") == "A"
    run(guest, "llm_query(Context.from_text('ctx')); llm_query(['x', 'y']); subcall('s')")
    assert host.asked == ["a", "ctx", "x\ny", "s"]
    assert host.options[0] == {"model": None, "max_tokens": 5, "depth": 2}


def test_llm_batch_keeps_order_and_asks_each_prompt_once(
    guest: dict[str, Any], host: HostDouble
) -> None:
    assert run(guest, "out = llm_batch(['b', 'a', 'b'])") == ["B", "A", "B"]
    assert (host.asked, host.batches) == (["b", "a"], 1)
    assert run(guest, "out = llm_batch([])") == []
    assert host.batches == 1


def test_a_batch_that_is_too_large_to_cross_at_once_goes_in_portions(
    guest: dict[str, Any], host: HostDouble
) -> None:
    code = "prompts = [f'{n}' + 'x' * 900_000 for n in range(5)]\nout = llm_batch(prompts)"
    assert run(guest, code) == [f"{number}" + "X" * 900_000 for number in range(5)]
    assert host.batches == 3


def test_llm_batch_answers_for_what_is_no_prompt_and_keeps_the_rest(guest: dict[str, Any]) -> None:
    assert run(guest, "out = llm_batch(['a', None, ['x']])") == [
        "A",
        "[ERROR] llm_batch expects a list of prompt strings.",
        "[ERROR] llm_batch expects a list of prompt strings.",
    ]
    with pytest.raises(ValueError, match="list of prompt strings"):
        run(guest, "llm_batch('text')")
    with pytest.raises(ValueError, match="on_error"):
        run(guest, "llm_batch(['a'], on_error='ignore')")


def test_one_failed_prompt_does_not_lose_the_batch() -> None:
    def answer(prompt: str) -> str:
        if prompt == "bad":
            raise RuntimeError("no luck")
        return prompt.upper()

    guest = guest_session(Context.from_text(TEXT), HostDouble(answer))
    assert run(guest, "out = llm_batch(['a', 'bad'])") == ["A", "[ERROR] RuntimeError: no luck"]
    code = "out = [(e.kind, e.message) for e in out if isinstance(e, PromptError)]"
    assert run(guest, code) == [("RuntimeError", "no luck")]
