"""What all episodes of one run share: the ledger, the recorder, the models, the way to stop."""

from __future__ import annotations

import sqlite3
import threading
from dataclasses import replace
from typing import TYPE_CHECKING

from rlm_core.calls import CallThreads, CancelScope, Crew, call_model
from rlm_core.context import Context
from rlm_core.driver import EpisodeDriver, Task
from rlm_core.recorder import Recorder
from rlm_core.session import Session
from rlm_core.subcalls import Subcalls
from rlm_core.trace import TraceFile
from rlm_sandbox import Sandbox

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from rlm_core.adapters.base import ModelAdapter, ModelResponse
    from rlm_core.cache import CacheRecord, FileCache
    from rlm_core.config import Config
    from rlm_core.diagnostics import Diagnostics
    from rlm_core.events import RLMEventListener
    from rlm_core.extensions import Extensions
    from rlm_core.provider import Providers
    from rlm_core.session import Box
    from rlm_core.stimuli import Finish

_SNIPPET = "\nSnippet:\n"
_QUESTION = "Question: "
_WHOLE_TASK = "P holds a request together with its material. Do what it asks, and give the result."


class Models:
    """The models of a run: the root's, the sub-model, and sub-models that code may name."""

    def __init__(
        self,
        root: ModelAdapter,
        sub: ModelAdapter | None = None,
        named: Mapping[str, ModelAdapter] | None = None,
    ) -> None:
        self.root = root
        self.sub = sub or root
        self._named = dict(named or {})

    def named(self, name: str | None) -> ModelAdapter:
        """The sub-model of that name; None is the default one. Raises ValueError."""
        if name is None:
            return self.sub
        if name in self._named:
            return self._named[name]
        if name == getattr(self.sub, "model", None):
            return self.sub
        known = ", ".join(sorted(self._named)) or "none has a name"
        raise ValueError(f"no sub-model is called {name!r} ({known}): leave model= out")


class RunTree:
    """One run: the root's episode and every episode below it. Close it when the run ends."""

    def __init__(
        self,
        config: Config,
        models: Models,
        *,
        cache: FileCache,
        listener: RLMEventListener | None,
        extensions: Extensions,
        scope: CancelScope,
        diagnostics: Diagnostics,
        providers: Providers,
    ) -> None:
        self.config = config
        self.models = models
        self.scope = scope
        self.diagnostics = diagnostics
        self._threads = CallThreads()
        self._providers = providers
        self.ledger = config.policy.open()
        self.deepest = config.subcalls.deepest(config.policy)
        self.slots = threading.BoundedSemaphore(config.subcalls.max_concurrent)
        """Calls of sub-models in flight at once; whole episodes do not count."""
        path = config.trace.path
        self._file = None if path is None else TraceFile(path)
        self.recorder = Recorder(self.ledger, listener, self._file)
        self._cache = cache
        self._cache_works = True
        self._log = diagnostics.logger
        self._extensions = extensions

    def root_episode(self, query: str, context: Context) -> Finish:
        """Run the root's episode to its end."""
        left = self.ledger.seconds_left()
        if left is not None:
            self.scope.expire_after(left)
        return self._episode(Task(query, context, self.config.rules, self.models.root))

    def sub_episode(
        self, prompt: str, adapter: ModelAdapter, *, level: int, max_tokens: int, parent_id: int
    ) -> Finish:
        """Run an episode for one prompt, in a sandbox of its own and on the same budget."""
        options = self.config.subcalls
        rules = replace(
            self.config.rules,
            system_prompt=options.recursive_system_prompt,
            max_steps=options.recursive_max_steps,
            max_tokens=max(max_tokens, self.config.rules.max_tokens),
            min_steps=0,
            require_repl_before_final=False,
            require_subcall_before_final=False,
            auto_finalize=None,
            fallback_code=None,
        )
        query, text = question_in(prompt)
        return self._episode(
            Task(query, Context.from_text(text), rules, adapter, level=level, parent_id=parent_id)
        )

    def is_recursive(self, depth: int) -> bool:
        """Whether a subcall at this depth is an episode of its own."""
        return self.config.subcalls.recursive and depth < self.deepest

    def sub_model(self, name: str | None) -> ModelAdapter:
        """The sub-model that code asks for by name, or the default one."""
        return self.models.named(name)

    def sub_system_prompt(self, *, recursive: bool) -> str:
        """The system prompt of a subcall."""
        options = self.config.subcalls
        return options.recursive_system_prompt if recursive else options.system_prompt

    def ask(
        self, adapter: ModelAdapter, messages: Sequence[dict[str, str]], max_tokens: int
    ) -> ModelResponse:
        """A model's reply, as soon as its provider allows the call.

        Raises what the adapter raises, and RunCancelled when the run is stopped.
        """
        with self._providers.gate(self.model_name(adapter)).passing(self.scope):
            return call_model(adapter, messages, max_tokens, self.scope, self._threads)

    def run_crew(self, work: Callable[[int], None], count: int) -> None:
        """Do numbered items, several at once. Raises the first failure."""
        Crew(work, count, self.config.subcalls.max_concurrent).run(self._threads)

    def model_name(self, adapter: ModelAdapter) -> str | None:
        """The name under which an adapter's model has a price."""
        model: object = getattr(adapter, "model", None)
        return model if isinstance(model, str) else None

    def cached(self, adapter: ModelAdapter, key: str) -> CacheRecord | None:
        """The reply that was given before; scripted models are always asked."""
        if not (self._cache_works and _is_cacheable(adapter)):
            return None
        try:
            return self._cache.get(key)
        except (OSError, sqlite3.Error) as error:
            return self._do_without_cache(error)

    def keep(self, adapter: ModelAdapter, key: str, record: CacheRecord) -> None:
        """Keep a reply for the next time."""
        if not (self._cache_works and _is_cacheable(adapter)):
            return
        try:
            self._cache.set(key, record)
        except (OSError, sqlite3.Error) as error:
            self._do_without_cache(error)

    def close(self) -> None:
        """Stop the clock, end idle threads and close the trace file."""
        self.scope.close()
        self._threads.close()
        if self._file is not None:
            self._file.close()

    def _do_without_cache(self, error: Exception) -> None:
        """A cache that cannot be read or written costs money, but must not cost the run."""
        self._cache_works = False
        self._log.warning("the cache cannot be used, replies are not kept: %s", error)

    def _episode(self, task: Task) -> Finish:
        subcalls = Subcalls(self, level=task.level, parent_id=task.parent_id)
        extra = self._extensions.for_session()
        box = self._open_box({**extra.functions, **subcalls.functions()})
        try:
            session = Session(box, task.context, parallel=self.config.subcalls.parallel)
            extra.attach(box, {"P": task.context.text, "ctx": task.context, **subcalls.here()})
            self.recorder.isolation = session.isolation
            return EpisodeDriver(self, task, session, subcalls).run()
        finally:
            box.close()

    def _open_box(self, functions: Mapping[str, Callable[..., object]]) -> Box:
        options = self.config.sandbox
        return Sandbox(
            limits=options.limits,
            functions=functions,
            imports=options.imports,
            isolation=options.isolation,
            packages=options.packages,
        )


def question_in(prompt: str) -> tuple[str, str]:
    """The question and the text of a prompt that `ask` made; any other prompt is all text."""
    if prompt.startswith(_QUESTION) and _SNIPPET in prompt:
        question, _, text = prompt.removeprefix(_QUESTION).partition(_SNIPPET)
        return question, text
    return _WHOLE_TASK, prompt


def _is_cacheable(adapter: ModelAdapter) -> bool:
    """A scripted model's reply depends on the calls before: it says `cacheable = False`."""
    return bool(getattr(adapter, "cacheable", True))
