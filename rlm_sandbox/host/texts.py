"""Texts on their way to another process: as files without a name, which are handed over open."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping

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

    The caller closes it. Raises ControllerExhausted.
    """
    descriptor, size = -1, 0
    try:
        descriptor = os.memfd_create("rlm-text", os.MFD_CLOEXEC)
        for start in range(0, len(text), PIECE_CHARS):
            piece = text[start : start + PIECE_CHARS].encode("utf-8", "surrogatepass")
            _write_all(descriptor, piece)
            size += len(piece)
    except BaseException as error:
        if descriptor >= 0:
            os.close(descriptor)
        if isinstance(error, OSError):
            raise ControllerExhausted(
                f"the text cannot be handed over ({error.strerror}); nothing has changed"
            ) from None
        raise
    return descriptor, size


def _write_all(descriptor: int, data: bytes) -> None:
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(descriptor, rest) :]
