"""Commands read the same texts in the same way."""

from __future__ import annotations

import io
from pathlib import Path

import pytest

from rlm_core.cli.settings import UsageError
from rlm_core.cli.texts import read_texts, read_texts_of
from rlm_core.errors import ContextError
from rlm_core.recording import Recording
from rlm_core.trace import Trace
from tests.rlm_core.cli.test_output import make


def test_files_are_read_and_empty_ones_refused(tmp_path: Path) -> None:
    output, _ = make(io.StringIO())
    (tmp_path / "a.txt").write_text("text")
    (tmp_path / "empty.txt").write_text(" \n")
    assert read_texts([str(tmp_path / "a.txt")], output).text == "text"
    with pytest.raises(ContextError, match="no text in it"):
        read_texts([str(tmp_path / "empty.txt")], output)
    with pytest.raises(UsageError, match="cannot be mixed"):
        read_texts(["-", "a.txt"], output)


def test_the_text_of_a_trace_is_where_it_was_unless_another_place_is_named(tmp_path: Path) -> None:
    output, _ = make(io.StringIO())
    (tmp_path / "a.txt").write_text("then")
    (tmp_path / "b.txt").write_text("moved")
    recording = Recording({"context": {"paths": [str(tmp_path / "a.txt")]}}, {}, Trace([]))
    assert read_texts_of(recording, [], output).text == "then"
    assert read_texts_of(recording, [str(tmp_path / "b.txt")], output).text == "moved"
