"""The server without HTTP: who may ask, whose turn it is, what was used, what is under way."""

from __future__ import annotations

import asyncio
import logging
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, assert_never

from rlm_core.chat_request import Asked, Straight
from rlm_core.errors import ConfigError
from rlm_core.policy import Charge
from rlm_core.serve.account import Account
from rlm_core.serve.lane import Lane
from rlm_core.serve.metrics import Metrics
from rlm_core.serve.plan import Plan
from rlm_core.serve.problem import Busy, Closing, Forbidden, KeyRequired, NotFound
from rlm_core.serve.recursive import RecursiveJob
from rlm_core.serve.sandboxes import pools_for
from rlm_core.serve.settings import LOOPBACK
from rlm_core.serve.straight import StraightJob
from rlm_core.serve.upstream import Upstream

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Generator

    from rlm_core.serve.account import Hold
    from rlm_core.serve.answer import Way
    from rlm_core.serve.keys import Client, Keys
    from rlm_core.serve.lane import Turn
    from rlm_core.serve.profile import Profile, Profiles
    from rlm_core.serve.progress import Progress
    from rlm_core.serve.request import ApiRequest
    from rlm_core.serve.settings import Settings

Job = StraightJob | RecursiveJob
logger = logging.getLogger(__name__)
END_SECONDS = 20.0
"""A run that was stopped ends its calls and its sandbox; where it does not, it is left."""


@dataclass(frozen=True)
class Work:
    """A request whose turn has come."""

    job: Job
    profile_name: str
    way: Way


class Service:
    """One server's profiles, keys, lanes and running jobs. Everything happens in one event loop."""

    def __init__(self, settings: Settings, profiles: Profiles, keys: Keys) -> None:
        """Raises ConfigError for a profile whose models cannot be had, or limits without prices,
        and SandboxError where this host cannot isolate code.
        """
        _require_prices(profiles, keys)
        self.settings = settings
        self.profiles = profiles
        self.keys = keys
        self.closing = False
        places = settings.places
        self._recursive = Lane("recursive", turns=settings.turns, places=places)
        self._straight = Lane("straight", turns=settings.straight_turns, places=places)
        self.metrics = Metrics((self._recursive, self._straight))
        self._accounts: dict[str, Account] = {}
        self._jobs: set[Job] = set()
        self._threads = ThreadPoolExecutor(settings.straight_turns, "rlm-serve")
        with ExitStack() as resources:
            self._upstreams = {
                name: Upstream.of(profile, resources) for name, profile in profiles.by_name.items()
            }
            self._pools = pools_for(profiles, settings.turns, resources)
            self._resources = resources.pop_all()

    def client(self, authorization: str | None, host: str | None) -> Client:
        """Who asks. Raises KeyRequired or Forbidden."""
        client = self.keys.client(authorization)
        if client is None:
            raise KeyRequired("an API key is needed, as in `Authorization: Bearer KEY`")
        if not self.keys.by_digest and self.settings.is_loopback:
            self._require_own_name(host)
        return client

    def models_for(self, client: Client) -> list[str]:
        """What a client may name as `model`."""
        return [name for name in self.profiles.names() if self._found(name, client) is not None]

    @contextmanager
    def inside(self, client: Client) -> Generator[None]:
        """A request is here, from its first byte to the last of its answer. Raises Problem."""
        if self.closing:
            raise Closing("this server is about to end: ask another one", retry_after=1.0)
        if self.metrics.inside >= self.settings.most_inside:
            raise Busy("this server has all the requests that it can take", retry_after=1.0)
        account = self._account(client)
        account.enter()
        self.metrics.inside += 1
        try:
            yield
        finally:
            self.metrics.inside -= 1
            account.leave()

    @asynccontextmanager
    async def admitted(
        self, request: ApiRequest, client: Client, progress: Progress | None
    ) -> AsyncGenerator[Work]:
        """A request's turn, with the job to be done in it. Raises Problem.

        What the job used is settled, and the turn given back, when the job has really ended: that
        may be after this was left, where the client has gone.
        """
        deadline = time.monotonic() + self.settings.seconds
        name, profile = self._profile(request.model, client)
        plan = Plan.of(request, name, profile, self._upstreams[name], self.settings.seconds)
        lane = self._straight if isinstance(plan.chat, Straight) else self._recursive
        waited = time.monotonic()
        turn = await lane.turn(min(self.settings.queue_seconds, plan.seconds))
        self.metrics.queue_seconds.see(lane.name, seconds=time.monotonic() - waited)
        account = self._account(client)
        try:
            policy = plan.policy
            hold = account.hold(policy.max_total_tokens, policy.max_cost, time.time())
        except BaseException:
            turn.give_back()
            raise
        job: Job | None = None
        try:
            job = self._job(plan.within(hold, deadline - time.monotonic()), progress)
            self._jobs.add(job)
            yield Work(job, name, "straight" if lane is self._straight else "recursive")
        finally:
            done = partial(self._ended, job, turn, account, hold, name)
            if job is None:
                done()
            else:
                job.when_done(done)

    def begin_closing(self) -> None:
        """Take nothing more on; what is under way goes on."""
        self.closing = True
        self._recursive.close()
        self._straight.close()

    async def close(self) -> None:
        """Stop what is still under way, wait for its end, close all connections. Idempotent."""
        self.begin_closing()
        jobs = list(self._jobs)
        for job in jobs:
            job.stop()
        await asyncio.to_thread(_wait_for, jobs)
        self._threads.shutdown(wait=False, cancel_futures=True)
        await asyncio.to_thread(self._resources.close)

    def _job(self, plan: Plan, progress: Progress | None) -> Job:
        match plan.chat:
            case Straight():
                return StraightJob(plan, plan.chat, self._threads)
            case Asked():
                return RecursiveJob(plan, plan.chat, progress, self._pools[plan.profile_name])
            case _:
                assert_never(plan.chat)

    def _ended(self, job: Job | None, turn: Turn, account: Account, hold: Hold, name: str) -> None:
        spent = None if job is None else job.spent()
        used = Charge() if spent is None else Charge(spent.total.total_tokens, spent.cost)
        account.settle(hold, used, time.time())
        if job is not None and spent is not None:
            self._jobs.discard(job)
            self.metrics.spent(name, spent)
        turn.give_back()

    def _profile(self, model: str, client: Client) -> tuple[str, Profile]:
        found = self._found(model, client)
        if found is None:
            known = ", ".join(self.models_for(client))
            raise NotFound(
                f"the model {model!r} does not exist or this key may not use it; there are: "
                f"{known}",
                param="model",
                code="model_not_found",
            )
        return found

    def _found(self, model: str, client: Client) -> tuple[str, Profile] | None:
        found = self.profiles.find(model)
        may = client.allowance.models
        return None if found is None or (may is not None and found[0] not in may) else found

    def _account(self, client: Client) -> Account:
        if client.name not in self._accounts:
            self._accounts[client.name] = Account(client.allowance)
        return self._accounts[client.name]

    def _require_own_name(self, host: str | None) -> None:
        """A page in a browser may have a name of its own that leads to this machine."""
        name = (host or "").rpartition(":")[0] if _has_port(host or "") else host or ""
        if name.strip("[]").lower() not in LOOPBACK | self.settings.allowed_hosts:
            raise Forbidden("this server goes by another name: see --allow-host")


def _require_prices(profiles: Profiles, keys: Keys) -> None:
    """A limit on money that is never counted would be none."""
    free = [name for name, each in profiles.by_name.items() if not each.prices]
    limited = [each.name for each in keys.by_digest.values() if each.allowance.cost is not None]
    if free and limited:
        raise ConfigError(
            f"the key {limited[0]!r} has a limit on cost, and the profile {free[0]!r} no prices: "
            'give it some, as in prices."*" = { prompt = 0.25, completion = 2.0 }'
        )


def _has_port(host: str) -> bool:
    """`[::1]:80` and `name:80` have one, `[::1]` has none."""
    return ":" in host and not host.endswith("]")


def _wait_for(jobs: list[Job]) -> None:
    """Until each has ended, or is given up."""
    deadline = time.monotonic() + END_SECONDS
    for job in jobs:
        match job:
            case RecursiveJob():
                try:
                    job.wait(max(0.0, deadline - time.monotonic()))
                except TimeoutError:
                    logger.warning("a run did not end when it was stopped; it is left to itself")
            case StraightJob():
                pass
