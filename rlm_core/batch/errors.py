"""What can go wrong with a batch as a whole; what goes wrong with one task is in its line.

BatchError (RLMError)
├── BadInput         lines of the input are no tasks: names them, before money is spent
├── OutputInUse      another batch is writing to this file
├── OutputForeign    the file holds something else than results: it is left as it is
└── OutputUnwritable the disk is full, or the file cannot be written: start again afterwards
"""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING

from rlm_core.errors import RLMError

if TYPE_CHECKING:
    from collections.abc import Sequence

MOST_SHOWN = 20


class BatchError(RLMError):
    """Root of what stops a batch before, or instead of, its tasks."""


class BadLine(BatchError, ValueError):
    """A line of the input that is no task; the message says why."""


class BadInput(BatchError, ValueError):
    """The input has lines that are no tasks. Nothing was run.

    `bad` holds (line number, why) of the first of them, `count` is how many there are.
    """

    def __init__(self, path: object, bad: Sequence[tuple[int, str]], count: int) -> None:
        shown = "".join(f"\n  line {number}: {why}" for number, why in bad)
        more = f"\n  and {count - len(bad)} more" if count > len(bad) else ""
        lines = "1 line is no task" if count == 1 else f"{count} lines are no tasks"
        super().__init__(
            f"{path}: {lines}; nothing was run. Put them right, or leave them out with "
            f"--skip-bad (skip_bad=True):{shown}{more}"
        )
        self.bad = tuple(bad)
        self.count = count


class OutputInUse(BatchError):
    """Another process is writing results to the same file."""


class OutputForeign(BatchError, ValueError):
    """The file exists and holds something else; it was not touched."""


class OutputUnwritable(BatchError, OSError):
    """Results cannot be written any more. What was written is whole."""


_REMEDIES = {
    errno.ENOSPC: "make room",
    errno.EDQUOT: "make room",
    errno.EFBIG: "allow larger files (ulimit -f)",
    errno.ENOENT: "make its directory",
    errno.ENOTDIR: "name a file in a directory",
    errno.EISDIR: "name a file in that directory",
    errno.EACCES: "get leave to write there, or name another file",
    errno.EPERM: "get leave to write there, or name another file",
    errno.EROFS: "name a file on a disk that can be written to",
    errno.EMFILE: "allow more open files (ulimit -n)",
}


def unwritable(path: object, error: OSError) -> OutputUnwritable:
    """A failed write, and what to do about it."""
    remedy = _REMEDIES.get(error.errno or 0, "put that right")
    return OutputUnwritable(
        f"{path}: results cannot be written ({error.strerror or error}): {remedy}, and start the "
        "same command again; what was written is whole"
    )
