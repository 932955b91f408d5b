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

    def print(self, text: str, /) -> None:
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
