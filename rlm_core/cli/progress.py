"""What a run is doing right now, for someone who waits at a terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rlm_core.cli.output import Output
    from rlm_core.events import RLMEvent


class Progress:
    """Listens to a run and keeps one line up to date: step, subcalls, tokens, seconds."""

    def __init__(self, output: Output) -> None:
        self._output = output
        self._steps = 1

    def handle(self, event: RLMEvent) -> None:
        """Show the counts of an event."""
        if event.kind == "run_finished":
            self._output.end_status()
            return
        ended = event.step if event.kind == "step_completed" else None
        if ended is not None and ended.kind == "repl_exec":
            self._steps += 1
        self._output.status(
            f"step {self._steps} | {event.total_subcalls or 0} subcalls | "
            f"{event.tokens_used or 0:,} tokens | {event.elapsed or 0.0:.1f} s"
        )
