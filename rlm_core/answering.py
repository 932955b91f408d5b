"""How requests for sub-models are answered: from the cache, by a call, or by an episode.

A call is begun (`take_off`), made, and ended (`landed`, `failed`): one thread can so have many of
them under way (`rlm_core.fan_out`). `now` does all of it in one go.
"""

from __future__ import annotations

import json
import threading
import time
from typing import TYPE_CHECKING

from msgspec import Struct

from rlm_core.adapters.base import identity_of
from rlm_core.cache import CacheRecord, cache_key
from rlm_core.digest import digest
from rlm_core.errors import RunCancelled, StepCancelled
from rlm_core.models import model_name
from rlm_core.playback import episode_key
from rlm_core.policy import MaxRecursionExceeded, MaxStepsExceeded
from rlm_core.recording import NO_USAGE, RecordedReply
from rlm_core.requests import EpisodeRequest, Request
from rlm_core.stimuli import RunStatus
from rlm_core.tokens import estimate_tokens
from rlm_core.trace import TraceStep, cut

if TYPE_CHECKING:
    from collections.abc import Callable

    from rlm_core.adapters.base import ModelAdapter, ModelResponse, Usage
    from rlm_core.calls import CancelScope
    from rlm_core.ledger import Reservation
    from rlm_core.stimuli import Finish
    from rlm_core.tree import RunningStep, RunTree


class Asked(Struct, frozen=True):
    """A request, and whom it goes to."""

    request: Request
    adapter: ModelAdapter
    recursive: bool
    """Whether an episode of its own answers it."""
    cacheable: bool
    """Whether the reply follows from what is asked: not where it depends on variables as well."""
    cache_key: str
    reply_key: str
    """What a recorded reply is found by: what was asked, whoever answers, in however many words."""
    started: float


class Flight(Struct, frozen=True):
    """A call of a sub-model that is under way, and what is held for it."""

    asked: Asked
    held: Reservation
    step: TraceStep
    running: RunningStep


class Answering:
    """Answers the requests of one episode's code. Thread-safe: code may have threads."""

    def __init__(
        self,
        tree: RunTree,
        *,
        level: int,
        parent_id: int | None,
        scope: CancelScope,
        nest: Callable[[EpisodeRequest], Finish],
    ) -> None:
        self.tree = tree
        self.level = level
        self._parent_id = parent_id
        self._scope = scope
        self._nest = nest
        self._lock = threading.Lock()
        self.answered = 0
        """Replies of sub-models that the code has got so far, cached ones too."""

    def now(self, request: Request) -> str:
        """The reply to a request. Raises PolicyError at a limit, and what the adapter raises."""
        asked = self.ask(request)
        known = self.known(asked)
        if known is not None:
            return known
        if asked.recursive:
            return self.by_episode(asked)
        flight = self.take_off(asked)
        try:
            reply = self.call(flight)
        except BaseException as error:
            told = self.failed(flight, error)
            if told is error:
                raise
            raise told from error
        return self.landed(flight, reply)

    def ask(self, request: Request) -> Asked:
        """Find out whom a request goes to. Raises RunCancelled, ValueError, PolicyError."""
        tree = self.tree
        self._scope.check()
        if request.depth > tree.deepest:
            raise MaxRecursionExceeded("max_recursion_depth exceeded")
        recursive = tree.is_recursive(request.depth)
        system = tree.sub_system_prompt(recursive=recursive)
        adapter = tree.models.named(request.model)
        key = cache_key(
            adapter=identity_of(adapter),
            model=request.model,
            system_prompt=system,
            max_tokens=request.max_tokens,
            mode="recursive" if recursive else "simple",
            text=request.digest,
        )
        reply_key = digest(json.dumps([request.model, system, request.digest]))
        cacheable = not (recursive and tree.config.subcalls.recursive_state == "fork")
        return Asked(request, adapter, recursive, cacheable, key, reply_key, time.monotonic())

    def known(self, asked: Asked) -> str | None:
        """The reply that the cache gives now, or gave when the run was recorded; None for none."""
        text = self._cached(asked)
        if text is not None:
            self._record(asked, self._begin_step(asked), text, NO_USAGE, cached=True)
        return text

    # --- a call -------------------------------------------------------------------------------

    def take_off(self, asked: Asked) -> Flight:
        """Begin a call, as soon as the budget allows it. Raises PolicyError and RunCancelled."""
        held = self.tree.ledger.hold_for_subcall(
            *self._wanted(asked), deepest=self.tree.deepest, stopped=self._scope.check
        )
        return self._flight(asked, held)

    def take_off_if_it_fits(self, asked: Asked) -> Flight | None:
        """Begin a call; None while the budget is held by others. Raises as `take_off`."""
        held = self.tree.ledger.hold_if_it_fits(*self._wanted(asked), deepest=self.tree.deepest)
        return None if held is None else self._flight(asked, held)

    def call(self, flight: Flight, *, here: bool = False) -> ModelResponse:
        """The model's reply. `here` is for a thread that may be left to itself."""
        asked = flight.asked
        messages = [
            {"role": "system", "content": self.tree.config.subcalls.system_prompt},
            {"role": "user", "content": asked.request.prompt},
        ]
        return self.tree.ask_as_subcall(
            asked.adapter,
            messages,
            asked.request.max_tokens,
            flight.running.scope,
            key=asked.reply_key,
            here=here,
        )

    def landed(self, flight: Flight, reply: ModelResponse) -> str:
        """End a call that was answered."""
        tree, asked = self.tree, flight.asked
        flight.running.end()
        tree.ledger.settle(flight.held, reply.usage, reply.model_id or model_name(asked.adapter))
        tree.keep(asked.adapter, asked.cache_key, CacheRecord(reply.text, reply.usage))
        self._record(asked, flight.step, reply.text, reply.usage, model=reply.model_id)
        return reply.text

    def failed(self, flight: Flight, error: BaseException) -> BaseException:
        """End a call that failed. Returns what the code is told: StepCancelled, if it was."""
        flight.running.end()
        self.tree.ledger.give_back(flight.held)
        return self._told(flight.asked, flight.step, error)

    def _wanted(self, asked: Asked) -> tuple[int, int, int, str | None]:
        """Depth, tokens and model, as the ledger wants them."""
        request = asked.request
        system = self.tree.config.subcalls.system_prompt
        tokens = estimate_tokens(system) + estimate_tokens(request.prompt)
        return request.depth, tokens, request.max_tokens, model_name(asked.adapter)

    def _flight(self, asked: Asked, held: Reservation) -> Flight:
        step = self._begin_step(asked)
        running = self.tree.running(step.step_id, self._scope)
        try:
            running.begin()
        except RunCancelled:
            self.tree.ledger.give_back(held)
            raise
        return Flight(asked, held, step, running)

    # --- an episode ---------------------------------------------------------------------------

    def by_episode(self, asked: Asked) -> str:
        """The answer of an episode of its own, one level deeper. Raises as `now`."""
        tree, request = self.tree, asked.request
        self._require_a_step()  # without one it could only guess
        tree.ledger.subcall(request.depth, deepest=tree.deepest)
        step = self._begin_step(asked)
        try:
            with tree.running(step.step_id, self._scope) as scope:
                finish = self._nest(
                    EpisodeRequest(
                        request.prompt,
                        asked.adapter,
                        request.max_tokens,
                        request.depth,
                        step.step_id,
                        _episode_name(asked.reply_key),
                        scope,
                    )
                )
        except BaseException as error:
            told = self._told(asked, step, error)
            if told is error:
                raise
            raise told from error
        if finish.status is RunStatus.NO_ANSWER:
            self._require_a_step()
        if asked.cacheable and finish.status is RunStatus.ANSWERED:  # else it may do better later
            tree.keep(asked.adapter, asked.cache_key, CacheRecord(finish.answer, NO_USAGE))
        self._record(asked, step, finish.answer, None)
        return finish.answer

    def _require_a_step(self) -> None:
        if self.tree.ledger.left()["steps"] == 0:
            raise MaxStepsExceeded("max_steps exceeded")

    # --- cache and trace ----------------------------------------------------------------------

    def _cached(self, asked: Asked) -> str | None:
        tree, key = self.tree, asked.reply_key
        recorded = tree.playback.of_call(key, cached=True)
        if recorded is not None:
            return recorded.text
        if tree.playback.knows(key) or tree.playback.knows(episode_key(_episode_name(key), 1)):
            return None  # it was answered by a model then, and that is recorded
        found = tree.cached(asked.adapter, asked.cache_key) if asked.cacheable else None
        if found is None:
            return None
        tree.recorder.keep(RecordedReply(found.text, cached=True).to_record(key))
        return found.text

    def _begin_step(self, asked: Asked) -> TraceStep:
        request = asked.request
        step = TraceStep(
            step_id=0,
            kind="recursive_subcall" if asked.recursive else "subcall",
            depth=request.depth,
            prompt_summary=cut(request.prompt, self.tree.config.trace.prompt_chars),
            input_hash=request.digest,
            cache_key=asked.cache_key,
            parallel_group_id=request.group,
            parallel_index=request.index,
            parallel_total=request.total,
            parent_id=self._parent_id,
        )
        return self.tree.recorder.begin(step, level=self.level)

    def _record(
        self,
        asked: Asked,
        step: TraceStep,
        text: str,
        usage: Usage | None,
        *,
        model: str | None = None,
        cached: bool = False,
    ) -> None:
        """A step that was answered. No `usage` for an episode: its own steps have theirs."""
        with self._lock:
            self.answered += 1
        self.tree.recorder.add(
            step.but(
                output=cut(text, self.tree.config.trace.output_chars),
                usage=usage,
                model=model,
                elapsed=time.monotonic() - asked.started,
                cache_hit=cached,
                output_hash=digest(text),
            )
        )

    def _told(self, asked: Asked, step: TraceStep, error: BaseException) -> BaseException:
        """What the code is told of a failure, which is in the trace unless all of the run ends."""
        told = error
        if isinstance(error, RunCancelled):
            if self._scope.cancelled:
                return error
            told = StepCancelled(f"step {step.step_id} was cancelled")
        if isinstance(told, Exception):
            said = f"{type(told).__name__}: {told}"
            text = cut(said, self.tree.config.trace.output_chars)
            elapsed = time.monotonic() - asked.started
            self.tree.recorder.add(step.but(error=text, elapsed=elapsed))
        return told


def _episode_name(reply_key: str) -> str:
    """The name of the episode that answers a request: the same in a replay."""
    return reply_key[:16]
