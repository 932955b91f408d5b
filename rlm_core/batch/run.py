"""A batch from its input file to its results: everything that it needs is brought together here."""

from __future__ import annotations

import time
from collections import Counter
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, assert_never, cast

from rlm_core.batch.answerer import Answerer, Manner
from rlm_core.batch.begun import Begun
from rlm_core.batch.budget import UNLIMITED, Budget
from rlm_core.batch.control import Control
from rlm_core.batch.errors import OutputUnwritable
from rlm_core.batch.intake import Intake, as_file
from rlm_core.batch.journal import Journal
from rlm_core.batch.local import LocalEngine
from rlm_core.batch.models import GivenModels, OpenModels, Pair
from rlm_core.batch.pace import Pace, Progress
from rlm_core.batch.schedule import NeedTask, Over, Rules, Schedule, Start, Wait, Why
from rlm_core.batch.summary import BatchSummary
from rlm_core.batch.writer import Writer
from rlm_core.errors import ConfigError
from rlm_core.policy import Policy

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from typing import Self, TypeGuard, Unpack

    from rlm_core.adapters.base import ModelAdapter
    from rlm_core.batch.engine import Engine
    from rlm_core.batch.ids import IdTable
    from rlm_core.batch.intake import Checked
    from rlm_core.batch.models import MakesModels
    from rlm_core.batch.record import Record
    from rlm_core.batch.task import Task
    from rlm_core.config import Options
    from rlm_core.context import Context

TICK_SECONDS = 0.5
"""How often whoever watches is told, at least."""
STOP_SECONDS = 20.0
"""How long runs that were cancelled are waited for."""
DEFAULT_CONCURRENCY = 8


@dataclass(frozen=True)
class Plan:
    """What a batch is to do; see `run_batch` for what the parts mean."""

    tasks: Path | str | Iterable[Mapping[str, object]]
    results: Path | str
    models: MakesModels
    manner: Manner = field(default_factory=Manner)
    contexts: Mapping[str, Context] = field(default_factory=dict)
    concurrency: int = DEFAULT_CONCURRENCY
    max_cost: float | None = None
    rules: Rules = field(default_factory=Rules)
    retry_failed: bool = False
    skip_bad: bool = False
    make_engine: Callable[[Plan, ExitStack], Engine] | None = None
    """Makes another engine than the local one."""
    listener: Callable[[Progress], object] | None = None
    control: Control = field(default_factory=Control)


def run_batch(
    tasks: Path | str | Iterable[Mapping[str, object]],
    results: Path | str,
    model: ModelAdapter | MakesModels,
    *,
    contexts: Mapping[str, Context] | None = None,
    concurrency: int = DEFAULT_CONCURRENCY,
    max_cost: float | None = None,
    attempts: int = 3,
    poison_after: int = 6,
    retry_failed: bool = False,
    skip_bad: bool = False,
    traces: Path | str | None = None,
    listener: Callable[[Progress], object] | None = None,
    control: Control | None = None,
    **options: Unpack[Options],
) -> BatchSummary:
    """Answer every task of a file of JSON lines (or of an iterable of dicts) into `results`.

    Called again with the same `results`, it goes on where it was; what has a line is not run
    again. `contexts` are texts that tasks name as `context_ref`. `max_cost` is for the whole
    batch, in the currency of the policy's prices, earlier runs included. A task that fails is
    tried `attempts` times; one during which the process dies `poison_after` times is given up.
    `retry_failed` runs again what has no answer. `listener` is called at least twice a second.
    The other keywords are those of `RLM`. See `rlm_core.batch.task` for the input and
    `rlm_core.batch.record` for the results.

    Raises BadInput for lines that are no tasks before anything is run, ContextError for a file
    that cannot be read, OutputInUse, OutputForeign, OutputUnwritable, ConfigError.
    """
    manner, models = _manner_and_models(model, options, traces)
    return carry_out(
        Plan(
            tasks=tasks,
            results=results,
            models=models,
            manner=manner,
            contexts=contexts or {},
            concurrency=concurrency,
            max_cost=max_cost,
            rules=Rules(
                attempts=attempts,
                poison_after=poison_after,
                task_cost=UNLIMITED if manner.policy.max_cost is None else manner.policy.max_cost,
            ),
            retry_failed=retry_failed,
            skip_bad=skip_bad,
            listener=listener,
            control=control or Control(),
        )
    )


def carry_out(plan: Plan) -> BatchSummary:
    """Do what was planned. See `run_batch`."""
    _require_sense(plan)
    with ExitStack() as resources:
        path = resources.enter_context(as_file(plan.tasks))
        intake = Intake(path, contexts=plan.contexts)
        checked = intake.check(skip_bad=plan.skip_bad)
        journal = Journal(plan.results, retry_failed=plan.retry_failed)
        resources.callback(journal.close)
        left = max(1, checked.tasks - len(journal.found.done))
        plan = replace(plan, concurrency=min(plan.concurrency, left))
        if plan.manner.traces is not None:
            _make_directory(plan.manner.traces)
        engine = (plan.make_engine or _local_engine)(plan, resources)
        with Batch(plan, engine, journal, checked) as batch:
            return batch.run(Unfinished(intake.tasks(), journal.found.done))


class Unfinished:
    """The tasks of the input that have no result yet, in order."""

    def __init__(self, tasks: Iterator[Task], done: IdTable) -> None:
        self._tasks = tasks
        self._done = done
        self.seen = 0
        """All tasks so far, with those that have a result."""

    def next(self) -> Task | None:
        """The next one; None when there are no more."""
        for task in self._tasks:
            self.seen += 1
            if task.id not in self._done:
                return task
        return None


class Batch:
    """A batch under way: asks the schedule what is next, and has it done."""

    def __init__(self, plan: Plan, engine: Engine, journal: Journal, checked: Checked) -> None:
        found = journal.found
        self._plan = plan
        self._engine = engine
        self._checked = checked
        self._found = found
        self._begun = Begun(journal.path, found.done, forgets=plan.retry_failed)
        self._writer = Writer(journal, engine.wake)
        self._schedule = Schedule(
            plan.rules,
            Budget(plan.max_cost, spent=found.cost),
            slots=engine.slots,
            suspects=self._begun.interrupted,
        )
        self._statuses = Counter(found.statuses)
        self._pace = Pace(
            total=checked.tasks,
            done=len(found.done),
            failed=found.without_answer,
            tokens=found.tokens,
            cost=found.cost,
            now=time.monotonic(),
        )
        self._told = 0.0
        self._stopped_at: float | None = None
        self._done = False
        plan.control.attach(engine.wake)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        """Stop what still runs, and have everything written that is known."""
        try:
            if kind is not None:
                self._engine.stop()
            self._engine.close()
        finally:
            self._end_writing(tell=kind is None)

    def _end_writing(self, *, tell: bool) -> None:
        try:
            self._writer.close()
        except OutputUnwritable:
            if tell:
                raise
        finally:
            self._begun.close(done=self._done)

    def run(self, tasks: Unfinished) -> BatchSummary:
        """Answer these. Raises OutputUnwritable."""
        over = self._carried_out(tasks)
        gone = self._checked.tasks - tasks.seen if over.why is Why.DONE else 0
        return self._summary(over, gone=max(0, gone))

    def _carried_out(self, tasks: Unfinished) -> Over:
        while True:
            self._heed()
            match self._schedule.next(time.monotonic()):
                case Start(attempt):
                    self._begun.begin(attempt.task.id)
                    self._engine.start(attempt)
                case NeedTask():
                    self._read(tasks)
                case Wait(until):
                    self._collect(until)
                    if self._is_stuck():
                        return Over(Why.INTERRUPTED)
                case Over() as over:
                    return over
                case never:
                    assert_never(never)

    def _heed(self) -> None:
        """What has changed around: the machines, the caller's wishes, the disk."""
        self._schedule.slots = self._engine.slots
        control = self._plan.control
        if self._writer.error is not None:
            raise self._writer.error
        if control.finishing:
            self._schedule.finish(Why.INTERRUPTED)
        if control.stopping and self._stopped_at is None:
            self._stopped_at = time.monotonic()
            self._engine.stop()

    def _is_stuck(self) -> bool:
        """True when runs that were cancelled do not end."""
        return self._stopped_at is not None and time.monotonic() - self._stopped_at > STOP_SECONDS

    def _read(self, tasks: Unfinished) -> None:
        task = tasks.next()
        if task is None:
            self._schedule.no_more()
        else:
            self._write(self._schedule.offer(task))

    def _collect(self, until: float | None) -> None:
        now = time.monotonic()
        seconds = TICK_SECONDS if until is None else min(TICK_SECONDS, max(0.0, until - now))
        for name, outcome in self._engine.wait(seconds):
            self._write(self._schedule.ended(name, outcome, time.monotonic()))
        self._tell()

    def _write(self, records: Iterable[Record]) -> None:
        for record in records:
            self._writer.put(record.to_line())
            self._begun.end(record.custom_id)
            self._statuses[record.status] += 1
            self._pace.count(
                failed=not record.has_answer,
                tokens=record.usage.total_tokens,
                cost=record.usage.cost,
                now=time.monotonic(),
            )

    def _tell(self) -> None:
        now = time.monotonic()
        if self._plan.listener is not None and now - self._told >= TICK_SECONDS / 2:
            self._told = now
            running = len(self._schedule.running)
            self._plan.listener(self._pace.progress(running=running, now=now))

    def _summary(self, over: Over, *, gone: int) -> BatchSummary:
        self._done = over.why is Why.DONE
        progress = self._pace.progress(running=0, now=time.monotonic())
        return BatchSummary(
            why=over.why,
            told=over.told,
            total=self._checked.tasks,
            statuses=dict(self._statuses),
            without_answer=progress.failed,
            before=len(self._found.done),
            gone=gone,
            skipped=self._checked.bad,
            skipped_count=self._checked.bad_count,
            tokens=progress.tokens,
            cost=progress.cost,
            seconds=progress.seconds,
        )


def _local_engine(plan: Plan, resources: ExitStack) -> Engine:
    """Threads of this process. Its first sandbox is started before a model has cost anything."""
    models = resources.enter_context(OpenModels(plan.models))
    answerer = Answerer(models.pair, plan.manner, contexts=plan.contexts, at_once=plan.concurrency)
    resources.callback(answerer.close)
    return LocalEngine(answerer, concurrency=plan.concurrency)


def _manner_and_models(
    model: ModelAdapter | MakesModels, options: Options, traces: Path | str | None
) -> tuple[Manner, MakesModels]:
    rest: dict[str, Any] = dict(options)
    policy = rest.pop("policy", None) or Policy()
    sub = rest.pop("subcall_adapter", None)
    limits = rest.pop("provider_limits", None) or {}
    if "trace_path" in rest:
        raise ConfigError("trace_path is for one run: give a batch traces=DIRECTORY")
    manner = Manner(policy, rest, limits, None if traces is None else str(traces))
    if _is_adapter(model):
        return manner, GivenModels(Pair(model, sub))
    if sub is not None:
        raise ConfigError("subcall_adapter goes with a model: let what makes it make both")
    return manner, cast("MakesModels", model)


def _is_adapter(model: object) -> TypeGuard[ModelAdapter]:
    return callable(getattr(model, "complete", None))


def _require_sense(plan: Plan) -> None:
    if plan.concurrency < 1:
        raise ConfigError(f"concurrency must be at least 1, not {plan.concurrency}")
    if plan.rules.attempts < 1 or plan.rules.poison_after < 1:
        raise ConfigError("attempts and poison_after must be at least 1")
    if plan.max_cost is not None:
        if not plan.max_cost > 0:
            raise ConfigError(f"max_cost must be more than 0, not {plan.max_cost}")
        if not plan.manner.policy.prices:
            raise ConfigError("max_cost needs prices: without them every model is free")


def _make_directory(path: str) -> None:
    try:
        Path(path).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(f"{path}: cannot be a directory for traces: {error.strerror}") from error
