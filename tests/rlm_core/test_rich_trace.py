from __future__ import annotations

from pathlib import Path

import pytest

from rlm_core.context import Context
from rlm_core.rich_trace import RichTraceListener
from rlm_core.rlm import RLM
from tests.rlm_core.models import Scripted

TEXT = Context.from_text("text")


class Printing:
    """A console that keeps what it is told to print."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def print(self, text: str, /, *, markup: bool, emoji: bool) -> None:
        assert not markup
        assert not emoji
        self.lines.append(text)


def test_every_step_is_printed_once_it_has_ended_and_cut(tmp_path: Path) -> None:
    console = Printing()
    listener = RichTraceListener(console, max_output_length=10)
    model = Scripted("print('x' * 50)", "FINAL: done")
    RLM(model, cache_dir=tmp_path, event_listener=listener).run("Why?", TEXT)
    assert [line.split(" (")[0] for line in console.lines] == [
        "run: Why?",
        "[1] root_call",
        "[2] repl_exec",
        "[3] root_call",
        "answer",
    ]
    assert "stdout: xxxxxxxxxx..." in console.lines[2]
    assert console.lines[-1].endswith("done")


def test_without_a_console_it_is_standard_error(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = Scripted("FINAL: done")
    RLM(model, cache_dir=tmp_path, event_listener=RichTraceListener()).run("Why?", TEXT)
    assert "run: Why?" in capsys.readouterr().err


def test_what_a_model_says_cannot_steer_the_terminal(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = Scripted("print('\x1b]0;owned\x07[red]x')", "FINAL: [red]\x1b[2Jdone")
    RLM(model, cache_dir=tmp_path, event_listener=RichTraceListener()).run("Why?", TEXT)
    told = capsys.readouterr().err
    assert "[red]x" in told
    assert "[red]\u241b[2Jdone" in told
    assert "\x1b" not in told
    assert "\x07" not in told
