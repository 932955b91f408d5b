"""A trace as text for people: one line a step, and tables of results; fit for a terminal."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rlm_core.visible import visible

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rlm_core.routes import RouterResult
    from rlm_core.trace import Trace, TraceStep

_SEARCH = re.compile(r"re\.(?:search|findall|finditer|match)\s*\(\s*r?[\"']([^\"']+)[\"']")
_AFTER = re.compile(r"extract_after\s*\(\s*[\"']([^\"']+)[\"']")
_FINAL = re.compile(r"FINAL(?:_VAR)?\s*[:(]\s*[\"']?(\w+)")
_SUBCALL = re.compile(r"\b(llm_\w+|ask(?:_\w+)?|subcall)\s*\(")
_LOOK = re.compile(r"\b(peek|tail)\s*\(")
_LONGEST_DETAIL = 30
_LONGEST_OUTPUT = 80
HEADERS = ("chars", "method", "profile", "tokens", "time", "output")


@dataclass(frozen=True)
class TraceFormatter:
    """Writes traces and results as plain text."""

    verbose: bool = False
    """Show the whole code of each step, and not what it is about."""
    max_code_width: int = 60
    show_timing: bool = True

    def format(self, trace: Trace, title: str | None = None) -> str:
        """A line a step (steps of recursive subcalls indented), and a summary."""
        heading = [f"=== {title} ===", ""] if bool(title) else []
        in_order = sorted(trace.steps, key=_number)  # as they began, what they did below them
        steps = [self._step(step) for step in in_order]
        return visible("\n".join([*heading, *steps, "", _summary(trace)]))

    def format_table(
        self, results: Sequence[RouterResult], headers: Sequence[str] | None = None
    ) -> str:
        """Results as a table with the columns of `HEADERS`."""
        if not results:
            return "No results."
        rows = [list(headers or HEADERS), *(self._row(result) for result in results)]
        widths = [max(len(row[column]) for row in rows) for column in range(len(HEADERS))]
        lines = [
            " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True))
            for row in rows
        ]
        return "\n".join([lines[0], "-" * len(lines[0]), *lines[1:]])

    def format_comparison(self, baseline_result: RouterResult, rlm_result: RouterResult) -> str:
        """Two results of one question, and what the second saved or cost."""
        saved = baseline_result.tokens_used - rlm_result.tokens_used
        verb = "fewer" if saved >= 0 else "more"
        return "\n".join(
            [
                "BASELINE vs RLM",
                f"Context: {baseline_result.context_chars:,} chars",
                "",
                *self._result("BASELINE", baseline_result),
                *self._result("RLM", rlm_result),
                f"The RLM used {abs(saved):,} {verb} tokens.",
            ]
        )

    def _step(self, step: TraceStep) -> str:
        notes = [f"{'  ' * step.depth}[{step.step_id}] {step.kind}"]
        if step.depth:
            notes.append(f"depth={step.depth}")
        if step.cache_hit:
            notes.append("(cached)")
        if step.error is not None:
            notes.append("(error)")
        about = self._about(step)
        if about:
            notes.append(f"-> {about}")
        if step.usage is not None:
            notes.append(f"[{step.usage.total_tokens} tok]")
        if self.show_timing and step.elapsed is not None:
            notes.append(f"{step.elapsed:.2f}s")
        return " ".join(notes)

    def _about(self, step: TraceStep) -> str:
        if step.code is not None:
            return step.code if self.verbose else self._strategy(step.code)
        return _cut(step.prompt_summary or "", 50)

    def _strategy(self, code: str) -> str:
        """What a piece of code is about, in a few words."""
        if match := _SEARCH.search(code):
            return f"regex: {_cut(match[1], _LONGEST_DETAIL)}"
        if match := _AFTER.search(code):
            return f"extract_after('{_cut(match[1], _LONGEST_DETAIL)}')"
        if match := _SUBCALL.search(code):
            return f"subcall: {match[1]}"
        if match := _FINAL.search(code):
            return f"FINAL -> {match[1]}"
        if match := _LOOK.search(code):
            return f"{match[1]}()"
        lines = [line for line in code.strip().split("\n") if not line.startswith("```")]
        return _cut(lines[0] if lines else "", self.max_code_width)

    def _row(self, result: RouterResult) -> list[str]:
        return [
            f"{result.context_chars:,}",
            result.method,
            result.profile.value,
            str(result.tokens_used),
            _seconds(result),
            _cut(result.output, _LONGEST_DETAIL),
        ]

    def _result(self, name: str, result: RouterResult) -> list[str]:
        lines = [f"{name}:", f"  Output: {_cut(result.output, _LONGEST_OUTPUT)}"]
        lines.append(f"  Tokens: {result.tokens_used:,}")
        if self.show_timing:
            lines.append(f"  Time: {_seconds(result)}")
        return [*lines, ""]


def _summary(trace: Trace) -> str:
    kinds = Counter(step.kind for step in trace.steps)
    parts = [f"{len(trace.steps)} steps", f"{trace.total_tokens()} tokens"]
    parts += [f"{count} {kind}" for kind, count in sorted(kinds.items())]
    cached = sum(step.cache_hit for step in trace.steps)
    failed = sum(step.error is not None for step in trace.steps)
    parts += [f"{cached} cached"] * bool(cached) + [f"{failed} errors"] * bool(failed)
    return "Summary: " + ", ".join(parts)


def _number(step: TraceStep) -> int:
    return step.step_id


def _seconds(result: RouterResult) -> str:
    return "-" if result.elapsed is None else f"{result.elapsed:.2f}s"


def _cut(text: str, limit: int) -> str:
    line = " ".join(text.split())
    return visible(line if len(line) <= limit else line[:limit] + "...")
