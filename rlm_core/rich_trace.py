"""Tells each step of a run while it goes on, to anything that prints."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Protocol

from rlm_core.visible import visible

if TYPE_CHECKING:
    from rlm_core.events import RLMEvent
    from rlm_core.trace import TraceStep


class Console(Protocol):
    """What `rich.console.Console` is, as far as it is needed here."""

    def print(self, text: str, /, *, markup: bool, emoji: bool) -> object:
        """Show a text; `markup` and `emoji` say whether "[red]" and ":smile:" in it are read."""
        ...


class RichTraceListener:
    """Prints steps as they end: `RLM(event_listener=RichTraceListener())`.

    `console` is a `rich` console or anything that prints as it does; None is standard error. Longer
    texts than `max_output_length` characters are cut. What a model or its code wrote is shown as it
    is: neither control characters nor the markup of `rich` in it do anything.
    """

    def __init__(self, console: Console | None = None, max_output_length: int = 2000) -> None:
        self._console = console
        self._longest = max_output_length

    def handle(self, event: RLMEvent) -> None:
        """Print what the event is about."""
        match event.kind:
            case "run_started":
                self._print(f"run: {event.query}")
            case "step_completed" if event.step is not None:
                self._print(self._told(event.step))
            case "run_finished":
                self._print(
                    f"answer ({event.total_steps} steps, {event.tokens_used} tokens, "
                    f"{event.elapsed or 0.0:.1f} s): {event.output}"
                )
            case _:
                pass

    def _told(self, step: TraceStep) -> str:
        lines = [f"{'  ' * step.depth}[{step.step_id}] {step.kind} ({step.elapsed or 0.0:.2f} s)"]
        for name in ("code", "output", "stdout", "error"):
            text: str | None = getattr(step, name)
            if text is not None and text and not (name == "code" and text == step.output):
                shown = text if len(text) <= self._longest else text[: self._longest] + "..."
                lines.append(f"{name}: {shown}")
        return "\n".join(lines)

    def _print(self, text: str) -> None:
        shown = visible(text)
        if self._console is None:
            sys.stderr.write(shown + "\n")
        else:
            self._console.print(shown, markup=False, emoji=False)
