"""All that the command line writes. Nothing from a model or a worker reaches a terminal raw."""

from __future__ import annotations

import json
import os
import sys
from typing import TYPE_CHECKING, TextIO

from rlm_core.visible import visible, visible_line

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

NAME = "rlm"
_RED, _DIM, _PLAIN = "\x1b[31m", "\x1b[2m", "\x1b[0m"


class Output:
    """Standard output for answers, standard error for everything else."""

    def __init__(
        self, stdout: TextIO, stderr: TextIO, environment: Mapping[str, str], *, quiet: bool
    ) -> None:
        self._stdout, self._stderr = _tolerant(stdout), _tolerant(stderr)
        self._quiet = quiet
        dumb = environment.get("TERM") == "dumb"
        self._terminal = stderr.isatty() and not dumb
        self._colours = self._terminal and not bool(environment.get("NO_COLOR"))
        self._status_length = 0
        self._draws: Callable[[str], object] | None = None

    @property
    def shows_progress(self) -> bool:
        """True where somebody looks on: standard error is a terminal, and not --quiet."""
        return self._terminal and not self._quiet

    def answer(self, text: str) -> None:
        """The answer, alone on standard output."""
        self.end_status()
        self._stdout.write(visible(text).rstrip("\n") + "\n")
        self._stdout.flush()

    def json(self, value: object) -> None:
        """JSON on a line of standard output; it escapes whatever is not plain ASCII."""
        self.end_status()
        self._stdout.write(json.dumps(value, ensure_ascii=True) + "\n")
        self._stdout.flush()

    def notice(self, text: str) -> None:
        """A line for people, on standard error, unless --quiet."""
        if not self._quiet:
            self._line(text, _DIM)

    def error(self, text: str) -> None:
        """The one line that says what went wrong and what to do."""
        self._line(text, _RED)

    def block(self, text: str) -> None:
        """Several lines on standard error."""
        self.end_status()
        self._stderr.write(visible(text).rstrip("\n") + "\n")
        self._stderr.flush()

    def status(self, text: str) -> None:
        """The progress, in place; only on a terminal."""
        if not self.shows_progress:
            return
        text = visible_line(text)[: _columns() - 1]
        padding = " " * (self._status_length - len(text))
        self._stderr.write("\r" + self._coloured(text, _DIM) + padding)
        self._stderr.flush()
        self._status_length = len(text)

    def end_status(self) -> None:
        """Take the progress away, so that something else can be written."""
        if self._status_length:
            self._stderr.write("\r" + " " * self._status_length + "\r")
            self._stderr.flush()
            self._status_length = 0

    def give_lines_to(self, draws: Callable[[str], object] | None) -> None:
        """To whoever draws at the end of the terminal: he has them above what he draws.

        None: nobody draws there any more.
        """
        self._draws = draws

    def _line(self, text: str, colour: str) -> None:
        line = f"{NAME}: {visible_line(text)}"
        if self._draws is not None:
            self._draws(line)
            return
        self.end_status()
        self._stderr.write(self._coloured(line, colour) + "\n")
        self._stderr.flush()

    def _coloured(self, text: str, colour: str) -> str:
        return f"{colour}{text}{_PLAIN}" if self._colours else text


def silence_broken_pipes() -> None:
    """Nobody reads any more: let the interpreter's last flush go nowhere."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)


def _tolerant(stream: TextIO) -> TextIO:
    """A stream that escapes what its encoding cannot say, and does not fail."""
    reconfigure: object = getattr(stream, "reconfigure", None)
    if callable(reconfigure):
        reconfigure(errors="backslashreplace")
    return stream


def _columns() -> int:
    try:
        return os.get_terminal_size(sys.stderr.fileno()).columns or 80
    except (OSError, ValueError):
        return 80
