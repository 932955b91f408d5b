from __future__ import annotations

import errno
import os

from rlm_core.batch.errors import BadInput, BatchError, OutputUnwritable, unwritable
from rlm_core.errors import RLMError


def test_bad_lines_are_told_with_their_numbers_and_how_many_more_there_are() -> None:
    error = BadInput("tasks.jsonl", [(3, "no JSON"), (9, "no question")], 12)
    assert "12 lines are no tasks; nothing was run" in str(error)
    assert "line 3: no JSON\n  line 9: no question\n  and 10 more" in str(error)
    assert "--skip-bad" in str(error)
    assert (error.bad, error.count) == (((3, "no JSON"), (9, "no question")), 12)


def test_a_full_disk_is_told_with_what_to_do() -> None:
    error = unwritable("out.jsonl", OSError(errno.ENOSPC, "No space left on device"))
    assert isinstance(error, OutputUnwritable)
    assert isinstance(error, BatchError)
    assert isinstance(error, RLMError)
    assert "No space left on device" in str(error)
    assert "make room, and start the same command again" in str(error)


def test_what_to_do_fits_what_went_wrong() -> None:
    def told(number: int) -> str:
        return str(unwritable("out.jsonl", OSError(number, os.strerror(number))))

    assert "make its directory" in told(errno.ENOENT)
    assert "name a file in that directory" in told(errno.EISDIR)
    assert "get leave to write there" in told(errno.EACCES)
    assert "put that right" in told(errno.EIO)
