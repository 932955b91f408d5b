from __future__ import annotations

import threading
from pathlib import Path
from queue import SimpleQueue
from typing import Any, NoReturn, cast

import pytest

from rlm_core.adapters.base import Usage
from rlm_core.errors import RunCancelled
from rlm_core.fan_out import FanOut
from rlm_core.policy import Policy
from rlm_core.stimuli import Ending, Finish, RunStatus
from rlm_core.subcalls import Subcalls
from tests.rlm_core.models import Answering
from tests.rlm_core.test_subcalls import Host


def texts_of(host: Host, count: int) -> list[str]:
    return host.texts([f"prompt {number}" for number in range(count)])


def test_a_call_takes_one_thread_and_a_batch_no_more_than_may_run_at_once(tmp_path: Path) -> None:
    used: set[int] = set()
    asking = threading.get_ident()

    def answer(prompt: str) -> str:
        used.add(threading.get_ident())
        return prompt

    with Host(tmp_path, Answering(answer), max_concurrent_subcalls=2) as host:
        assert texts_of(host, 20) == [f"prompt {number}" for number in range(20)]
    assert asking not in used
    assert len(used) <= 3  # one may not be back when the next is asked for


def test_calls_that_wait_for_the_budget_are_made_when_others_have_landed(tmp_path: Path) -> None:
    policy = Policy(max_total_tokens=400)  # room for one or two calls at once
    model = Answering(usage=Usage(3, 2, 5))
    with Host(tmp_path, model, policy=policy, subcall_max_tokens=100) as host:
        assert texts_of(host, 8) == [f"PROMPT {number}" for number in range(8)]
        assert host.tree.ledger.used().held.tokens == 0


def test_stopping_the_run_gives_up_what_is_under_way_at_once(tmp_path: Path) -> None:
    asked, finish = threading.Event(), threading.Event()

    def answer(prompt: str) -> str:
        asked.set()
        finish.wait(30)
        return prompt

    with Host(tmp_path, Answering(answer), max_concurrent_subcalls=2) as host:
        stopping = threading.Thread(target=lambda: asked.wait(30) and host.scope.cancel())
        stopping.start()
        with pytest.raises(RunCancelled):
            texts_of(host, 5)
        stopping.join()
        assert host.tree.ledger.used().held.tokens == 0
        assert host.tree.recorder.trace.steps == []
        finish.set()


def test_a_call_that_hangs_and_is_cancelled_holds_no_one_up(tmp_path: Path) -> None:
    finish = threading.Event()

    def answer(prompt: str) -> str:
        if prompt == "prompt 0":
            host.tree.cancel_step(1)
            finish.wait(30)
        return prompt.upper()

    with Host(tmp_path, Answering(answer), max_concurrent_subcalls=1) as host:
        first, *others = texts_of(host, 4)
        finish.set()
        assert first == "[ERROR] StepCancelled: step 1 was cancelled"
        assert others == ["PROMPT 1", "PROMPT 2", "PROMPT 3"]


def test_episodes_and_replies_of_the_cache_are_answers_like_others(tmp_path: Path) -> None:
    def nest(request: object) -> Finish:
        return Finish("from an episode", RunStatus.ANSWERED, Ending.FINAL)

    with Host(tmp_path, recursive_subcalls=True, max_recursion_depth=2) as host:
        subcalls = Subcalls(host.tree, level=0, parent_id=None, scope=host.scope, nest=nest)
        expected = [{"text": "from an episode"}] * 2
        assert subcalls.batch(["a", "b"]) == expected
        assert subcalls.batch(["b", "a"]) == expected
        hits = [step.cache_hit for step in host.tree.recorder.trace.steps]
        assert hits == [False, False, True, True]


def test_after_a_failure_of_a_strict_batch_nothing_more_is_begun(tmp_path: Path) -> None:
    def answer(prompt: str) -> str:
        raise LookupError(prompt)

    with Host(tmp_path, Answering(answer), max_concurrent_subcalls=2) as host:
        with pytest.raises(LookupError):
            host.subcalls.batch([str(number) for number in range(50)], {"on_error": "raise"})
        assert len(host.model.prompts) <= 3
        assert host.tree.ledger.used().held.tokens == 0


class Interrupted(SimpleQueue[Any]):
    """Ctrl-C while somebody waits here."""

    def get(self, block: bool = True, timeout: float | None = None) -> NoReturn:
        raise KeyboardInterrupt


class UnderWay:
    """A call whose end somebody does not want to hear of."""

    def __init__(self) -> None:
        self.ended = False

    def failed(self, error: BaseException) -> NoReturn:
        self.ended = True
        raise LookupError("a listener's mistake") from error


def test_when_it_is_interrupted_all_that_is_under_way_is_ended() -> None:
    fan_out = FanOut(cast("Any", None), most=2, strict=False)
    under_way = {number: UnderWay() for number in range(3)}
    fan_out._under_way = cast("Any", under_way)
    fan_out._landings = Interrupted()
    with pytest.raises(KeyboardInterrupt):
        fan_out.answer([])
    assert all(each.ended for each in under_way.values())
