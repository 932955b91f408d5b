"""Where every step of a run goes: its trace, its trace file and its listener. Thread-safe."""

from __future__ import annotations

import base64
import threading
import time
from dataclasses import replace
from typing import TYPE_CHECKING, TypeVar

from rlm_core.events import RLMEvent
from rlm_core.recording import RecordedReply
from rlm_core.trace import Trace

if TYPE_CHECKING:
    from collections.abc import Callable

    from rlm_core.events import RLMEventListener
    from rlm_core.ledger import Ledger
    from rlm_core.trace import TraceStep
    from rlm_core.trace_file import TraceFile

T = TypeVar("T")

_KIND_BELOW = {
    "root_call": "sub_root_call",
    "repl_exec": "sub_repl_exec",
    "subcall": "sub_subcall",
}


class Recorder:
    """The one place where steps get their number, and are told and written."""

    def __init__(
        self, ledger: Ledger, listener: RLMEventListener | None, file: TraceFile | None
    ) -> None:
        self.trace = Trace([])
        self.isolation = "none"
        self._ledger = ledger
        self._listener = listener
        self._file = file
        self._lock = threading.RLock()  # a listener may look at the trace
        self._last_id = 0  # numbers are given as steps begin
        self._last_group = 0
        self._started = time.monotonic()
        self._failure: BaseException | None = None

    def begin(self, step: TraceStep, *, level: int = 0) -> TraceStep:
        """Give a step its number and tell that it has begun; `add` it when it has ended.

        A step of a sub-episode (`level` above 0) gets its kind there.
        """
        with self._lock:
            self._last_id += 1
            kind = _KIND_BELOW.get(step.kind, step.kind) if level else step.kind
            step = step.but(step_id=self._last_id, kind=kind)
            if self._listener is not None:
                self.tell(RLMEvent("step_started", step=step))
            return step

    def next_group(self) -> str:
        """A name for a batch."""
        with self._lock:
            self._last_group += 1
            return f"parallel-{self._last_group}"

    def add(self, step: TraceStep) -> None:
        """Record a step that has ended."""
        with self._lock:
            self.trace.add(step)
            if self._file is not None:
                self._write(self._file.write, step)
            if self._listener is not None:
                self.tell(RLMEvent("step_completed", step=step))

    @property
    def listens(self) -> bool:
        """Whether anybody is told of what happens."""
        return self._listener is not None

    @property
    def writes(self) -> bool:
        """Whether there is a trace file."""
        return self._file is not None

    def keep(self, record: dict[str, object]) -> None:
        """Write something else into the trace file, if there is one."""
        if self._file is not None:
            self._write(self._file.record, record)

    def keep_result(self, key: str, encoded: bytes) -> None:
        """Write what a function gave into the trace file, unless it holds a secret."""
        if self._file is not None:
            hidden = self._file.hides(encoded)
            value = None if hidden else base64.b64encode(encoded).decode()
            self.keep(RecordedReply(value=value, left_out=hidden).to_record(key))

    def tell(self, event: RLMEvent) -> None:
        """Hand an event to the listener, with the counts of this moment."""
        if self._listener is None:
            return
        try:
            self._hand_over(self._listener, event)
        except BaseException as error:
            self._failure = error
            raise

    def _write(self, write: Callable[[T], object], what: T) -> None:
        """A file that cannot be written ends the run, at its next check: not what is under way,
        which is paid for, and of which the code would be told as a failure.
        """
        if self._failure is None:
            try:
                write(what)
            except OSError as error:
                self._failure = error

    def check(self) -> None:
        """Raise what the listener raised while the code waited for a subcall, or the trace file.

        There it became an exception in the code, which may have caught it.
        """
        if self._failure is not None:
            raise self._failure

    def _hand_over(self, listener: RLMEventListener, event: RLMEvent) -> None:
        used = self._ledger.used()
        with self._lock:
            listener.handle(
                replace(
                    event,
                    repl_backend="python",
                    isolation=self.isolation,
                    total_steps=len(self.trace.steps),
                    total_subcalls=used.subcalls,
                    tokens_used=used.tokens,
                    elapsed=time.monotonic() - self._started,
                )
            )
