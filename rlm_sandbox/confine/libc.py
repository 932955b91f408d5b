"""The C library's functions that `os` lacks, with errors raised as OSError."""

from __future__ import annotations

import ctypes
import os

_libc = ctypes.CDLL(None, use_errno=True)


def prctl(option: int, argument: int = 0) -> int:
    """prctl(2) with one argument. Raises OSError."""
    unsigned = ctypes.c_ulong
    result = _libc.prctl(option, unsigned(argument), unsigned(0), unsigned(0), unsigned(0))
    if result < 0:
        error = ctypes.get_errno()
        raise OSError(error, f"prctl({option}, {argument}): {os.strerror(error)}")
    return result
