from __future__ import annotations

from rlm_core.adapters.base import Usage
from rlm_core.policy import Used
from rlm_core.serve.answer import Spent, shaped
from rlm_core.trace import StepKind, Trace, TraceStep


def step(kind: StepKind, prompt: int, completion: int, *, cache_hit: bool = False) -> TraceStep:
    used = Usage(prompt, completion, prompt + completion)
    return TraceStep(step_id=1, kind=kind, depth=0, usage=used, cache_hit=cache_hit)


def test_what_a_run_used_is_told_apart_into_root_and_below() -> None:
    steps = [
        step("root_call", 100, 10),
        step("subcall", 20, 2),
        step("sub_root_call", 30, 3),
        step("sub_subcall", 50, 5, cache_hit=True),
    ]
    used = Used(
        steps=2, subcalls=1, tokens=165, subcall_tokens=55, prompt_tokens=150,
        completion_tokens=15, cost=0.5,
    )  # fmt: skip
    spent = Spent.of_run(used, Trace(steps))
    assert spent.root == Usage(100, 10, 110)
    assert spent.sub == Usage(50, 5, 55)
    assert spent.total == Usage(150, 15, 165)
    assert (spent.cost, spent.steps, spent.subcalls) == (0.5, 2, 1)


def test_a_text_ends_at_the_first_stop_and_at_its_length() -> None:
    assert shaped("one two three", ("three", "two"), None) == ("one ", False)
    assert shaped("abcdef", (), 3) == ("abc", True)
    assert shaped("abc", (), 3) == ("abc", False)


def test_a_text_that_no_reply_can_say_is_put_right() -> None:
    assert shaped("a\ud800b", (), None) == ("a?b", False)
