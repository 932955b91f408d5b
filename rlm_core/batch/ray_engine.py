"""The engine for clusters: long-lived Ray actors answer, this process decides and writes.

Only here (and in `ray_actor`) is Ray imported. An actor holds as many tasks at once as the batch's
concurrency says; nothing queues on a machine, so what a lost machine takes with it is what ran on
it, and that is begun again elsewhere. The one who writes results is always this process: an id has
one line, however often its task was begun.
"""

from __future__ import annotations

import logging
import os
import signal
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from importlib import import_module
from typing import TYPE_CHECKING, Any

from rlm_core.batch.models import GivenModels, OpenModels
from rlm_core.batch.outcome import Lost, failure
from rlm_core.batch.ray_actor import BatchActor
from rlm_core.batch.shipped import ShippedContext
from rlm_core.batch.task import Files, Loaded
from rlm_core.documents import read_paths
from rlm_core.errors import ConfigError, ContextError
from rlm_sandbox.errors import StartFailed

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping
    from contextlib import ExitStack

    from rlm_core.batch.answerer import Manner
    from rlm_core.batch.outcome import Outcome
    from rlm_core.batch.run import Plan
    from rlm_core.batch.schedule import Attempt
    from rlm_core.provider import ProviderLimits

POLL_SECONDS = 0.1  # how soon a signal, or a machine that came or went, is noticed
CENSUS_SECONDS = 2.0  # how often the cluster is asked what it has
MOST_STILLBORN = 5
"""Actors in a row that do not come up, while none does: then it is no accident."""
COMPLAINT_SECONDS = 30.0
"""How long nobody may be up before that is told, again and again."""

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class RayOptions:
    """Where the cluster is, and how much of it is used."""

    address: str | None = None
    """As `ray.init` takes it; None is RAY_ADDRESS, and without that a cluster on this machine."""
    actors: int | None = None
    """None is one for each CPU that the cluster has, also when it grows or shrinks."""
    cpus: float = 1.0
    """CPUs that Ray reserves for one actor."""


@dataclass
class _Worker:
    """An actor, seen from here."""

    handle: Any
    ready: Any
    """The reference that is fulfilled when it can work; None once it can."""
    running: set[Any] = field(default_factory=set)


@dataclass(frozen=True)
class _Work:
    """What every actor is made with."""

    plan: Plan
    contexts: Mapping[str, object]


def make_ray_engine(options: RayOptions, plan: Plan, resources: ExitStack) -> RayEngine:
    """Join the cluster, put the contexts into its store. Raises ConfigError."""
    ray = _imported()
    if isinstance(plan.models, GivenModels):
        raise ConfigError(
            "adapters cannot travel to other machines: give model=NamedModels(...), or a function "
            "that makes the models there"
        )
    with OpenModels(plan.models):
        pass  # names that cannot work are an error here, not on every machine
    _join(ray, options.address)
    resources.callback(ray.shutdown)
    contexts = {name: ray.put(ShippedContext.of(each)) for name, each in plan.contexts.items()}
    return RayEngine(ray, options, _Work(plan, contexts))


class RayEngine:
    """Answers tasks on the machines of a cluster. See `Engine`."""

    def __init__(self, ray: Any, options: RayOptions, work: _Work) -> None:
        self._ray = ray
        self._options = options
        self._work = work
        self._each = work.plan.concurrency
        self._workers: list[_Worker] = []
        self._running: dict[Any, tuple[str, _Worker]] = {}
        self._failed_here: list[tuple[str, Outcome]] = []
        self._counted = -CENSUS_SECONDS
        self._stillborn = 0
        self._woken = False
        self._complained = time.monotonic()
        self._keep_enough()

    @property
    def slots(self) -> int:
        """What the actors that are up take together."""
        return self._each * sum(worker.ready is None for worker in self._workers)

    def start(self, attempt: Attempt) -> None:
        """Give it to the actor with the least to do. Its files are read here."""
        name = attempt.task.id
        if isinstance(attempt.task.source, Files):
            try:
                context = read_paths(list(attempt.task.source.paths)).context
            except (OSError, ContextError) as error:
                self._failed_here.append((name, failure(error)))
                return
            attempt = replace(attempt, task=replace(attempt.task, source=Loaded(context)))
        up = [worker for worker in self._workers if worker.ready is None]
        if not up:  # the last one went a moment ago
            self._failed_here.append((name, Lost("the machine was lost", began=False)))
            return
        worker = min(up, key=_load)
        reference = worker.handle.answer.remote(attempt)
        worker.running.add(reference)
        self._running[reference] = (name, worker)

    def wait(self, seconds: float) -> list[tuple[str, Outcome]]:
        """All that has ended by the time that something has, or that `seconds` are over."""
        deadline = time.monotonic() + seconds
        while True:
            ended, self._failed_here = self._failed_here, []
            self._keep_enough()
            ended += self._collected(0.0 if ended else min(POLL_SECONDS, max(0.0, seconds)))
            woken, self._woken = self._woken, False
            if ended or woken or time.monotonic() >= deadline:
                return ended

    def wake(self) -> None:
        """Have `wait` return."""
        self._woken = True

    def stop(self) -> None:
        """Cancel what runs, on every machine."""
        for worker in self._workers:
            worker.handle.stop.remote()

    def close(self) -> None:
        """End the actors."""
        for worker in self._workers:
            self._ray.kill(worker.handle)
        self._workers.clear()

    def _collected(self, seconds: float) -> list[tuple[str, Outcome]]:
        waited = [worker.ready for worker in self._workers if worker.ready is not None]
        waited += self._running
        if not waited:
            time.sleep(seconds)
            return []
        done, left = self._ray.wait(waited, num_returns=1, timeout=seconds)
        if done and left:
            more, _ = self._ray.wait(left, num_returns=len(left), timeout=0)
            done += more
        for reference in done:
            self._note_readiness(reference)
        return [self._ended(reference) for reference in done if reference in self._running]

    def _ended(self, reference: Any) -> tuple[str, Outcome]:
        name, worker = self._running.pop(reference)
        worker.running.discard(reference)
        errors = self._ray.exceptions
        try:
            return name, self._ray.get(reference)
        except errors.RayTaskError as error:
            return name, failure(error)
        except errors.RayError as error:  # the actor, its process or its machine
            self._bury(worker)
            return name, Lost(f"its worker was lost ({type(error).__name__})")

    def _note_readiness(self, reference: Any) -> None:
        worker = next((each for each in self._workers if each.ready is reference), None)
        if worker is None:
            return
        try:
            self._ray.get(reference)
        except self._ray.exceptions.RayError as error:
            self._bury(worker)
            self._stillborn += 1
            if self._stillborn >= MOST_STILLBORN and not self.slots:
                raise StartFailed(f"no Ray actor comes up: {error}") from error
        else:
            worker.ready = None
            self._stillborn = 0

    def _bury(self, worker: _Worker) -> None:
        """No more work for this one; what ran in it is told as lost, each in its turn."""
        if worker in self._workers:
            self._workers.remove(worker)
            self._counted = -CENSUS_SECONDS  # look for a place for another
            self._ray.kill(worker.handle)

    def _keep_enough(self) -> None:
        """As many actors as there should be, now and then counted anew."""
        now = time.monotonic()
        if now - self._counted < CENSUS_SECONDS:
            return
        self._counted = now
        if self.slots or now - self._complained < COMPLAINT_SECONDS:
            self._complained = now if self.slots else self._complained
        else:
            self._complained = now
            logger.warning("no actor is up yet: the cluster has %s", self._ray.cluster_resources())
        for _ in range(self._wanted() - len(self._workers)):
            self._workers.append(self._made())

    def _wanted(self) -> int:
        wanted = self._options.actors
        if wanted is None:
            cpus = self._ray.cluster_resources().get("CPU", 0.0)
            wanted = max(1, int(cpus / self._options.cpus))
        return min([wanted, *_allowed(self._work.plan.manner.provider_limits)])

    def _made(self) -> _Worker:
        options = {
            "num_cpus": self._options.cpus,
            "max_concurrency": self._each + 1,  # one for `stop`
            "max_restarts": 0,  # another is made in its place, where there is a place
            "max_task_retries": 0,
        }
        plan = self._work.plan
        manner = _shared_out(plan.manner, self._wanted())
        actor = self._ray.remote(**options)(BatchActor)
        handle = actor.remote(plan.models, manner, dict(self._work.contexts), self._each)
        return _Worker(handle, handle.ready.remote())


def _imported() -> Any:
    try:
        return import_module("ray")
    except ImportError as error:
        raise ConfigError("Ray is not installed: pip install 'rlm-sandbox[ray]'") from error


def _join(ray: Any, address: str | None) -> None:
    address = address or os.environ.get("RAY_ADDRESS") or None
    own: dict[str, object] = {"include_dashboard": False} if address is None else {}
    if address is None:  # nothing is told to anyone about a cluster that nobody asked for
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    with _own_signals():
        try:
            ray.init(address=address, log_to_driver=False, logging_level="ERROR", **own)
        except (ConnectionError, RuntimeError, ValueError) as error:
            raise ConfigError(f"the Ray cluster at {address or 'this machine'}: {error}") from error


@contextmanager
def _own_signals() -> Generator[None]:
    """Ray takes SIGTERM for itself when it joins; ours says how a batch ends."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def _allowed(limits: Mapping[str, ProviderLimits]) -> list[int]:
    """No more actors than calls at once: each must be allowed one."""
    return [each.concurrent for each in limits.values() if each.concurrent is not None]


def _shared_out(manner: Manner, actors: int) -> Manner:
    """What providers allow, divided among the actors: together they keep to it."""
    shares = {
        model: replace(
            each,
            concurrent=None if each.concurrent is None else max(1, each.concurrent // actors),
            per_minute=None if each.per_minute is None else each.per_minute / actors,
        )
        for model, each in manner.provider_limits.items()
    }
    return replace(manner, provider_limits=shares)


def _load(worker: _Worker) -> int:
    return len(worker.running)
