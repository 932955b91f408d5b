"""What the host does when code calls a sub-model: cache, budget, concurrency, recursion, trace."""

from __future__ import annotations

import hashlib
import json
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from rlm_core.adapters.base import Usage, identity_of
from rlm_core.cache import CacheRecord, cache_key
from rlm_core.errors import RunCancelled, StepCancelled
from rlm_core.models import model_name
from rlm_core.playback import episode_key
from rlm_core.policy import MaxRecursionExceeded, MaxStepsExceeded, PolicyError, estimate_tokens
from rlm_core.recording import RecordedReply
from rlm_core.stimuli import RunStatus, Value, value_of
from rlm_core.trace import TraceStep, cut

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from rlm_core.adapters.base import ModelAdapter
    from rlm_core.calls import CancelScope
    from rlm_core.stimuli import Finish
    from rlm_core.tree import RunTree

LIMIT_TEXT = (
    "[SUBCALL_LIMIT] {error}. You have used all available sub-LLM calls. Build your final answer "
    "now using the information you already have."
)
ERROR_TEXT = "[ERROR] {kind}: {error}"
_NO_USAGE = Usage(0, 0, 0)


@dataclass(frozen=True)
class Request:
    """One prompt for a sub-model, checked."""

    prompt: str
    max_tokens: int
    depth: int
    """1 for a call from the root's code, one more for each episode in between."""
    model: str | None = None
    group: str | None = None
    index: int | None = None
    total: int | None = None

    @cached_property
    def digest(self) -> str:
        """Of the prompt, which may be long: it stands for it in keys."""
        return _digest(self.prompt)


@dataclass(frozen=True)
class EpisodeRequest:
    """A request that an episode of its own answers."""

    prompt: str
    adapter: ModelAdapter
    max_tokens: int
    level: int
    parent_id: int
    name: str
    """The same for the same request, in every run."""
    scope: CancelScope


@dataclass(frozen=True)
class Answer:
    """What a request was answered with, and by whom."""

    text: str
    step: TraceStep
    """The step that it was, as it began."""
    usage: Usage | None = None
    """None for an episode: its own steps have theirs."""
    model: str | None = None
    cached: bool = False


class Subcalls:
    """The host functions of one episode's session. Thread-safe: code may have threads."""

    def __init__(
        self,
        tree: RunTree,
        *,
        level: int,
        parent_id: int | None,
        scope: CancelScope,
        nest: Callable[[EpisodeRequest], Finish],
    ) -> None:
        self._tree = tree
        self._level = level
        self._parent_id = parent_id
        self._scope = scope
        self._nest = nest
        self._lock = threading.Lock()
        self._answered = 0
        self._submitted: Value | None = None

    def functions(self) -> dict[str, Callable[..., object]]:
        """What `guest` calls, by the names it knows."""
        return {
            "rlm_query": self.query,
            "rlm_batch": self.batch,
            "rlm_budget": self._tree.ledger.left,
            "rlm_submit": self.submit,
        }

    def here(self) -> dict[str, Callable[..., object]]:
        """The same for functions of the caller, which run in this process."""
        return {"llm_query": self._query_here, "llm_batch": self._batch_here}

    @property
    def answered(self) -> int:
        """Replies of sub-models that the code has got so far, cached ones too."""
        return self._answered

    def take_submitted(self) -> Value | None:
        """The answer that the code gave since the last time this was asked, or None."""
        with self._lock:
            submitted, self._submitted = self._submitted, None
            return submitted

    def submit(self, answer: object, text: object = None) -> None:
        """Host function: the code gives the answer, and how it reads. The last one counts."""
        with self._lock:
            self._submitted = value_of(answer, text if isinstance(text, str) else None)

    def query(self, prompt: object, options: object = None) -> str:
        """Host function: one call. At a limit the text says so; MaxRecursionExceeded is raised."""
        request = self._request(prompt, options)
        try:
            return self._answer(request)
        except MaxRecursionExceeded:
            raise
        except PolicyError as error:
            return LIMIT_TEXT.format(error=error)

    def batch(self, prompts: object, options: object = None) -> list[dict[str, str]]:
        """Host function: many calls at once: {"text"} or {"text", "error", "message"} for each.

        A prompt that failed, or that a limit kept from being asked, has a text that says so and
        the name of the error. With on_error="raise" the first failure is raised instead, and
        nothing more is begun.
        """
        if not isinstance(prompts, list):
            raise TypeError("rlm_batch takes a list of prompts")
        strict = isinstance(options, dict) and options.get("on_error") == "raise"
        requests = self._grouped([self._request(prompt, options) for prompt in prompts])
        results: list[dict[str, str]] = [{} for _ in requests]
        work = _BatchWork(self, requests, results, strict=strict)
        if len(requests) == 1:
            work(0)
        else:
            self._tree.run_crew(work, len(requests))
        return results

    def _query_here(self, text: str, **options: object) -> str:
        return self.query(text, options)

    def _batch_here(self, prompts: list[str], **options: object) -> list[str]:
        return [item["text"] for item in self.batch(prompts, options)]

    def answer_item(self, request: Request, *, strict: bool) -> dict[str, str]:
        """The result of one prompt of a batch."""
        try:
            return {"text": self._answer(request)}
        except RunCancelled as error:
            if strict or not isinstance(error, StepCancelled):
                raise
            return _failed(error, ERROR_TEXT.format(kind="StepCancelled", error=error))
        except PolicyError as error:
            if strict or isinstance(error, MaxRecursionExceeded):
                raise
            return _failed(error, LIMIT_TEXT.format(error=error))
        except Exception as error:
            if strict:
                raise
            return _failed(error, ERROR_TEXT.format(kind=type(error).__name__, error=error))

    def _request(self, prompt: object, options: object) -> Request:
        """The worker is not trusted: what it sends is checked before it is used."""
        given = options if isinstance(options, dict) else {}
        if not isinstance(prompt, str):
            raise TypeError(f"a prompt must be a text, not {type(prompt).__name__}")
        max_tokens = given.get("max_tokens")
        depth = given.get("depth")
        model = given.get("model")
        return Request(
            prompt=prompt,
            max_tokens=_whole(max_tokens, self._tree.config.subcalls.max_tokens, "max_tokens"),
            depth=self._level + _whole(depth, 1, "depth"),
            model=model if isinstance(model, str) else None,
            group=given["group"] if isinstance(given.get("group"), str) else None,
            index=given["index"] if isinstance(given.get("index"), int) else None,
            total=given["total"] if isinstance(given.get("total"), int) else None,
        )

    def _grouped(self, requests: list[Request]) -> list[Request]:
        if len(requests) < 2:
            return requests
        group = self._tree.recorder.next_group()
        return [
            Request(
                each.prompt, each.max_tokens, each.depth, each.model, group, index, len(requests)
            )
            for index, each in enumerate(requests)
        ]

    def _answer(self, request: Request) -> str:
        """The reply to a request. Raises PolicyError at a limit, and what the adapter raises."""
        started = time.monotonic()
        self._scope.check()
        if request.depth > self._tree.deepest:
            raise MaxRecursionExceeded("max_recursion_depth exceeded")
        answer = self._answer_by(request)
        with self._lock:
            self._answered += 1
        step = answer.step.but(
            output=cut(answer.text, self._tree.config.trace.output_chars),
            usage=answer.usage,
            model=answer.model,
            elapsed=time.monotonic() - started,
            cache_hit=answer.cached,
            output_hash=_digest(answer.text),
        )
        self._tree.recorder.add(step)
        return answer.text

    def _answer_by(self, request: Request) -> Answer:
        """The answer, from the cache, an episode or a call."""
        tree = self._tree
        recursive = tree.is_recursive(request.depth)
        adapter = tree.models.named(request.model)
        key = cache_key(
            adapter=identity_of(adapter),
            model=request.model,
            system_prompt=tree.sub_system_prompt(recursive=recursive),
            max_tokens=request.max_tokens,
            mode="recursive" if recursive else "simple",
            text=request.digest,
        )
        asked = _request_key(request, tree.sub_system_prompt(recursive=recursive))
        cached = self._cached(adapter, key, asked)
        if cached is not None:
            step = self._begin(request, key, recursive=recursive)
            return Answer(cached, step, _NO_USAGE, cached=True)
        if recursive:
            return self._episode(request, adapter, key, asked)
        return self._call(request, adapter, key, asked)

    def _cached(self, adapter: ModelAdapter, key: str, asked: str) -> str | None:
        """The reply that the cache gives now, or gave when the run was recorded."""
        tree = self._tree
        recorded = tree.playback.of_call(asked, cached=True)
        if recorded is not None:
            return recorded.text
        episode = episode_key(_episode_name(asked), 1)
        if tree.playback.knows(asked) or tree.playback.knows(episode):
            return None  # it was answered by a model then, and that is recorded
        found = tree.cached(adapter, key)
        if found is None:
            return None
        tree.recorder.keep(RecordedReply(found.text, cached=True).to_record(asked))
        return found.text

    def _call(self, request: Request, adapter: ModelAdapter, key: str, asked: str) -> Answer:
        """One call of a sub-model on the budget of the run."""
        tree = self._tree
        system = tree.config.subcalls.system_prompt
        name = model_name(adapter)
        held = tree.ledger.hold_for_subcall(
            request.depth,
            estimate_tokens(system) + estimate_tokens(request.prompt),
            request.max_tokens,
            name,
            deepest=tree.deepest,
            stopped=self._scope.check,
        )
        messages = [
            {"role": "system", "content": system},
            {"role": "user", "content": request.prompt},
        ]
        try:
            with self._step(request, key, recursive=False) as (step, scope):
                reply = tree.ask_as_subcall(adapter, messages, request.max_tokens, scope, key=asked)
        except BaseException:
            tree.ledger.give_back(held)
            raise
        tree.ledger.settle(held, reply.usage, reply.model_id or name)
        tree.keep(adapter, key, CacheRecord(reply.text, reply.usage))
        return Answer(reply.text, step, reply.usage, reply.model_id)

    def _episode(self, request: Request, adapter: ModelAdapter, key: str, asked: str) -> Answer:
        """A subcall that is an episode of its own, one level deeper."""
        tree = self._tree
        self._require_a_step()  # without one it could only guess
        tree.ledger.subcall(request.depth, deepest=tree.deepest)
        with self._step(request, key, recursive=True) as (step, scope):
            finish = self._nest(
                EpisodeRequest(
                    request.prompt,
                    adapter,
                    request.max_tokens,
                    request.depth,
                    step.step_id,
                    _episode_name(asked),
                    scope,
                )
            )
        if finish.status is RunStatus.NO_ANSWER:
            self._require_a_step()
        if finish.status is RunStatus.ANSWERED:  # one that was stopped may do better next time
            tree.keep(adapter, key, CacheRecord(finish.answer, _NO_USAGE))
        return Answer(finish.answer, step)

    @contextmanager
    def _step(
        self, request: Request, key: str, *, recursive: bool
    ) -> Generator[tuple[TraceStep, CancelScope]]:
        """The step while it is under way, and the scope that stops it alone.

        One that fails is recorded with its error. Raises StepCancelled when it was stopped alone.
        """
        step = self._begin(request, key, recursive=recursive)
        started = time.monotonic()
        try:
            with self._tree.running(step.step_id, self._scope) as scope:
                yield step, scope
        except RunCancelled as error:
            if self._scope.cancelled:
                raise
            stopped = StepCancelled(f"step {step.step_id} was cancelled")
            self._failed(step, stopped, started)
            raise stopped from error
        except Exception as error:
            self._failed(step, error, started)
            raise

    def _failed(self, step: TraceStep, error: Exception, started: float) -> None:
        text = cut(f"{type(error).__name__}: {error}", self._tree.config.trace.output_chars)
        self._tree.recorder.add(step.but(error=text, elapsed=time.monotonic() - started))

    def _begin(self, request: Request, key: str, *, recursive: bool) -> TraceStep:
        step = TraceStep(
            step_id=0,
            kind="recursive_subcall" if recursive else "subcall",
            depth=request.depth,
            prompt_summary=cut(request.prompt, self._tree.config.trace.prompt_chars),
            input_hash=request.digest,
            cache_key=key,
            parallel_group_id=request.group,
            parallel_index=request.index,
            parallel_total=request.total,
            parent_id=self._parent_id,
        )
        return self._tree.recorder.begin(step, level=self._level)

    def _require_a_step(self) -> None:
        if self._tree.ledger.left()["steps"] == 0:
            raise MaxStepsExceeded("max_steps exceeded")


@dataclass(frozen=True)
class _BatchWork:
    """Answers one numbered prompt of a batch."""

    subcalls: Subcalls
    requests: list[Request]
    results: list[dict[str, str]]
    strict: bool

    def __call__(self, number: int) -> None:
        request = self.requests[number]
        self.results[number] = self.subcalls.answer_item(request, strict=self.strict)


def _failed(error: Exception, text: str) -> dict[str, str]:
    return {"text": text, "error": type(error).__name__, "message": str(error)}


def _whole(value: object, default: int, name: str) -> int:
    if value is None:
        return default
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise ValueError(f"{name} must be a whole number of at least 1, not {value!r}")
    return value


def _request_key(request: Request, system_prompt: str) -> str:
    """What a recorded reply is found by: what was asked, whoever answers, in however many words."""
    return _digest(json.dumps([request.model, system_prompt, request.digest]))


def _episode_name(asked: str) -> str:
    """The name of the episode that answers a request: the same in a replay."""
    return asked[:16]


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode(errors="surrogatepass")).hexdigest()
