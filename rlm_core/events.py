"""What a run tells while it goes on: pass a listener as `RLM(event_listener=...)`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Protocol

if TYPE_CHECKING:
    from rlm_core.trace import TraceStep


@dataclass(frozen=True)
class RLMEvent:
    """A run began, a step began or ended, or the run finished. Times are seconds.

    `total_steps`, `total_subcalls` and `tokens_used` count up to the moment of the event. The step
    of "step_started" has the number that its "step_completed" will have, and what is known by
    then; a step that was refused or cancelled is completed with an `error`.
    """

    kind: Literal["run_started", "step_started", "step_completed", "run_finished"]
    query: str | None = None
    step: TraceStep | None = None
    context_metadata: dict[str, object] | None = None
    repl_backend: str | None = None
    output: str | None = None
    total_steps: int | None = None
    tokens_used: int | None = None
    elapsed: float | None = None
    total_subcalls: int | None = None
    isolation: str | None = None


class RLMEventListener(Protocol):
    """Receives events in the thread in which they happen; one at a time."""

    def handle(self, event: RLMEvent) -> None:
        """Take note of an event. An exception raised here ends the run."""
        ...
