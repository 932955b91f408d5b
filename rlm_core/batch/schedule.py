"""Which task next, and what becomes of one that has ended: the batch as a machine without I/O.

Nothing here reads a file, a clock or a model. The driver asks `next` what to do and does it, and
tells `ended` how an attempt ended; time comes in as seconds. Only what runs or waits is held, so
memory grows with the number of workers and not with that of tasks.

A task that was running when its process died is a suspect: it is left for the end, and after
`ALONE_AFTER` deaths it runs alone, so that it is known who is to blame. After `poison_after`
deaths it is given up and reported.
"""

from __future__ import annotations

import heapq
import itertools
from collections import deque
from dataclasses import dataclass, field, replace
from enum import Enum
from typing import TYPE_CHECKING, assert_never

from rlm_core.batch.budget import UNLIMITED, Budget
from rlm_core.batch.chat_line import ChatReply
from rlm_core.batch.outcome import (
    NOTHING,
    Completed,
    Failed,
    Lost,
    Stopped,
    TaskError,
    Verdict,
    together,
)
from rlm_core.batch.record import FAILED, Record
from rlm_core.batch.task import Chat, Task
from rlm_core.stimuli import Ending, RunStatus

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rlm_core.batch.outcome import Outcome
    from rlm_core.run import RunUsage

ALONE_AFTER = 3
FEWEST_FAILURES_IN_A_ROW = 20


class Why(Enum):
    """Why a batch is over, for now or for good."""

    DONE = "done"
    INTERRUPTED = "interrupted"
    BUDGET = "the money is spent"
    MODEL = "the model does not answer"
    HOST = "code cannot be run here"


@dataclass(frozen=True)
class Rules:
    """What the schedule keeps to. `attempts` counts all tries of a task; times are seconds."""

    attempts: int = 3
    retry_delay: float = 5.0
    longest_delay: float = 120.0
    poison_after: int = 6
    task_cost: float = UNLIMITED
    """The most that one task may cost."""


@dataclass(frozen=True)
class Attempt:
    """One try at a task. `number` counts from 1."""

    task: Task
    number: int = 1
    lost: int = 0
    """How often a process died while this task ran in it."""
    spent: RunUsage = NOTHING
    """What earlier attempts used."""
    least: float = 0.0
    grant: float = UNLIMITED
    """What this attempt may cost."""


@dataclass(frozen=True)
class Start:
    """Begin this attempt."""

    attempt: Attempt


@dataclass(frozen=True)
class NeedTask:
    """Read the next task: `offer` it, or say `no_more`."""


@dataclass(frozen=True)
class Wait:
    """Nothing can begin before something ends, or before this moment if one is given."""

    until: float | None = None


@dataclass(frozen=True)
class Over:
    """Nothing runs, and nothing more will."""

    why: Why
    told: str = ""


Next = Start | NeedTask | Wait | Over


@dataclass(order=True)
class _Due:
    moment: float
    order: int
    attempt: Attempt = field(compare=False)


class Schedule:
    """Decides. `slots` may change at any time: how many tasks the engine takes at once."""

    def __init__(
        self,
        rules: Rules,
        budget: Budget,
        *,
        slots: int,
        suspects: Mapping[str, int] | None = None,
    ) -> None:
        self.slots = slots
        self.budget = budget
        self.running: dict[str, Attempt] = {}
        self._rules = rules
        # Nobody is given up who has not run alone before.
        self._alone_after = max(1, min(ALONE_AFTER, rules.poison_after - 1))
        self._suspected = dict(suspects or {})
        self._fresh: deque[Attempt] = deque()
        self._again: list[_Due] = []
        self._suspects: list[_Due] = []
        self._order = itertools.count()
        self._exhausted = False
        self._failures_in_a_row = 0
        self._over: Over | None = None

    def offer(self, task: Task) -> list[Record]:
        """A task that was read. The record is there at once where it has killed too often."""
        attempt = Attempt(task, lost=self._suspected.get(task.id, 0))
        if attempt.lost == 0:
            self._fresh.append(attempt)
            return []
        return self._suspect(attempt, "the batch's process died")

    def no_more(self) -> None:
        """All tasks have been read."""
        self._exhausted = True

    def finish(self, why: Why, told: str = "") -> None:
        """Begin nothing more; what runs may end. What was said first stands."""
        self._over = self._over or Over(why, told)

    def next(self, now: float) -> Next:
        """What is to be done now."""
        if self._over is not None:
            return Wait() if self.running else self._over
        if len(self.running) >= self.slots or any(map(self._is_alone, self.running.values())):
            return Wait()
        if self._again and self._again[0].moment <= now:
            return self._begin(self._again)
        if self._fresh:
            return self._begin_fresh()
        if not self._exhausted:  # unless too many wait for a better moment already
            return NeedTask() if len(self._again) < max(1, self.slots) else self._wait()
        if self._suspects:
            return self._begin(self._suspects)
        if self.running or self._again:
            return self._wait()
        return Over(Why.DONE)

    def ended(self, name: str, outcome: Outcome, now: float) -> list[Record]:
        """An attempt at the task of that id has ended: the lines to write."""
        attempt = self.running.pop(name)
        match outcome:
            case Completed():
                self._failures_in_a_row = 0
                return self._completed(self._settled(attempt, outcome.usage), outcome, now)
            case Failed():
                return self._failed(self._settled(attempt, outcome.usage), outcome, now)
            case Lost(why, began):
                if began:
                    self.budget.lose(attempt.grant)
                else:
                    self.budget.settle(attempt.grant, 0.0)
                return self._suspect(replace(attempt, lost=attempt.lost + 1), why)
            case Stopped(usage):
                self.budget.settle(attempt.grant, usage.cost)
                return []
            case _:
                assert_never(outcome)

    def _settled(self, attempt: Attempt, usage: RunUsage) -> Attempt:
        self.budget.settle(attempt.grant, usage.cost)
        return replace(attempt, spent=together(attempt.spent, usage))

    def _completed(self, attempt: Attempt, outcome: Completed, now: float) -> list[Record]:
        cut = outcome.ending == Ending.MAX_COST.value
        if cut and attempt.grant < self._most(attempt.task):  # ours was the limit, not the task's
            more = replace(attempt, least=2 * attempt.grant)
            heapq.heappush(self._again, _Due(now, next(self._order), more))
            return []
        return [_record_of(attempt, outcome)]

    def _failed(self, attempt: Attempt, outcome: Failed, now: float) -> list[Record]:
        match outcome.verdict:
            case Verdict.STOP_MODEL:
                self.finish(Why.MODEL, outcome.error.message)
                return []
            case Verdict.STOP_HOST:
                self.finish(Why.HOST, outcome.error.message)
                return []
            case Verdict.GIVE_UP:
                return [_failed_record(attempt, outcome.error, outcome.trace)]
            case Verdict.AGAIN:
                return self._try_again(attempt, outcome, now)
            case _:
                assert_never(outcome.verdict)

    def _try_again(self, attempt: Attempt, outcome: Failed, now: float) -> list[Record]:
        self._failures_in_a_row += 1
        if self._failures_in_a_row >= max(FEWEST_FAILURES_IN_A_ROW, 2 * self.slots):
            self.finish(Why.MODEL, f"nothing but failures, the last: {outcome.error.message}")
            return []
        if attempt.number >= self._rules.attempts:
            return [_failed_record(attempt, outcome.error, outcome.trace)]
        delay = min(
            self._rules.longest_delay, self._rules.retry_delay * 2.0 ** (attempt.number - 1)
        )
        later = replace(attempt, number=attempt.number + 1)
        heapq.heappush(self._again, _Due(now + delay, next(self._order), later))
        return []

    def _suspect(self, attempt: Attempt, why: str) -> list[Record]:
        if attempt.lost < self._rules.poison_after:
            heapq.heappush(self._suspects, _Due(attempt.lost, next(self._order), attempt))
            return []
        told = f"{why} {attempt.lost} times while this task ran, at last when it ran alone"
        return [_failed_record(attempt, TaskError("PoisonTask", told))]

    def _begin_fresh(self) -> Next:
        attempt = self._granted(self._fresh[0])
        if attempt is None:
            return self._no_money()
        self._fresh.popleft()
        return self._start(attempt)

    def _begin(self, queue: list[_Due]) -> Next:
        first = queue[0].attempt
        if self._is_alone(first) and self.running:
            return Wait()
        attempt = self._granted(first)
        if attempt is None:
            return self._no_money()
        heapq.heappop(queue)
        return self._start(attempt)

    def _start(self, attempt: Attempt) -> Start:
        self.running[attempt.task.id] = attempt
        return Start(attempt)

    def _granted(self, attempt: Attempt) -> Attempt | None:
        granted = self.budget.grant(
            running=len(self.running),
            slots=self.slots,
            least=attempt.least,
            most=self._most(attempt.task),
        )
        return None if granted is None else replace(attempt, grant=granted)

    def _no_money(self) -> Next:
        if self.running:  # what they do not spend comes back
            return Wait()
        self.finish(Why.BUDGET)
        return Over(Why.BUDGET)

    def _most(self, task: Task) -> float:
        return float(task.limits.get("max_cost", self._rules.task_cost))

    def _is_alone(self, attempt: Attempt) -> bool:
        """True where nothing else may run beside it."""
        return attempt.lost >= self._alone_after

    def _wait(self) -> Wait:
        return Wait(self._again[0].moment if self._again else None)


def _record_of(attempt: Attempt, outcome: Completed) -> Record:
    task, usage = attempt.task, attempt.spent
    response = None
    if isinstance(task.source, Chat) or task.model is not None:
        response = ChatReply(
            task.id,
            task.model or "",
            outcome.answer or "",
            outcome.status == RunStatus.ANSWERED.value,
            usage.prompt_tokens,
            usage.completion_tokens,
        ).to_dict()
    return Record(
        custom_id=task.id,
        status=outcome.status,
        answer=outcome.answer,
        error=None,
        usage=usage,
        isolation=outcome.isolation,
        trace=outcome.trace,
        ending=outcome.ending,
        attempts=attempt.number,
        response=response if outcome.answer is not None else None,
    )


def _failed_record(attempt: Attempt, error: TaskError, trace: str | None = None) -> Record:
    return Record(
        custom_id=attempt.task.id,
        status=FAILED,
        answer=None,
        error=error,
        usage=attempt.spent,
        isolation=None,
        trace=trace,
        ending=None,
        attempts=attempt.number,
    )
