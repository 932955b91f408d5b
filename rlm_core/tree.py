"""What all episodes of one run share: the ledger, the recorder, the models, the way to stop."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

from rlm_core.cache import is_failure
from rlm_core.calls import CallThreads, CancelScope, Crew, call_model
from rlm_core.models import is_cacheable, model_name
from rlm_core.playback import Playback, episode_key
from rlm_core.recorder import Recorder
from rlm_core.recording import RecordedReply

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from rlm_core.adapters.base import ModelAdapter, ModelResponse
    from rlm_core.cache import CacheRecord, FileCache
    from rlm_core.config import Config
    from rlm_core.diagnostics import Diagnostics
    from rlm_core.events import RLMEventListener
    from rlm_core.models import Models
    from rlm_core.provider import Providers
    from rlm_core.trace_file import TraceFile


class RunTree:
    """One run: the root's episode and every episode below it. Close it when the run ends."""

    def __init__(
        self,
        config: Config,
        models: Models,
        *,
        cache: FileCache,
        scope: CancelScope,
        diagnostics: Diagnostics,
        providers: Providers,
        listener: RLMEventListener | None = None,
        file: TraceFile | None = None,
        playback: Playback | None = None,
        seed: int = 0,
    ) -> None:
        self.config = config
        self.models = models
        self.scope = scope
        self.diagnostics = diagnostics
        self.playback = playback or Playback()
        self.seed = seed
        self.threads = CallThreads()
        self.ledger = config.policy.open()
        self.deepest = config.subcalls.deepest(config.policy)
        self.slots = threading.BoundedSemaphore(config.subcalls.max_concurrent)
        """Calls of sub-models in flight at once; whole episodes do not count."""
        self.recorder = Recorder(self.ledger, listener, file)
        self._file = file
        self._providers = providers
        self._cache = cache
        self._cache_works = True
        self._running: dict[int, CancelScope] = {}

    def is_recursive(self, depth: int) -> bool:
        """Whether a subcall at this depth is an episode of its own."""
        return self.config.subcalls.recursive and depth < self.deepest

    def sub_system_prompt(self, *, recursive: bool) -> str:
        """The system prompt of a subcall."""
        options = self.config.subcalls
        return options.recursive_system_prompt if recursive else options.system_prompt

    def ask_as_episode(
        self,
        adapter: ModelAdapter,
        messages: list[dict[str, str]],
        max_tokens: int,
        scope: CancelScope,
        *,
        episode: str,
        number: int,
        asked: str,
    ) -> ModelResponse:
        """The reply to an episode's call of that number, recorded or live. Raises as `_live`."""
        recorded = self.playback.of_episode(episode, number, asked)
        if recorded is not None:
            return recorded.response()
        key = episode_key(episode, number)
        return self._live(adapter, messages, max_tokens, scope, key=key, asked=asked)

    def ask_as_subcall(
        self,
        adapter: ModelAdapter,
        messages: list[dict[str, str]],
        max_tokens: int,
        scope: CancelScope,
        *,
        key: str,
    ) -> ModelResponse:
        """The reply to a sub-model's call, recorded or live. Raises as `_live`."""
        recorded = self.playback.of_call(key, cached=False)
        if recorded is not None:
            return recorded.response()
        with self.slots:
            return self._live(adapter, messages, max_tokens, scope, key=key)

    def _live(
        self,
        adapter: ModelAdapter,
        messages: list[dict[str, str]],
        max_tokens: int,
        scope: CancelScope,
        *,
        key: str,
        asked: str | None = None,
    ) -> ModelResponse:
        """A model's reply, as soon as its provider allows the call; it is kept in the trace file.

        Raises what the adapter raises, and RunCancelled when the run is stopped.
        """
        try:
            with self._providers.gate(model_name(adapter)).passing(scope):
                reply = call_model(adapter, messages, max_tokens, scope, self.threads)
        except Exception as error:
            if not scope.cancelled:
                failed = RecordedReply(str(error), error=type(error).__name__, asked=asked)
                self.recorder.keep(failed.to_record(key))
            raise
        self.recorder.keep(RecordedReply.of(reply, asked=asked).to_record(key))
        return reply

    def run_crew(self, work: Callable[[int], None], count: int) -> None:
        """Do numbered items, several at once. Raises the first failure."""
        Crew(work, count, self.config.subcalls.max_concurrent).run(self.threads)

    @contextmanager
    def running(self, step_id: int, above: CancelScope) -> Generator[CancelScope]:
        """A scope for a step that can be cancelled alone while this lasts."""
        with above.below() as scope:
            self._running[step_id] = scope
            try:
                yield scope
            finally:
                del self._running[step_id]

    def cancel_step(self, step_id: int) -> bool:
        """Stop a step, and everything below it, that is under way; False where it is not."""
        scope = self._running.get(step_id)
        if scope is None:
            return False
        scope.cancel()
        return True

    def cached(self, adapter: ModelAdapter, key: str) -> CacheRecord | None:
        """The reply that was given before; scripted models are always asked."""
        if not (self._cache_works and is_cacheable(adapter)):
            return None
        try:
            return self._cache.get(key)
        except Exception as error:
            if not is_failure(error):
                raise
            return self._do_without_cache(error)

    def keep(self, adapter: ModelAdapter, key: str, record: CacheRecord) -> None:
        """Keep a reply for the next time."""
        if not (self._cache_works and is_cacheable(adapter)):
            return
        try:
            self._cache.set(key, record)
        except Exception as error:
            if not is_failure(error):
                raise
            self._do_without_cache(error)

    def close(self) -> None:
        """Stop the clock, end idle threads and close the trace file."""
        self.scope.close()
        self.threads.close()
        if self._file is not None:
            self._file.close()

    def _do_without_cache(self, error: Exception) -> None:
        """A cache that cannot be read or written costs money, but must not cost the run."""
        self._cache_works = False
        self.diagnostics.logger.warning("the cache cannot be used, replies are not kept: %s", error)
