"""The text that a command is about: files, directories, standard input."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from rlm_core.cli.settings import UsageError
from rlm_core.context import Context
from rlm_core.documents import read_paths
from rlm_core.errors import ContextError
from rlm_core.files import decode

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rlm_core.cli.output import Output
    from rlm_core.recording import Recording

STDIN = "-"
STDIN_NAME = "standard input"


def read_texts(paths: Sequence[str], output: Output) -> Context:
    """The text to ask about. Raises ContextError."""
    if not paths or list(paths) == [STDIN]:
        context = _read_stdin(output)
    elif STDIN in paths:
        raise UsageError("'-' (standard input) cannot be mixed with other paths")
    else:
        reading = read_paths(list(paths))
        context = reading.context
        if reading.skipped:
            files = "file is" if len(reading.skipped) == 1 else "files are"
            output.notice(f"{len(reading.skipped)} {files} no UTF-8 text and left out")
    if not context.text.strip():
        where = ", ".join(paths) or "standard input"
        raise ContextError(f"{where}: there is no text in it; name a file that has some")
    return context


def _read_stdin(output: Output) -> Context:
    if sys.stdin is None:
        raise ContextError("standard input is closed: name a file, or pipe a text in")
    if sys.stdin.isatty():
        output.notice("reading the text from the terminal; end it with Ctrl-D on a line of its own")
    text = decode(sys.stdin.buffer.read(), STDIN_NAME)
    return Context(text, (text,), paths=(STDIN_NAME,))


def read_texts_of(recording: Recording, paths: Sequence[str], output: Output) -> Context:
    """The text of a trace: at the paths given, else where it was. Raises ContextError."""
    recorded = recording.header.get("context")
    known = recorded.get("paths") if isinstance(recorded, dict) else None
    if not paths and isinstance(known, list) and known and known != [STDIN_NAME]:
        paths = [str(path) for path in known]
    return read_texts(paths, output)
