"""Texts on their way to another process: as files without a name, which are handed over open."""

from __future__ import annotations

import errno
import fcntl
import os
import stat
from collections.abc import Iterator, Mapping
from pathlib import Path

from rlm_sandbox.errors import ControllerExhausted

PIECE_CHARS = 128 * 1024
"""A text is encoded in pieces that fit a processor's cache: all at once it would be there twice."""


class Texts:
    """Texts by name that a zygote holds for all its workers. Two of them are never equal."""

    def __init__(self, texts: Mapping[str, str]) -> None:
        self._texts = dict(texts)

    def items(self) -> Iterator[tuple[str, str]]:
        """Names and texts."""
        return iter(self._texts.items())

    def get(self, name: str) -> str | None:
        """The very text of this name, if there is one."""
        return self._texts.get(name)


def file_of(text: str) -> tuple[int, int]:
    """A descriptor of a file in memory that holds the text as UTF-8, and its size in bytes.

    The caller takes it back. Raises ControllerExhausted.
    """
    descriptor, size = -1, 0
    try:
        descriptor = _file_in_memory()
        for start in range(0, len(text), PIECE_CHARS):
            piece = text[start : start + PIECE_CHARS].encode("utf-8", "surrogatepass")
            _write_all(descriptor, piece)
            size += len(piece)
        _fix_size(descriptor)
    except BaseException as error:
        if descriptor >= 0:
            os.close(descriptor)
        if isinstance(error, OSError):
            raise _exhausted(error) from None
        raise
    return descriptor, size


def opened(path: Path) -> tuple[int, int]:
    """A descriptor to read a file with, and its size in bytes. The caller closes it.

    Raises OSError.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)  # no wait for a pipe
    told = os.fstat(descriptor)
    if not stat.S_ISREG(told.st_mode):
        os.close(descriptor)
        raise OSError(errno.EINVAL, "not a regular file", str(path))
    return descriptor, told.st_size


def copied(source: int, size: int) -> tuple[int, int]:
    """A file in memory with the same content, and its size; `source` is closed in any case.

    The kernel copies. Raises ControllerExhausted.
    """
    descriptor, done = -1, 0
    try:
        descriptor = _file_in_memory()
        while done < size and (sent := os.sendfile(descriptor, source, done, size - done)):
            done += sent
        _fix_size(descriptor)
    except OSError as error:
        if descriptor >= 0:
            os.close(descriptor)
        raise _exhausted(error) from None
    finally:
        os.close(source)
    return descriptor, done


def take_back(descriptor: int) -> None:
    """Close a file in memory and free what it holds, whoever has kept it open."""
    try:
        os.ftruncate(descriptor, 0)
    finally:
        os.close(descriptor)


def _file_in_memory() -> int:
    return os.memfd_create("rlm-text", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)


def _fix_size(descriptor: int) -> None:
    """Whoever has it cannot make it larger: its memory counts as nobody's."""
    fcntl.fcntl(descriptor, fcntl.F_ADD_SEALS, fcntl.F_SEAL_GROW | fcntl.F_SEAL_SEAL)


def _exhausted(error: OSError) -> ControllerExhausted:
    return ControllerExhausted(
        f"the text cannot be handed over ({error.strerror}); nothing has changed"
    )


def _write_all(descriptor: int, data: bytes) -> None:
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(descriptor, rest) :]
