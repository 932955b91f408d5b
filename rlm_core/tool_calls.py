"""What the host does when code calls a tool: limits, waiting, replay, and the trace."""

from __future__ import annotations

import base64
import threading
import time
from concurrent.futures import CancelledError, Future, InvalidStateError
from concurrent.futures import TimeoutError as FutureTimeout
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from rlm_core.calls import THREADS
from rlm_core.digest import digest
from rlm_core.errors import ToolLimit, ToolTimeout
from rlm_core.recording import RecordedReply, failure
from rlm_core.trace import TraceStep, cut
from rlm_core.turns import Turns
from rlm_sandbox import values
from rlm_sandbox.errors import ValueRefused

if TYPE_CHECKING:
    import asyncio
    import inspect
    from collections.abc import Callable, Iterable

    from rlm_core.calls import CancelScope
    from rlm_core.tools import Tool
    from rlm_core.tree import RunTree

_NOT_COUNTED = frozenset({"ToolArguments", "ToolLimit"})
"""Errors of calls that did not come to the tool."""


@dataclass(frozen=True)
class _Caller:
    """Where in the tree a call comes from."""

    level: int
    parent_id: int | None
    scope: CancelScope


class ToolCalls:
    """The tools of one run. Thread-safe."""

    def __init__(self, tree: RunTree, tools: Iterable[Tool]) -> None:
        self._tree = tree
        self._gates = {each.name: _Gate(each) for each in tools}

    def functions(
        self, level: int, parent_id: int | None, scope: CancelScope
    ) -> dict[str, Callable[..., object]]:
        """The tools as host functions of one episode's session."""
        caller = _Caller(level, parent_id, scope)
        return {name: partial(self._call, name, caller) for name in self._gates}

    def _call(self, tool_name: str, caller: _Caller, /, *args: object, **kwargs: object) -> object:
        """Host function: one call. Raises ToolError, and what the function raises."""
        gate = self._gates[tool_name]
        asked = _shown_call(tool_name, args, kwargs)
        step = self._tree.recorder.begin(
            TraceStep(
                step_id=0,
                kind="tool",
                depth=caller.level,
                prompt_summary=cut(asked, self._tree.config.trace.prompt_chars),
                parent_id=caller.parent_id,
                tool=tool_name,
            )
        )
        started = time.monotonic()
        most = self._tree.config.trace.output_chars
        try:
            result = self._recorded_or_live(gate, args, kwargs, asked, caller)
        except Exception as error:
            said = cut(f"{type(error).__name__}: {error}", most)
            self._tree.recorder.add(step.but(error=said, elapsed=time.monotonic() - started))
            raise
        output = cut(repr(result), most)
        self._tree.recorder.add(step.but(output=output, elapsed=time.monotonic() - started))
        return result

    def _recorded_or_live(
        self,
        gate: _Gate,
        args: tuple[object, ...],
        kwargs: dict[str, object],
        asked: str,
        caller: _Caller,
    ) -> object:
        """What the tool gave when the run was recorded, or gives now, which is kept."""
        key = _key_of(asked)
        recorded = self._tree.playback.of_tool(key, f"the call {asked[:80]}")
        if recorded is not None:
            if recorded.error not in _NOT_COUNTED:
                gate.count()
            return _given(recorded)
        try:
            bound = gate.tool.bound(args, kwargs)
            gate.count()
            with gate.turns.passing(caller.scope):
                result = self._waited(gate.tool, bound, caller.scope)
            plain = gate.tool.plain(result)
        except Exception as error:
            if not caller.scope.cancelled:
                _keep_failure(self._tree, key, error)
            raise
        _keep(self._tree, key, plain)
        return plain

    def _waited(self, tool: Tool, bound: inspect.BoundArguments, scope: CancelScope) -> object:
        """The result, in time. Raises ToolTimeout, RunCancelled, and what the function raises."""
        call = _Call(tool, bound)
        THREADS.start(call)
        try:
            with scope.stopping(call.stop):
                return call.future.result(tool.limits.seconds)
        except CancelledError:
            scope.check()
            raise
        except FutureTimeout:
            if call.future.done():  # the function itself raised it
                raise
            call.stop()
            raise ToolTimeout(
                f"{tool.name} took longer than the {tool.limits.seconds:g} seconds that it may"
            ) from None


@dataclass(frozen=True)
class KeptFunction:
    """A plain function of the caller: what it gives is kept in the trace, for a replay."""

    tree: RunTree
    name: str
    function: Callable[..., object]

    def __call__(self, *args: object, **kwargs: object) -> object:
        """Host function: what it gave when the run was recorded, or gives now."""
        asked = _shown_call(self.name, args, kwargs)
        key = _key_of(asked)
        recorded = self.tree.playback.of_tool(key, f"the call {asked[:80]}")
        if recorded is not None:
            return _given(recorded)
        try:
            result = self.function(*args, **kwargs)
        except Exception as error:
            _keep_failure(self.tree, key, error)
            raise
        with suppress(ValueRefused):  # it cannot cross either: the code is told so
            _keep(self.tree, key, result)
        return result


class _Gate:
    """Counts the calls of one tool, and lets so many through at once as may be."""

    def __init__(self, tool: Tool) -> None:
        self.tool = tool
        self._lock = threading.Lock()
        self._calls = 0
        self.turns = Turns(tool.limits.concurrent)

    def count(self) -> None:
        """Take one call. Raises ToolLimit."""
        most = self.tool.limits.max_calls
        with self._lock:
            if most is not None and self._calls >= most:
                raise ToolLimit(f"{self.tool.name} may be called {most} times in a run, and was")
            self._calls += 1


class _Call:
    """A call that is made in another thread, so that it need not be waited for to its end."""

    def __init__(self, tool: Tool, bound: inspect.BoundArguments) -> None:
        self.future: Future[object] = Future()
        self._tool = tool
        self._bound = bound
        self._cancel: Callable[[], object] | None = None
        self._lock = threading.Lock()

    def __call__(self) -> None:
        """Make the call; nobody may be waiting for it any more."""
        try:
            result = self._awaited() if self._tool.is_async else self._called()
        except BaseException as error:  # noqa: BLE001 - raised again where it is waited for
            with suppress(InvalidStateError):  # nobody waits: the future was cancelled
                self.future.set_exception(error)
        else:
            with suppress(InvalidStateError):
                self.future.set_result(result)

    def stop(self) -> None:
        """Wait no longer; an async function is cancelled."""
        with self._lock:
            cancel = self._cancel
        self.future.cancel()
        if cancel is not None:
            cancel()

    def _called(self) -> object:
        return self._tool.function(*self._bound.args, **self._bound.kwargs)

    def _awaited(self) -> object:
        import asyncio

        return asyncio.run(self._as_task())

    async def _as_task(self) -> object:
        import asyncio

        loop, task = asyncio.get_running_loop(), asyncio.current_task()
        assert task is not None
        with self._lock:
            self._cancel = _Cancelling(loop, task)
        try:
            if self.future.cancelled():
                return None
            return await self._called()  # ty: ignore[invalid-await] - it is a coroutine function
        finally:
            with self._lock:
                self._cancel = None


@dataclass(frozen=True)
class _Cancelling:
    """Cancels a task from another thread."""

    loop: asyncio.AbstractEventLoop
    task: asyncio.Task[object]

    def __call__(self) -> None:
        with suppress(RuntimeError):  # the loop is closed: it has ended by itself
            self.loop.call_soon_threadsafe(self.task.cancel)


def _key_of(asked: str) -> str:
    return f"tool:{digest(asked)}"


def _keep(tree: RunTree, key: str, result: object) -> None:
    if tree.recorder.writes:
        tree.recorder.keep_result(key, values.encode(result))


def _keep_failure(tree: RunTree, key: str, error: Exception) -> None:
    failed = RecordedReply(str(error), error=type(error).__name__)
    tree.recorder.keep(failed.to_record(key))


def _given(recorded: RecordedReply) -> object:
    """What was recorded. Raises an exception of the recorded class's name."""
    if recorded.error is not None:
        raise failure(recorded.error, recorded.text)
    return values.decode(base64.b64decode(recorded.value or ""))


def _shown_call(name: str, args: tuple[object, ...], kwargs: dict[str, object]) -> str:
    given = [repr(each) for each in args]
    given += [f"{key}={value!r}" for key, value in kwargs.items()]
    return f"{name}({', '.join(given)})"
