from __future__ import annotations

import os
from io import StringIO

import pytest

from rlm_core.batch.pace import Progress
from rlm_core.batch.schedule import Why
from rlm_core.batch.summary import BatchSummary
from rlm_core.cli.batch_show import (
    LineShow,
    LogShow,
    RichShow,
    duration,
    in_words,
    show_for,
    table,
)
from rlm_core.cli.output import Output


class Terminal(StringIO):
    """Somebody looks on."""

    def isatty(self) -> bool:
        return True


def progress(**more: float) -> Progress:
    told: dict[str, float | None] = {
        "total": 2000,
        "done": 500,
        "failed": 3,
        "running": 8,
        "tokens": 12_345,
        "cost": 0.5,
        "rate": 2.5,
        "seconds": 200.0,
        "seconds_left": 600.0,
    }
    return Progress(**(told | more))  # ty: ignore[invalid-argument-type] - the values fit


def output(stream: StringIO, *, quiet: bool = False) -> Output:
    return Output(StringIO(), stream, {}, quiet=quiet)


def test_one_line_tells_how_it_goes() -> None:
    assert in_words(progress()) == (
        "500/2,000 done | 8 running | 3 failed | 12.3k tokens | cost 0.50 | 2.5/s | "
        "10 min 00 s left"
    )
    assert "30.0/min" in in_words(progress(rate=0.5))


@pytest.mark.parametrize(
    ("seconds", "told"), [(0.4, "0 s"), (59.7, "1 min 00 s"), (3725, "1 h 02 min")]
)
def test_times_are_told_as_people_say_them(seconds: float, told: str) -> None:
    assert duration(seconds) == told


def test_on_a_terminal_the_line_is_kept_up_to_date_and_taken_away() -> None:
    stream = Terminal()
    shown = LineShow(output(stream))
    shown(progress())
    shown(progress(done=501))
    shown.close()
    assert stream.getvalue().count("\r") == 4
    assert "501/2,000" in stream.getvalue()
    assert "\n" not in stream.getvalue()


def test_for_a_log_there_is_a_line_now_and_then() -> None:
    stream = StringIO()
    often, seldom = LogShow(output(stream), every=0.0), LogShow(output(stream), every=3600.0)
    seldom(progress())
    assert stream.getvalue() == ""
    often(progress())
    often(progress())
    assert stream.getvalue().count("rlm: 500/2,000 done") == 2
    often.close()


def test_what_is_shown_depends_on_who_looks_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "rich.progress", None)
    assert isinstance(show_for(output(Terminal()), quiet=False), LineShow)
    assert isinstance(show_for(output(StringIO()), quiet=False), LogShow)
    stream = StringIO()
    shown = show_for(output(stream, quiet=True), quiet=True)
    shown(progress())
    assert stream.getvalue() == ""


def test_rich_draws_a_bar_where_it_is_installed() -> None:
    bars = pytest.importorskip("rich.progress", reason="rich is not installed")
    consoles = pytest.importorskip("rich.console")
    read, write = os.pipe()
    with os.fdopen(write, "w") as stream:

        class Consoles:
            @staticmethod
            def Console(stderr: bool) -> object:  # noqa: N802 - rich's own name
                assert stderr
                return consoles.Console(file=stream, force_terminal=True, width=200)

        stderr = Terminal()
        told = output(stderr)
        shown = RichShow(told, bars, Consoles)
        shown(progress())
        told.notice("[bold]finishing[/bold]")
        shown.close()
        told.notice("ended")
    with os.fdopen(read) as drawn:
        seen = drawn.read()
    assert "500/2,000 done" in seen
    assert "rlm: [bold]finishing[/bold]" in seen  # above the bar, not into it
    assert "finishing" not in stderr.getvalue()
    assert "rlm: ended" in stderr.getvalue()


def test_the_end_is_a_table() -> None:
    summary = BatchSummary(
        why=Why.DONE,
        told="",
        total=10,
        statuses={"answered": 7, "failed": 2},
        without_answer=2,
        before=4,
        gone=0,
        skipped=((3, "no JSON"),),
        skipped_count=1,
        tokens=1234,
        cost=0.25,
        seconds=61.0,
    )
    rows = dict(line.rsplit("  ", 1) for line in table(summary).splitlines())
    told = {name.strip(): value.strip() for name, value in rows.items()}
    assert told["answered"] == "7"
    assert told["failed"] == "2"
    assert told["not yet run"] == "1"
    assert told["left out"] == "1"
    assert told["tokens"] == "1,234"
    assert told["time"] == "1 min 01 s"
