from __future__ import annotations

import os
from pathlib import Path

import pytest

from rlm_core.context import Context
from rlm_core.errors import ContextError
from rlm_core.files import decode, read_files


def test_one_file_is_one_text_that_knows_its_path(tmp_path: Path) -> None:
    file = tmp_path / "a.txt"
    file.write_text("hello")
    context = Context.from_paths([file])
    assert (context.text, context.context_type, context.paths) == ("hello", "string", (str(file),))


def test_a_directory_is_a_list_of_documents_in_order_with_paths(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "b.txt").write_text("second")
    (tmp_path / "a.txt").write_text("first")
    (tmp_path / "sub" / "c.txt").write_text("third")
    (tmp_path / ".hidden").write_text("no")
    context = Context.from_paths(tmp_path)
    assert context.context_type == "document_list"
    assert list(context.documents) == ["first", "second", "third"]
    assert [Path(path).name for path in context.paths] == ["a.txt", "b.txt", "c.txt"]
    assert context.text.count("first") == 1


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ContextError, match=r"nowhere\.txt: no such file"):
        Context.from_paths([tmp_path / "nowhere.txt"])


def test_a_binary_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.bin").write_bytes(b"ab\0cd")
    with pytest.raises(ContextError, match="binary"):
        Context.from_paths([tmp_path / "a.bin"])


def test_bad_utf8_is_refused_with_its_offset() -> None:
    with pytest.raises(ContextError, match="0xff at offset 3"):
        decode(b"abc\xff", "x")


def test_an_empty_directory_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ContextError, match="no text file"):
        Context.from_paths([tmp_path])


def test_no_path_at_all_is_refused() -> None:
    with pytest.raises(ContextError, match="at least one"):
        Context.from_paths([])


def test_a_number_is_no_path() -> None:
    with pytest.raises(TypeError, match="list of paths"):
        read_files(5)


def test_a_named_pipe_is_refused_and_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(ContextError, match="not a regular file"):
        Context.from_paths([tmp_path / "pipe"])


def test_a_byte_order_mark_is_no_part_of_the_text() -> None:
    assert decode(b"\xef\xbb\xbfhi", "x") == "hi"
