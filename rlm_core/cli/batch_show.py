"""What a batch looks like while it runs, and when it has ended."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from rlm_core.batch.pace import Progress
    from rlm_core.batch.summary import BatchSummary
    from rlm_core.cli.output import Output

LOG_SECONDS = 60.0
LONGEST_WORDS = 90
"""Columns that the words of the progress need; what a terminal has more is for the bar."""


class Show(Protocol):
    """Somebody is told how it goes."""

    def __call__(self, progress: Progress) -> None:
        """The state of the batch, a few times a second."""
        ...

    def close(self) -> None:
        """Nothing more is to be shown."""
        ...


def show_for(output: Output, *, quiet: bool) -> Show:
    """On a terminal a line that is kept up to date (by rich, if it is there), else one a minute."""
    if not output.shows_progress:
        return LogShow(output, every=float("inf") if quiet else LOG_SECONDS)
    try:
        from importlib import import_module

        return RichShow(output, import_module("rich.progress"), import_module("rich.console"))
    except ImportError:
        return LineShow(output)


class LineShow:
    """One line, in place."""

    def __init__(self, output: Output) -> None:
        self._output = output

    def __call__(self, progress: Progress) -> None:
        """Replace the line."""
        self._output.status(in_words(progress))

    def close(self) -> None:
        """Take the line away."""
        self._output.end_status()


class LogShow:
    """A line now and then, for logs."""

    def __init__(self, output: Output, *, every: float) -> None:
        self._output = output
        self._every = every
        self._next = time.monotonic() + every

    def __call__(self, progress: Progress) -> None:
        """Say it, if it is time."""
        now = time.monotonic()
        if now >= self._next:
            self._next = now + self._every
            self._output.notice(in_words(progress))

    def close(self) -> None:
        """There is nothing to take away."""


class RichShow:
    """A bar by rich, with the same words."""

    def __init__(self, output: Output, bars: Any, consoles: Any) -> None:
        self._output = output
        console = consoles.Console(stderr=True)
        room = max(4, min(40, console.width - LONGEST_WORDS))
        self._bar: Any = bars.Progress(
            bars.TextColumn("{task.description}", markup=False),
            bars.BarColumn(bar_width=room),
            console=console,
            transient=True,
        )
        self._task: Any = self._bar.add_task("", total=None)
        self._bar.start()
        output.give_lines_to(self._above)

    def __call__(self, progress: Progress) -> None:
        """Move the bar."""
        self._bar.update(
            self._task,
            total=progress.total,
            completed=progress.done,
            description=in_words(progress),
        )

    def close(self) -> None:
        """Take the bar away."""
        self._output.give_lines_to(None)
        self._bar.stop()

    def _above(self, line: str) -> None:
        self._bar.console.print(line, style="dim", markup=False, highlight=False, soft_wrap=True)


def in_words(progress: Progress) -> str:
    """The state of a batch in one line."""
    parts = [
        f"{progress.done:,}/{progress.total:,} done",
        f"{progress.running} running",
        f"{progress.failed:,} failed",
        f"{_short(progress.tokens)} tokens",
        f"cost {progress.cost:,.2f}",
        f"{progress.rate:,.1f}/s" if progress.rate >= 1 else f"{progress.rate * 60:,.1f}/min",
    ]
    if progress.seconds_left is not None:
        parts.append(f"{duration(progress.seconds_left)} left")
    return " | ".join(parts)


def _short(count: int) -> str:
    """A count in three or four figures."""
    for size, unit in ((1_000_000_000, "G"), (1_000_000, "M"), (1_000, "k")):
        if count >= size:
            return f"{count / size:.1f}{unit}"
    return str(count)


def table(summary: BatchSummary) -> str:
    """How it ended, a line for each figure."""
    rows = [("tasks", f"{summary.total:,}")]
    rows += [(status, f"{count:,}") for status, count in sorted(summary.statuses.items())]
    rows += [
        ("not yet run", f"{max(0, summary.total - summary.done):,}"),
        ("done before", f"{summary.before:,}"),
        ("left out", f"{summary.skipped_count:,}"),
        ("tokens", f"{summary.tokens:,}"),
        ("cost", f"{summary.cost:,.4f}"),
        ("time", duration(summary.seconds)),
    ]
    wide = max(len(name) for name, _ in rows)
    most = max(len(value) for _, value in rows)
    return "\n".join(f"  {name:<{wide}}  {value:>{most}}" for name, value in rows)


def duration(seconds: float) -> str:
    """Seconds as people say them."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    minutes, rest = divmod(whole, 60)
    if minutes < 60:
        return f"{minutes} min {rest:02} s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02} min"
