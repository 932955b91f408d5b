"""Makes what is in memory immortal, so that the forks of this process share its pages for good.

CPython counts references in the objects themselves: to use one is to write to its page, which a
fork then has to copy. From 3.12 on an object may be immortal (PEP 683): nobody counts its
references, and using it writes nothing. What else is in that word differs by version, so it is
done on those alone where it was seen to do no harm: on 3.14 workers die of it. A zygote's objects
live as long as it does in any case. With this a worker copies half as many pages, which is half of
its memory and a part of its start.
"""

from __future__ import annotations

import ctypes
import gc
import sys
from collections.abc import Iterable
from types import CodeType

VERSIONS = frozenset({(3, 12), (3, 13)})

_COUNT = 0xFFFFFFFF
"""The count of an immortal object: the lower half of its first word, in these versions."""

_ADDRESSES = 1 << 47
"""Bytes of address space that a process may use."""


def immortalize(*roots: object) -> int:
    """Make these objects immortal and all that they lead to, or every one that there is now.

    Returns how many it were: 0 where it cannot be done. Takes some 0.5 microseconds an object.
    """
    if not _counts_are_as_expected():
        return 0
    counts = _all_memory()
    made = 0
    left: list[object] = [*roots] if roots else [*_of_types(), *_tracked()]
    while left:
        fresh = []
        for each in left:
            place = id(each) >> 2
            if counts[place] != _COUNT:
                counts[place] = _COUNT
                fresh.append(each)
        made += len(fresh)
        left = gc.get_referents(*fresh)
        for each in fresh:
            if type(each) is CodeType:
                left += _of_code(each)
    return made


def _tracked() -> list[object]:
    """What the collector knows, also what was frozen: that, it does not list."""
    gc.unfreeze()
    try:
        return gc.get_objects()
    finally:
        gc.freeze()


def _of_types() -> Iterable[object]:
    """All types, and what is in them: the collector does not know those that are built in."""
    types: dict[type, None] = {object: None}
    left: list[type] = [object]
    while left:
        below = [each for each in type.__subclasses__(left.pop()) if each not in types]
        types |= dict.fromkeys(below)
        left += below
    for each in types:
        yield each
        yield from vars(each).keys()
        yield from vars(each).values()


def _of_code(code: CodeType) -> tuple[object, ...]:
    """What code refers to, which the collector does not know either."""
    names = (code.co_name, code.co_qualname, code.co_filename)
    return code.co_consts, code.co_names, code.co_linetable, code.co_exceptiontable, *names


def _all_memory() -> memoryview[int]:
    """This process's memory, from address 0, in words of four bytes."""
    return memoryview((ctypes.c_char * _ADDRESSES).from_address(0)).cast("B").cast("I")


def _counts_are_as_expected() -> bool:
    """Whether immortality is made like that here: tried with an object of our own."""
    if (
        sys.implementation.name != "cpython"
        or sys.version_info[:2] not in VERSIONS
        or sys.byteorder != "little"
        or sys.maxsize < _ADDRESSES
        or sys.abiflags  # "d", debug builds, and "t", without the lock, count otherwise
    ):
        return False
    probe = object()
    place, counts = id(probe) >> 2, _all_memory()
    if not 0 < counts[place] < 4:  # it depends on the version who counts as a holder of it
        return False
    counts[place] = _COUNT
    before = sys.getrefcount(probe)
    more = [probe] * 10
    return sys.getrefcount(probe) == before and len(more) == 10
