from __future__ import annotations

import threading
import weakref
from pathlib import Path

import pytest

from rlm_core.context import Context
from rlm_core.errors import RunCancelled
from rlm_core.events import RLMEvent
from rlm_core.rlm import RLM
from rlm_core.running import Running
from tests.rlm_core.models import Answering, Scripted
from tests.waiting import until

TEXT = Context.from_text("text")


class Watching:
    """Remembers steps as they begin, and lets a test wait for one."""

    def __init__(self, prompt: str) -> None:
        self.prompt = prompt
        self.step_id = 0
        self.began = threading.Event()

    def handle(self, event: RLMEvent) -> None:
        step = event.step
        if event.kind != "step_started" or step is None or step.depth != 1:
            return
        if self.prompt in (step.prompt_summary or "") and not self.step_id:
            self.step_id = step.step_id
            self.began.set()


def test_who_wants_to_know_is_told_when_it_has_ended(tmp_path: Path) -> None:
    ended = threading.Event()
    running = RLM(Scripted("FINAL: done"), cache_dir=tmp_path).start("Q?", TEXT)
    running.when_done(ended.set)
    assert ended.wait(30)
    assert running.done
    again = threading.Event()
    running.when_done(again.set)
    assert again.is_set()
    running.wait()


def test_a_run_goes_on_in_a_thread_of_its_own(tmp_path: Path) -> None:
    running = RLM(Scripted("FINAL: done"), cache_dir=tmp_path).start("Q?", TEXT)
    assert running.result(30).answer == "done"
    assert running.done
    assert not running.cancel()


def test_a_run_can_be_cancelled_and_says_so(tmp_path: Path) -> None:
    asked, finish = threading.Event(), threading.Event()

    def slow(_: str) -> str:
        asked.set()
        finish.wait(30)
        return "late"

    running = RLM(Answering(slow), cache_dir=tmp_path).start("Q?", TEXT)
    assert asked.wait(30)
    with pytest.raises(TimeoutError):
        running.result(0.01)
    assert running.cancel()
    with pytest.raises(RunCancelled):
        running.result(30)
    finish.set()


def test_one_subcall_is_cancelled_and_the_run_goes_on(tmp_path: Path) -> None:
    finish = threading.Event()
    watching = Watching("slow")
    sub = Answering(lambda prompt: str(finish.wait(30)) if prompt == "slow" else prompt.upper())
    code = "x = llm_batch(['a', 'slow', 'b'])\ny = x[1].kind\nFINAL_VAR: y"
    rlm = RLM(Scripted(code), subcall_adapter=sub, cache_dir=tmp_path, event_listener=watching)
    running = rlm.start("Q?", TEXT)
    assert watching.began.wait(30)
    assert running.cancel(watching.step_id)
    result = running.result(30)
    finish.set()
    assert result.answer == "StepCancelled"
    (step,) = [each for each in result.trace.steps if each.step_id == watching.step_id]
    assert step.error == f"StepCancelled: step {watching.step_id} was cancelled"
    assert not running.cancel(watching.step_id)


@pytest.mark.parametrize("where", ["in its model", "in its code"])
def test_a_recursive_episode_is_cancelled_with_everything_below_it(
    tmp_path: Path, where: str
) -> None:
    finish, inside = threading.Event(), threading.Event()

    def answer(prompt: str) -> str:
        if "Step:" in prompt and "P holds" in prompt:
            if where == "in its code":
                return "ready()\nwhile True: pass"
            inside.set()
            finish.wait(30)
        return "try:\n    llm_query('deep')\nexcept Exception as e:\n    x = str(e)\nFINAL_VAR: x"

    watching = Watching("deep")
    rlm = RLM(
        Answering(answer), cache_dir=tmp_path, event_listener=watching, recursive_subcalls=True,
        functions={"ready": inside.set},
    )  # fmt: skip
    running = rlm.start("Q?", TEXT)
    assert watching.began.wait(30)
    assert inside.wait(30)
    assert running.cancel(watching.step_id)
    assert running.result(30).answer == f"step {watching.step_id} was cancelled"
    finish.set()


def test_a_run_in_the_callers_own_thread_has_an_end_too() -> None:
    told: list[str] = []
    running: Running[int] = Running(lambda _: 7)
    running.when_done(lambda: told.append("done"))
    assert not running.done
    assert running.run_here() == 7
    assert running.done
    assert running.result(timeout=0) == 7
    assert told == ["done"]


def test_a_run_in_the_callers_own_thread_raises_there_and_where_it_is_waited_for() -> None:
    def fail(_: Running[int]) -> int:
        raise ZeroDivisionError

    running = Running(fail)
    with pytest.raises(ZeroDivisionError):
        running.run_here()
    with pytest.raises(ZeroDivisionError):
        running.result(timeout=0)


def test_a_run_is_done_in_a_thread_that_an_earlier_one_has_left() -> None:
    seen: set[int] = set()

    def again() -> bool:
        running = Running(lambda _: threading.get_native_id())
        running.begin()
        mine = running.result(30)
        known = mine in seen
        seen.add(mine)
        return known

    until(again)
    assert len(seen) < 100


def test_a_run_lets_go_of_its_work_before_its_end_is_told() -> None:
    class Work:
        def __call__(self, _: Running[int]) -> int:
            return 7

    work = Work()
    held = weakref.ref(work)
    running: Running[int] = Running(work)
    told: list[object] = []
    running.when_done(lambda: told.append(held()))
    del work
    assert running.run_here() == 7
    assert told == [None]
