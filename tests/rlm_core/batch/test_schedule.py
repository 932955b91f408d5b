"""The batch without a clock, a file or a model: what begins next, and what is written of it."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from rlm_core.batch.budget import Budget
from rlm_core.batch.outcome import (
    NOTHING,
    Completed,
    Failed,
    Lost,
    Outcome,
    Stopped,
    TaskError,
    Verdict,
)
from rlm_core.batch.record import Record
from rlm_core.batch.schedule import (
    ALONE_AFTER,
    Attempt,
    NeedTask,
    Next,
    Over,
    Rules,
    Schedule,
    Start,
    Wait,
    Why,
)
from rlm_core.batch.task import Inline, Task
from rlm_core.run import RunUsage

ANSWERED = Completed("answered", "final", "yes", RunUsage(3, 1, 4, 0, 2, 1.0, 0.5), "full")
BROKEN = Failed(TaskError("RateLimited", "wait"), Verdict.AGAIN)
HOPELESS = Failed(TaskError("ContextError", "no text"), Verdict.GIVE_UP)


def task(name: str, **limits: float) -> Task:
    return Task(name, 1, "Q?", Inline("text"), limits)


def schedule(
    *names: str,
    slots: int = 2,
    rules: Rules | None = None,
    budget: Budget | None = None,
    suspects: dict[str, int] | None = None,
) -> Schedule:
    """A schedule that has been offered these, and no more will come."""
    made = Schedule(rules or Rules(), budget or Budget(), slots=slots, suspects=suspects)
    for name in names:
        assert made.offer(task(name)) == []
    made.no_more()
    return made


def started(step: Next) -> Attempt:
    assert isinstance(step, Start)
    return step.attempt


def begin(made: Schedule, now: float = 0.0) -> list[str]:
    """Begin all that can begin now."""
    names: list[str] = []
    while isinstance(step := made.next(now), Start):
        names.append(step.attempt.task.id)
    return names


def test_as_many_begin_as_there_are_slots_and_each_is_written_once() -> None:
    made = schedule("a", "b", "c")
    assert begin(made) == ["a", "b"]
    assert made.next(0.0) == Wait()
    records = made.ended("a", ANSWERED, 1.0)
    assert [(each.custom_id, each.status, each.answer) for each in records] == [
        ("a", "answered", "yes")
    ]
    assert begin(made) == ["c"]
    made.ended("b", ANSWERED, 2.0)
    made.ended("c", ANSWERED, 3.0)
    assert made.next(3.0) == Over(Why.DONE)


def test_tasks_are_read_only_when_there_is_room() -> None:
    made = Schedule(Rules(), Budget(), slots=1)
    assert made.next(0.0) == NeedTask()
    made.offer(task("a"))
    assert started(made.next(0.0)).task.id == "a"
    assert made.next(0.0) == Wait()


def test_what_may_pass_is_tried_again_later_and_later() -> None:
    made = schedule("a", rules=Rules(attempts=3, retry_delay=5.0))
    begin(made)
    assert made.ended("a", BROKEN, 10.0) == []
    assert made.next(10.0) == Wait(15.0)
    assert begin(made, 15.0) == ["a"]
    assert made.ended("a", BROKEN, 20.0) == []
    assert made.next(20.0) == Wait(30.0)
    assert started(made.next(30.0)).number == 3
    (record,) = made.ended("a", BROKEN, 31.0)
    assert (record.status, record.attempts) == ("failed", 3)
    assert record.error == TaskError("RateLimited", "wait")


def test_what_cannot_pass_is_not_tried_again() -> None:
    made = schedule("a", "b")
    begin(made)
    (record,) = made.ended("a", HOPELESS, 1.0)
    assert (record.status, record.attempts) == ("failed", 1)


def test_a_line_tells_what_all_attempts_used() -> None:
    made = schedule("a")
    begin(made)
    used = RunUsage(1, 1, 2, 0, 1, 2.0, 0.25)
    made.ended("a", Failed(BROKEN.error, Verdict.AGAIN, used), 0.0)
    begin(made, 100.0)
    (record,) = made.ended("a", ANSWERED, 101.0)
    assert record.usage == RunUsage(4, 2, 6, 0, 3, 3.0, 0.75)
    assert record.attempts == 2


def test_a_refused_key_stops_the_batch_and_spoils_no_task() -> None:
    made = schedule("a", "b", "c")
    begin(made)
    assert made.ended("a", Failed(TaskError("KeyRefused", "no"), Verdict.STOP_MODEL), 0.0) == []
    assert made.next(0.0) == Wait()
    assert len(made.ended("b", ANSWERED, 0.0)) == 1
    assert made.next(0.0) == Over(Why.MODEL, "no")


def test_nothing_but_failures_stops_the_batch_before_every_task_has_failed() -> None:
    made = Schedule(Rules(attempts=3, retry_delay=0.0), Budget(), slots=2)
    written: list[Record] = []
    offered = 0
    while not isinstance(step := made.next(0.0), Over):
        if isinstance(step, NeedTask):
            made.offer(task(f"t{offered}"))
            offered += 1
        elif isinstance(step, Start):
            written += made.ended(step.attempt.task.id, BROKEN, 0.0)
    assert step.why is Why.MODEL
    assert "wait" in step.told
    assert offered < 25


def test_one_answer_between_failures_is_enough_to_go_on() -> None:
    made = schedule(*(f"t{n}" for n in range(100)), rules=Rules(attempts=1))
    for n in range(100):
        begin(made)
        made.ended(f"t{n}", ANSWERED if n % 10 == 0 else BROKEN, 0.0)
    assert made.next(0.0) == Over(Why.DONE)


def test_a_task_whose_worker_was_lost_runs_again_after_all_others() -> None:
    made = schedule("a", "b", "c", slots=1)
    assert begin(made) == ["a"]
    assert made.ended("a", Lost("node gone"), 0.0) == []
    order: list[str] = []
    while isinstance(step := made.next(0.0), Start):
        order.append(step.attempt.task.id)
        made.ended(step.attempt.task.id, ANSWERED, 0.0)
    assert order == ["b", "c", "a"]


def test_what_a_lost_task_may_have_spent_is_not_spent_again() -> None:
    made = schedule("a", "b", budget=Budget(10.0))
    assert begin(made) == ["a", "b"]
    assert made.ended("a", Lost("node gone"), 0.0) == []
    assert made.ended("b", Lost("no node", began=False), 0.0) == []
    assert made.budget.available == 5.0


def test_a_task_that_kills_its_worker_runs_alone_and_is_given_up_at_last() -> None:
    made = schedule("poison", "b", slots=4, rules=Rules(poison_after=5))
    alone: list[bool] = []
    records: list[Record] = []
    while not isinstance(step := made.next(0.0), Over):
        if isinstance(step, Start):
            alone.append(len(made.running) == 1)
        else:
            name = next(iter(made.running))
            outcome: Outcome = Lost("killed") if name == "poison" else ANSWERED
            records += made.ended(name, outcome, 0.0)
    (record,) = (each for each in records if each.custom_id == "poison")
    assert record.error is not None
    assert record.error.type == "PoisonTask"
    assert "killed 5 times" in record.error.message
    assert len(records) == 2


def test_beside_a_suspect_of_many_deaths_nothing_else_runs() -> None:
    suspects = {"a": ALONE_AFTER, "b": ALONE_AFTER}
    made = schedule("a", "b", "c", slots=3, suspects=suspects)
    assert begin(made) == ["c"]
    assert made.next(0.0) == Wait()
    made.ended("c", ANSWERED, 0.0)
    assert begin(made) == ["a"]
    made.ended("a", ANSWERED, 0.0)
    assert begin(made) == ["b"]


def test_nobody_is_given_up_who_has_not_run_alone() -> None:
    made = schedule("a", "b", slots=2, rules=Rules(poison_after=2))
    assert begin(made) == ["a", "b"]
    assert made.ended("a", Lost("gone"), 0.0) == []
    assert made.ended("b", Lost("gone"), 0.0) == []
    assert begin(made) == ["a"]
    assert len(made.ended("a", Lost("gone"), 0.0)) == 1
    assert begin(made) == ["b"]
    assert made.ended("b", ANSWERED, 0.0)[0].status == "answered"


def test_what_killed_earlier_processes_too_often_is_given_up_at_once() -> None:
    made = Schedule(Rules(poison_after=6), Budget(), slots=1, suspects={"a": 6})
    (record,) = made.offer(task("a"))
    assert (record.status, record.error is not None) == ("failed", True)


def test_finishing_lets_what_runs_end_and_begins_nothing() -> None:
    made = schedule("a", "b", "c")
    begin(made)
    made.finish(Why.INTERRUPTED)
    assert made.next(0.0) == Wait()
    assert len(made.ended("a", ANSWERED, 0.0)) == 1
    assert made.ended("b", Stopped(), 0.0) == []
    assert made.next(0.0) == Over(Why.INTERRUPTED)


def test_the_money_is_dealt_out_and_its_end_is_the_batchs() -> None:
    made = schedule("a", "b", "c", budget=Budget(1.0), slots=2)
    assert begin(made) == ["a", "b"]
    assert {each.grant for each in made.running.values()} == {0.5}
    made.ended("a", ANSWERED, 0.0)
    assert made.next(0.0) == Wait()
    made.ended("b", ANSWERED, 0.0)
    assert made.next(0.0) == Over(Why.BUDGET)


def test_a_task_that_was_cut_by_our_share_is_begun_again_with_more() -> None:
    made = schedule("a", "b", "c", "d", budget=Budget(8.0), slots=4)
    begin(made)
    cut = Completed("limited", "max_cost", "half", RunUsage(0, 0, 0, 0, 1, 1.0, 2.0), "full")
    assert made.ended("a", cut, 0.0) == []
    assert made.next(0.0) == Wait()
    for name in "bcd":
        made.ended(name, ANSWERED, 0.0)
    assert started(made.next(0.0)).grant == 4.0
    (record,) = made.ended("a", ANSWERED, 1.0)
    assert record.usage.cost == 2.5


def test_a_task_that_was_cut_by_its_own_limit_is_not() -> None:
    made = Schedule(Rules(), Budget(40.0), slots=2)
    made.offer(task("a", max_cost=2.0))
    made.no_more()
    assert started(made.next(0.0)).grant == 2.0
    cut = Completed("limited", "max_cost", "half", RunUsage(0, 0, 0, 0, 1, 1.0, 2.0), "full")
    (record,) = made.ended("a", cut, 0.0)
    assert (record.status, record.answer) == ("limited", "half")


def test_slots_may_come_and_go() -> None:
    made = schedule("a", "b", "c", slots=0)
    assert made.next(0.0) == Wait()
    made.slots = 2
    assert begin(made) == ["a", "b"]
    made.slots = 1
    made.ended("a", ANSWERED, 0.0)
    assert made.next(0.0) == Wait()


OUTCOMES = st.sampled_from([ANSWERED, ANSWERED, ANSWERED, BROKEN, HOPELESS, Lost("gone")])


@settings(max_examples=60)
@given(count=st.integers(0, 12), slots=st.integers(1, 4), data=st.data())
def test_every_task_is_written_exactly_once_whatever_happens(
    count: int, slots: int, data: st.DataObject
) -> None:
    made = Schedule(Rules(attempts=2, poison_after=4), Budget(), slots=slots)
    written: list[str] = []
    waiting = iter(range(count))
    now = 0.0
    while not isinstance(step := made.next(now), Over):
        assert len(made.running) <= slots
        match step:
            case NeedTask():
                number = next(waiting, None)
                if number is None:
                    made.no_more()
                else:
                    written += [each.custom_id for each in made.offer(task(f"t{number}"))]
            case Wait(until):
                if made.running:
                    name = data.draw(st.sampled_from(sorted(made.running)))
                    ended = made.ended(name, data.draw(OUTCOMES), now)
                    written += [each.custom_id for each in ended]
                else:
                    assert until is not None
                    assert until > now
                    now = until
            case Start():
                pass
    assert step.why is Why.DONE
    assert sorted(written) == sorted(f"t{number}" for number in range(count))
    assert made.budget.spent >= 0
    assert NOTHING.cost == 0
