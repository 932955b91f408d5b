"""Nothing that could steer a terminal is written; progress is for terminals, answers for pipes."""

from __future__ import annotations

import io
import json

from rlm_core.cli.output import Output


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def make(stderr: io.StringIO, **environment: str) -> tuple[Output, io.StringIO]:
    stdout = io.StringIO()
    return Output(stdout, stderr, environment, quiet=False), stdout


def test_the_answer_alone_goes_to_standard_output() -> None:
    output, stdout = make(io.StringIO())
    output.answer("forty\x1b[2J two\n\n")
    assert stdout.getvalue() == "forty\u241b[2J two\n"


def test_json_is_ascii_on_one_line() -> None:
    output, stdout = make(io.StringIO())
    output.json({"answer": "\x1b\u202e\u00e9\ud800"})
    assert stdout.getvalue().isascii()
    assert stdout.getvalue().count("\n") == 1
    assert json.loads(stdout.getvalue()) == {"answer": "\x1b\u202e\u00e9\ud800"}


def test_errors_are_one_line() -> None:
    stderr = io.StringIO()
    make(stderr)[0].error("bad\nthing\x1b")
    assert stderr.getvalue() == "rlm: bad thing\u241b\n"


def test_quiet_keeps_errors_and_drops_notices() -> None:
    stderr = io.StringIO()
    output = Output(io.StringIO(), stderr, {}, quiet=True)
    output.notice("by the way")
    output.error("no")
    assert stderr.getvalue() == "rlm: no\n"


def test_progress_is_for_terminals_only() -> None:
    pipe = io.StringIO()
    output, _ = make(pipe)
    assert not output.shows_progress
    output.status("step 1")
    assert pipe.getvalue() == ""
    assert make(Terminal())[0].shows_progress
    assert not make(Terminal(), TERM="dumb")[0].shows_progress
    assert not Output(io.StringIO(), Terminal(), {}, quiet=True).shows_progress


def test_progress_is_taken_away_before_anything_else_is_written() -> None:
    terminal = Terminal()
    output, _ = make(terminal, NO_COLOR="1")
    output.status("step 1 of many")
    output.status("step 2")
    output.error("gone")
    assert terminal.getvalue() == (
        "\rstep 1 of many" + "\rstep 2        " + "\r      \rrlm: gone\n"
    )


def test_no_color_means_not_one_escape() -> None:
    for no_color, coloured in (("1", False), ("", True)):
        terminal = Terminal()
        output, _ = make(terminal, NO_COLOR=no_color)
        output.status("step")
        output.notice("by the way")
        output.error("no")
        assert ("\x1b" in terminal.getvalue()) is coloured


def test_what_an_encoding_cannot_say_is_escaped_and_not_an_error() -> None:
    raw = io.BytesIO()
    stdout = io.TextIOWrapper(raw, encoding="ascii")
    Output(stdout, io.StringIO(), {}, quiet=False).answer("caf\u00e9")
    assert raw.getvalue() == b"caf\\xe9\n"


def test_who_draws_at_the_end_of_the_terminal_has_the_lines() -> None:
    stderr = Terminal()
    output, _ = make(stderr)
    drawn: list[str] = []
    output.give_lines_to(drawn.append)
    output.notice("by the\x1b way")
    assert (drawn, stderr.getvalue()) == (["rlm: by the\u241b way"], "")
    output.give_lines_to(None)
    output.error("no")
    assert "rlm: no" in stderr.getvalue()
    assert len(drawn) == 1
