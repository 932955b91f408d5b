"""Which tasks were running when a process died: a file beside the results, gone when all is well.

One line of JSON for each task that began: `["a-1", 1]`. What has begun and has no result was
running when the process was killed; how often that happened tells a poison task from bad luck.
"""

from __future__ import annotations

import json
import os
from collections import Counter
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from rlm_core.batch.errors import unwritable

if TYPE_CHECKING:
    from rlm_core.batch.ids import IdTable

SUFFIX = ".begun"


class Begun:
    """Keeps that file. It must not be lost with the process, but may be with the machine."""

    def __init__(self, results: Path, done: IdTable, *, forgets: bool = False) -> None:
        """With `forgets` every task gets a new chance. Raises OutputUnwritable."""
        self._path = results.with_name(results.name + SUFFIX)
        try:
            self.interrupted = Counter() if forgets else self._read(done)
            """How often each task without a result was cut off, by id."""
            self._descriptor = self._rewritten()
        except OSError as error:
            raise unwritable(self._path, error) from error

    def begin(self, name: str) -> None:
        """A task begins; it is known even if the process dies the next moment.

        Raises OutputUnwritable.
        """
        try:
            os.write(self._descriptor, _line(name, 1))
        except OSError as error:
            raise unwritable(self._path, error) from error

    def end(self, name: str) -> None:
        """A task has ended and cannot be the one that the process dies of."""
        self.interrupted.pop(name, None)

    def close(self, *, done: bool) -> None:
        """The process ends in good order: nothing that runs is to blame for anything."""
        os.close(self._descriptor)
        if done or not self.interrupted:
            self._path.unlink(missing_ok=True)
        else:
            os.close(self._rewritten())

    def _read(self, done: IdTable) -> Counter[str]:
        counts: Counter[str] = Counter()
        with suppress(FileNotFoundError), self._path.open("rb") as file:
            for line in file:
                with suppress(ValueError, TypeError):  # the last line may be half a line
                    name, count = json.loads(line)
                    if isinstance(name, str) and isinstance(count, int) and name not in done:
                        counts[name] += count
        return counts

    def _rewritten(self) -> int:
        new = self._path.with_name(f".{self._path.name}.new")
        new.write_bytes(b"".join(_line(name, n) for name, n in self.interrupted.items()))
        new.replace(self._path)
        return os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC)


def _line(name: str, count: int) -> bytes:
    return json.dumps([name, count]).encode("ascii") + b"\n"
