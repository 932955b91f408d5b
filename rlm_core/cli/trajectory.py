"""A run told step by step, for SHOW_TRAJECTORY."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rlm_core.trace import Trace, TraceStep

_TEXTS = ("output", "code", "stdout", "error")
_SHOWN = 2_000  # characters of each text


def trajectory(trace: Trace) -> str:
    """Every step with its texts, children indented below their parent."""
    return "\n".join(map(_told, sorted(trace.steps, key=_number)))


def _number(step: TraceStep) -> int:
    """Steps are told as they began, so that children come after their parent."""
    return step.step_id


def _told(step: TraceStep) -> str:
    tokens = f", {step.usage.total_tokens} tokens" if step.usage else ""
    cached = ", from the cache" if step.cache_hit else ""
    head = f"-- {step.step_id} {step.kind} ({step.elapsed or 0.0:.2f} s{tokens}{cached})"
    lines = [head]
    for name in _TEXTS:
        text: str | None = getattr(step, name)
        if text is not None and text and not (name == "code" and step.kind != "repl_exec"):
            lines += [f"{name}:", *(f"  {line}" for line in text[:_SHOWN].splitlines())]
    return "\n".join("  " * step.depth + line for line in lines)
