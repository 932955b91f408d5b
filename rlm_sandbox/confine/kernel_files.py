"""Files in which the kernel tells something: small ones, read over and over."""

from __future__ import annotations

import os

_LARGEST = 16 * 1024


def told(path: str | os.PathLike[str]) -> bytes:
    """What such a file says now: a tenth of the time that it takes as a text. Raises OSError."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        return os.read(descriptor, _LARGEST)
    finally:
        os.close(descriptor)
