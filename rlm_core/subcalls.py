"""What the host does when code calls a sub-model: cache, budget, concurrency, recursion, trace."""

from __future__ import annotations

import hashlib
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rlm_core.adapters.base import Usage, identity_of
from rlm_core.cache import CacheRecord, cache_key
from rlm_core.errors import RunCancelled
from rlm_core.policy import MaxRecursionExceeded, MaxStepsExceeded, PolicyError, estimate_tokens
from rlm_core.stimuli import RunStatus
from rlm_core.trace import TraceStep

if TYPE_CHECKING:
    from collections.abc import Callable

    from rlm_core.adapters.base import ModelAdapter
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


@dataclass(frozen=True)
class Answer:
    """What a request was answered with, and by whom."""

    text: str
    key: str
    usage: Usage | None = None
    """None for an episode: its own steps have theirs."""
    model: str | None = None
    cached: bool = False
    step_id: int = 0
    """The number that an episode's steps already name as their parent's, or 0."""


class Subcalls:
    """The host functions of one episode's session. Thread-safe: code may have threads."""

    def __init__(self, tree: RunTree, *, level: int, parent_id: int | None) -> None:
        self._tree = tree
        self._level = level
        self._parent_id = parent_id
        self._lock = threading.Lock()
        self._answered = 0
        self._submitted: str | None = None

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

    def take_submitted(self) -> str | None:
        """The answer that the code gave since the last time this was asked, or None."""
        with self._lock:
            submitted, self._submitted = self._submitted, None
            return submitted

    def submit(self, text: object) -> None:
        """Host function: the code gives the answer. The last one counts."""
        with self._lock:
            self._submitted = str(text)

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
        except RunCancelled:
            raise
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
        tree = self._tree
        tree.scope.check()
        if request.depth > tree.deepest:
            raise MaxRecursionExceeded("max_recursion_depth exceeded")
        recursive = tree.is_recursive(request.depth)
        answer = self._answer_by(request, recursive=recursive)
        with self._lock:
            self._answered += 1
        step = TraceStep(
            step_id=answer.step_id,
            kind="recursive_subcall" if recursive else "subcall",
            depth=request.depth,
            prompt_summary=cut(request.prompt, tree.config.trace.prompt_chars),
            output=cut(answer.text, tree.config.trace.output_chars),
            usage=answer.usage,
            model=answer.model,
            elapsed=time.monotonic() - started,
            cache_hit=answer.cached,
            input_hash=_digest(request.prompt),
            output_hash=_digest(answer.text),
            cache_key=answer.key,
            parallel_group_id=request.group,
            parallel_index=request.index,
            parallel_total=request.total,
            parent_id=self._parent_id,
        )
        tree.recorder.add(step, level=self._level)
        return answer.text

    def _answer_by(self, request: Request, *, recursive: bool) -> Answer:
        """The answer, from the cache, an episode or a call."""
        tree = self._tree
        adapter = tree.sub_model(request.model)
        key = cache_key(
            adapter=identity_of(adapter),
            model=request.model,
            system_prompt=tree.sub_system_prompt(recursive=recursive),
            max_tokens=request.max_tokens,
            mode="recursive" if recursive else "simple",
            text=request.prompt,
        )
        cached = tree.cached(adapter, key)
        if cached is not None:
            return Answer(cached.text, key, _NO_USAGE, cached=True)
        if recursive:
            return self._episode(request, adapter, key)
        return self._call(request, adapter, key)

    def _call(self, request: Request, adapter: ModelAdapter, key: str) -> Answer:
        """One call of a sub-model on the budget of the run."""
        tree = self._tree
        system = tree.config.subcalls.system_prompt
        name = tree.model_name(adapter)
        held = tree.ledger.hold_for_subcall(
            request.depth,
            estimate_tokens(system) + estimate_tokens(request.prompt),
            request.max_tokens,
            name,
            deepest=tree.deepest,
            stopped=tree.scope.check,
        )
        messages = [
            {"role": "system", "content": system},
            {"role": "user", "content": request.prompt},
        ]
        try:
            with tree.slots:
                reply = tree.ask(adapter, messages, request.max_tokens)
        except BaseException:
            tree.ledger.give_back(held)
            raise
        tree.ledger.settle(held, reply.usage, reply.model_id or name)
        tree.keep(adapter, key, CacheRecord(reply.text, reply.usage))
        return Answer(reply.text, key, reply.usage, reply.model_id)

    def _episode(self, request: Request, adapter: ModelAdapter, key: str) -> Answer:
        """A subcall that is an episode of its own, one level deeper."""
        tree = self._tree
        self._require_a_step()  # without one it could only guess
        tree.ledger.subcall(request.depth, deepest=tree.deepest)
        step_id = tree.recorder.next_id()
        finish = tree.sub_episode(
            request.prompt,
            adapter,
            level=request.depth,
            max_tokens=request.max_tokens,
            parent_id=step_id,
        )
        if finish.status is RunStatus.NO_ANSWER:
            self._require_a_step()
        if finish.status is RunStatus.ANSWERED:  # one that was stopped may do better next time
            tree.keep(adapter, key, CacheRecord(finish.answer, _NO_USAGE))
        return Answer(finish.answer, key, step_id=step_id)

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


def cut(text: str, limit: int) -> str:
    """A text as the trace keeps it."""
    return text if len(text) <= limit else text[:limit] + "...<truncated>"


def _failed(error: Exception, text: str) -> dict[str, str]:
    return {"text": text, "error": type(error).__name__, "message": str(error)}


def _whole(value: object, default: int, name: str) -> int:
    if value is None:
        return default
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise ValueError(f"{name} must be a whole number of at least 1, not {value!r}")
    return value


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode(errors="surrogatepass")).hexdigest()
