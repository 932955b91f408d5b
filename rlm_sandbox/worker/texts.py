"""Texts that came by descriptor, and those that the zygote holds for all its workers."""

from __future__ import annotations

import mmap
import os

HELD: dict[str, str] = {}
"""By name. Filled in the zygote; whoever is forked from it has them without a copy."""


def read_text(descriptor: int, size: int) -> str:
    """Decode a file of UTF-8 once, straight from its pages; the descriptor is closed."""
    try:
        if size == 0:
            return ""
        with mmap.mmap(descriptor, size, prot=mmap.PROT_READ) as pages:
            return str(pages, "utf-8", "surrogatepass")
    finally:
        os.close(descriptor)
