"""What all episodes of one run share: the ledger, the recorder, the models, the way to stop."""

from __future__ import annotations

from typing import TYPE_CHECKING, ParamSpec, TypeVar

from rlm_core.cache import is_failure
from rlm_core.calls import CancelScope, call_model
from rlm_core.models import is_cacheable, model_name
from rlm_core.playback import Playback, episode_key
from rlm_core.recorder import Recorder
from rlm_core.recording import RecordedReply
from rlm_core.turns import Turns

if TYPE_CHECKING:
    from collections.abc import Callable

    from rlm_core.adapters.base import ModelAdapter, ModelResponse
    from rlm_core.cache import CacheRecord, FileCache
    from rlm_core.config import Config
    from rlm_core.diagnostics import Diagnostics
    from rlm_core.events import RLMEventListener
    from rlm_core.models import Models
    from rlm_core.provider import Providers
    from rlm_core.trace_file import TraceFile

P = ParamSpec("P")
T = TypeVar("T")


class RunningStep:
    """A step that is under way, and the scope of all that is done for it. Also a `with` block."""

    __slots__ = ("_above", "_all", "_step_id", "scope")

    def __init__(
        self, everything: dict[int, CancelScope], step_id: int, above: CancelScope
    ) -> None:
        self._all = everything
        self._step_id = step_id
        self._above = above
        self.scope = CancelScope(above)

    def begin(self) -> None:
        """From now on it can be cancelled. Raises RunCancelled if all of the run is."""
        self._above.enter(self.scope.cancel)
        self._all[self._step_id] = self.scope

    def end(self) -> None:
        """It is over."""
        del self._all[self._step_id]
        self._above.leave(self.scope.cancel)

    def __enter__(self) -> CancelScope:
        self.begin()
        return self.scope

    def __exit__(self, *_: object) -> None:
        self.end()


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
        self.ledger = config.policy.open()
        self.deepest = config.subcalls.deepest(config.policy)
        self.turns = Turns(config.subcalls.max_concurrent)
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
        here: bool = False,
    ) -> ModelResponse:
        """The reply to a sub-model's call, recorded or live. Raises as `_live`."""
        recorded = self.playback.of_call(key, cached=False)
        if recorded is not None:
            return recorded.response()
        turn = self.turns.take(scope)
        try:
            with scope.stopping(turn.give_back):  # a call that is left to itself keeps no turn
                return self._live(adapter, messages, max_tokens, scope, key=key, here=here)
        finally:
            turn.give_back()

    def _live(
        self,
        adapter: ModelAdapter,
        messages: list[dict[str, str]],
        max_tokens: int,
        scope: CancelScope,
        *,
        key: str,
        asked: str | None = None,
        here: bool = False,
    ) -> ModelResponse:
        """A model's reply, as soon as its provider allows the call; it is kept in the trace file.

        Raises what the adapter raises, and RunCancelled when the run is stopped.
        """
        try:
            with self._providers.gate(model_name(adapter)).passing(scope):
                reply = call_model(adapter, messages, max_tokens, scope, here=here)
        except Exception as error:
            if self.recorder.writes and not scope.cancelled:
                failed = RecordedReply(str(error), error=type(error).__name__, asked=asked)
                self.recorder.keep(failed.to_record(key))
            raise
        if self.recorder.writes:
            self.recorder.keep(RecordedReply.of(reply, asked=asked).to_record(key))
        return reply

    def running(self, step_id: int, above: CancelScope) -> RunningStep:
        """A step that can be cancelled alone while it is under way."""
        return RunningStep(self._running, step_id, above)

    def cancel_step(self, step_id: int) -> bool:
        """Stop a step, and everything below it, that is under way; False where it is not."""
        scope = self._running.get(step_id)
        if scope is None:
            return False
        scope.cancel()
        return True

    def cached(self, adapter: ModelAdapter, key: str) -> CacheRecord | None:
        """The reply that was given before; scripted models are always asked."""
        return self._of_cache(self._cache.get, key) if is_cacheable(adapter) else None

    def keep(self, adapter: ModelAdapter, key: str, record: CacheRecord) -> None:
        """Keep a reply for the next time."""
        if is_cacheable(adapter):
            self._of_cache(self._cache.add, key, record)

    def settle_cache(self) -> None:
        """Have what was kept on the disk: not with each reply, for that takes longer."""
        self._of_cache(self._cache.flush)

    def close(self) -> None:
        """Stop the clock and close the trace file."""
        self.scope.close()
        self.settle_cache()
        if self._file is not None:
            self._file.close()

    def _of_cache(self, ask: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T | None:
        """What the cache gives; None from then on when it cannot be read or written.

        That costs money, but must not cost the run.
        """
        if not self._cache_works:
            return None
        try:
            return ask(*args, **kwargs)
        except Exception as error:
            if not is_failure(error):
                raise
            self._cache_works = False
            logger = self.diagnostics.logger
            logger.warning("the cache cannot be used, replies are not kept: %s", error)
            return None
