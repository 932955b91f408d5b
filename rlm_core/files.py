"""The texts in files and directories: decoded once, and nothing guessed."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from rlm_core.errors import ContextError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

BINARY_PROBE_BYTES = 8192  # a NUL this early is what git, too, takes for a binary file


@dataclass(frozen=True)
class Files:
    """Texts with the names of their files, in order."""

    names: tuple[str, ...]
    texts: tuple[str, ...]
    alone: bool
    """Whether one file was named, and nothing else."""
    skipped: tuple[str, ...] = ()
    """Files of the directories that were left out because they are no text."""


def read_files(paths: object) -> Files:
    """Read files, and directories with all below them (hidden entries left out).

    `paths` is a path or a sequence of them. Raises ContextError for a path that is missing,
    binary or not UTF-8, and where no text is found at all.
    """
    named = [Path(path) for path in _as_sequence(paths)]
    if not named:
        raise ContextError("no path was given: name at least one file or directory")
    if len(named) == 1 and not named[0].is_dir():
        return Files((str(named[0]),), (read_file(named[0]),), alone=True)
    found = [each for path in named for each in _texts_of(path)]
    skipped = tuple(name for name, text in found if text is None)
    return Files(
        tuple(name for name, text in found if text is not None),
        tuple(text for _, text in found if text is not None),
        alone=False,
        skipped=skipped,
    )


def read_file(path: Path) -> str:
    """The text of one file. Raises ContextError that says what is wrong with it."""
    try:
        if not path.is_file():
            raise ContextError(f"{path}: {_what_it_is(path)}")
        with path.open("rb") as file:
            head = file.read(BINARY_PROBE_BYTES)
            _refuse_binary(head, str(path))  # before the rest of it is read
            data = head + file.read()
    except OSError as error:
        raise ContextError(f"{path}: cannot be read: {error.strerror}") from error
    return decode(data, str(path))


def decode(data: bytes, name: str) -> str:
    """UTF-8 bytes as text, without a byte order mark; `name` is for the ContextError."""
    _refuse_binary(data[:BINARY_PROBE_BYTES], name)
    try:
        return data.decode().removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        raise ContextError(
            f"{name}: not UTF-8 (byte 0x{data[error.start]:02x} at offset {error.start}); convert "
            "it first, for example: iconv -f LATIN1 -t UTF-8"
        ) from error


def _refuse_binary(head: bytes, name: str) -> None:
    if b"\0" in head:
        raise ContextError(f"{name}: a binary file; convert it to text first")


def _as_sequence(paths: object) -> Sequence[str | os.PathLike[str]]:
    if isinstance(paths, str | os.PathLike):
        return [paths]
    if not isinstance(paths, list | tuple):
        raise TypeError(f"paths must be a path or a list of paths, not {type(paths).__name__}")
    return paths


def _what_it_is(path: Path) -> str:
    if not path.exists():
        return "no such file or directory; check the path"
    if path.is_dir():
        return "a directory where a file is needed"
    return "not a regular file; save its content in a file, or pipe it in"


def _texts_of(path: Path) -> Iterator[tuple[str, str | None]]:
    """(name, text) of a file or of all files of a directory; None for what is no text."""
    if not path.is_dir():
        yield str(path), read_file(path)
        return
    found = False
    for file in _files_below(path):
        try:
            text = read_file(file)
        except ContextError:
            yield str(file), None
            continue
        found = True
        yield str(file), text
    if not found:
        raise ContextError(f"{path}: no text file in this directory")


def _files_below(directory: Path) -> Iterator[Path]:
    for root, folders, names in os.walk(directory):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(names):
            if not name.startswith("."):
                yield Path(root, name)
