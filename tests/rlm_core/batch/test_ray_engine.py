"""What the engine makes of what Ray tells it. Against a real cluster: tests/e2e/test_batch_ray."""

from __future__ import annotations

import sys
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from rlm_core.adapters.fake import FakeAdapter
from rlm_core.batch import ray_engine
from rlm_core.batch.answerer import Manner
from rlm_core.batch.models import GivenModels, NamedModels, OfflineModels, Pair
from rlm_core.batch.outcome import Failed, Lost, Outcome, Stopped
from rlm_core.batch.ray_engine import RayEngine, RayOptions, make_ray_engine
from rlm_core.batch.run import Plan
from rlm_core.batch.schedule import Attempt
from rlm_core.batch.task import Files, Inline, Loaded, Source, Task
from rlm_core.context import Context
from rlm_core.errors import ConfigError
from rlm_core.provider import ProviderLimits
from rlm_sandbox.errors import StartFailed


class RayError(Exception):
    """The root of what Ray raises."""


class RayTaskError(RayError):
    """A method raised."""


class ActorDiedError(RayError):
    """The actor, its process or its machine is gone."""


class Exceptions:
    """As `ray.exceptions`."""

    RayError = RayError
    RayTaskError = RayTaskError


@dataclass(eq=False)
class Reference:
    """A result to come."""

    value: object = None
    done: bool = False


@dataclass
class Method:
    """A method of an actor: calls are kept until the test says how they end."""

    calls: list[tuple[Any, Reference]] = field(default_factory=list)

    def remote(self, *given: Any) -> Reference:
        reference = Reference()
        self.calls.append((given[0] if given else None, reference))
        return reference


@dataclass(eq=False)
class Actor:
    """An actor as the engine sees it."""

    manner: Manner
    ready: Method = field(default_factory=Method)
    answer: Method = field(default_factory=Method)
    stop: Method = field(default_factory=Method)
    killed: bool = False

    def come_up(self, value: object = "full") -> None:
        end(self.ready, value)


def end(method: Method, value: object, which: int = 0) -> None:
    reference = method.calls[which][1]
    reference.value, reference.done = value, True


class Ray:
    """The part of Ray that the engine uses, without machines."""

    exceptions = Exceptions

    def __init__(self, cpus: float = 2.0) -> None:
        self.cpus = cpus
        self.actors: list[Actor] = []
        self.options: dict[str, Any] = {}
        self.init_options: dict[str, Any] = {}
        self.stored: list[object] = []

    def init(self, **options: Any) -> None:
        self.init_options = options

    def shutdown(self) -> None:
        self.cpus = 0.0

    def cluster_resources(self) -> dict[str, float]:
        return {"CPU": self.cpus} if self.cpus else {}

    def put(self, value: object) -> Reference:
        self.stored.append(value)
        return Reference(value, done=True)

    def remote(self, **options: Any) -> Any:
        self.options = options
        return self._remote_class

    def _remote_class(self, _: type) -> RemoteClass:
        return RemoteClass(self.actors)

    def wait(
        self, references: list[Reference], *, num_returns: int, timeout: float
    ) -> tuple[list[Reference], list[Reference]]:
        done = [each for each in references if each.done][:num_returns]
        return done, [each for each in references if each not in done]

    def get(self, reference: Reference) -> object:
        if isinstance(reference.value, Exception):
            raise reference.value
        return reference.value

    def kill(self, actor: Actor) -> None:
        actor.killed = True


class RemoteClass:
    """What `ray.remote(...)` makes of a class."""

    def __init__(self, actors: list[Actor]) -> None:
        self._actors = actors

    def remote(self, models: object, manner: Manner, contexts: object, at_once: int) -> Actor:
        self._actors.append(Actor(manner))
        return self._actors[-1]


@pytest.fixture
def ray(monkeypatch: pytest.MonkeyPatch) -> Ray:
    made = Ray()
    monkeypatch.setitem(sys.modules, "ray", made)
    monkeypatch.setattr(ray_engine, "CENSUS_SECONDS", 0.0)
    monkeypatch.setattr(ray_engine, "POLL_SECONDS", 0.001)
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    return made


def plan(**more: Any) -> Plan:
    return Plan("tasks.jsonl", "results.jsonl", more.pop("models", OfflineModels()), **more)


def engine(options: RayOptions | None = None, **more: Any) -> RayEngine:
    with ExitStack() as resources:
        made = make_ray_engine(options or RayOptions("127.0.0.1:1"), plan(**more), resources)
        resources.pop_all()
        return made


def attempt(name: str, source: Source | None = None) -> Attempt:
    return Attempt(Task(name, 1, "Q?", source or Inline("text")))


def up(made: RayEngine, ray: Ray) -> None:
    """All actors come up."""
    for actor in ray.actors:
        if not actor.killed:
            actor.come_up()
    made.wait(0.0)


def let_them_die(made: RayEngine, ray: Ray) -> None:
    """Every actor dies while it is made, however often another is."""
    for _ in range(20):
        for actor in ray.actors:
            if not actor.killed:
                actor.come_up(ActorDiedError("no namespaces"))
        made.wait(0.0)


def test_there_is_an_actor_for_each_cpu_and_it_takes_as_many_tasks_as_were_asked(ray: Ray) -> None:
    made = engine(concurrency=3)
    assert (len(ray.actors), made.slots) == (2, 0)
    up(made, ray)
    assert made.slots == 6
    assert ray.options["max_concurrency"] == 4
    made.close()
    assert all(actor.killed for actor in ray.actors)


def test_the_one_with_the_least_to_do_gets_the_next(ray: Ray) -> None:
    made = engine(concurrency=3)
    up(made, ray)
    for name in "abcd":
        made.start(attempt(name))
    assert [len(actor.answer.calls) for actor in ray.actors] == [2, 2]


def test_what_has_ended_is_told_with_its_outcome(ray: Ray) -> None:
    made = engine()
    up(made, ray)
    made.start(attempt("a"))
    assert made.wait(0.0) == []
    outcome: Outcome = Stopped()
    end(ray.actors[0].answer, outcome)
    assert made.wait(0.0) == [("a", outcome)]
    assert made.wait(0.0) == []


def test_all_that_ran_on_a_lost_machine_is_told_as_lost_and_another_takes_its_place(
    ray: Ray,
) -> None:
    made = engine(concurrency=2)
    up(made, ray)
    for name in "abcd":
        made.start(attempt(name))
    lost = ray.actors[0]
    end(lost.answer, ActorDiedError("gone"), 0)
    end(lost.answer, ActorDiedError("gone"), 1)
    told = dict(made.wait(0.0))
    assert len(told) == 2
    assert all(isinstance(outcome, Lost) for outcome in told.values())
    assert made.slots == 2
    made.wait(0.0)
    assert len(ray.actors) == 3
    ray.cpus = 1.0
    up(made, ray)
    assert made.slots == 4


def test_a_cluster_that_grows_gets_more_to_do(ray: Ray) -> None:
    made = engine()
    ray.cpus = 5.0
    made.wait(0.0)
    assert len(ray.actors) == 5


def test_as_many_actors_as_were_asked_for(ray: Ray) -> None:
    engine(RayOptions("127.0.0.1:1", actors=7))
    assert len(ray.actors) == 7


def test_a_method_that_raises_is_the_tasks_failure(ray: Ray) -> None:
    made = engine()
    up(made, ray)
    made.start(attempt("a"))
    end(ray.actors[0].answer, RayTaskError("cannot be pickled"))
    ((name, outcome),) = made.wait(0.0)
    assert name == "a"
    assert isinstance(outcome, Failed)


def test_files_are_read_here_and_travel(ray: Ray, tmp_path: Path) -> None:
    made = engine()
    up(made, ray)
    (tmp_path / "a.txt").write_text("of a file")
    made.start(attempt("a", Files((str(tmp_path / "a.txt"),))))
    sent: Attempt = ray.actors[0].answer.calls[0][0]
    assert isinstance(sent.task.source, Loaded)
    assert sent.task.source.context.text == "of a file"
    made.start(attempt("b", Files((str(tmp_path / "gone.txt"),))))
    ((name, outcome),) = made.wait(0.0)
    assert name == "b"
    assert isinstance(outcome, Failed)


def test_contexts_are_put_into_the_store_once(ray: Ray) -> None:
    engine(contexts={"minutes": Context.from_text("the bridge")})
    assert len(ray.stored) == 1


def test_what_providers_allow_is_shared_out(ray: Ray) -> None:
    ray.cpus = 8.0
    limits = {"*": ProviderLimits(concurrent=4, per_minute=100.0)}
    engine(manner=Manner(provider_limits=limits))
    assert len(ray.actors) == 4
    shares = [actor.manner.provider_limits["*"] for actor in ray.actors]
    assert shares == [ProviderLimits(concurrent=1, per_minute=25.0)] * 4


def test_stopping_reaches_every_actor(ray: Ray) -> None:
    made = engine()
    up(made, ray)
    made.stop()
    made.wake()
    assert [len(actor.stop.calls) for actor in ray.actors] == [1, 1]
    assert made.wait(60.0) == []


def test_actors_that_never_come_up_are_an_error_that_says_why(ray: Ray) -> None:
    made = engine()
    with pytest.raises(StartFailed, match="no Ray actor comes up: no namespaces"):
        let_them_die(made, ray)


def test_a_cluster_without_room_is_told(
    ray: Ray, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(ray_engine, "COMPLAINT_SECONDS", 0.0)
    ray.cpus = 0.0
    engine().wait(0.0)
    assert "no actor is up yet" in caplog.text


def test_a_cluster_of_our_own_is_told_to_nobody(ray: Ray, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_USAGE_STATS_ENABLED", "0")
    engine(RayOptions())
    assert ray.init_options["address"] is None
    assert ray.init_options["include_dashboard"] is False


def test_adapters_cannot_travel_but_names_can(ray: Ray) -> None:
    with pytest.raises(ConfigError, match="NamedModels"):
        engine(models=GivenModels(Pair(FakeAdapter())))
    with pytest.raises(ConfigError, match="which model"):
        engine(models=NamedModels("anthropic/"))


def test_without_ray_it_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(ConfigError, match="pip install"):
        engine()
