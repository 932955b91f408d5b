"""The input file: checked to its last line before anything is run, then read as tasks are needed.

It is read twice and never held. Lines are numbered from 1; empty ones are no lines.
"""

from __future__ import annotations

import json
import shutil
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING

import msgspec

from rlm_core.batch.chat_line import chat_task_of, is_chat_line
from rlm_core.batch.errors import MOST_SHOWN, BadInput, BadLine
from rlm_core.batch.ids import IdTable
from rlm_core.batch.task import Shared, Task, task_of
from rlm_core.errors import ContextError

if TYPE_CHECKING:
    from collections.abc import Collection, Generator, Iterable, Iterator, Mapping

LONGEST_LINE = 1 << 28
"""Bytes; what is longer belongs into a file of its own, as a path."""
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"


@dataclass(frozen=True)
class Checked:
    """What the input holds. `bad` are the first lines that are no tasks, with the reason."""

    tasks: int
    bad: tuple[tuple[int, str], ...]
    bad_count: int


class Intake:
    """The tasks in a file of JSON lines. `contexts` are the names that `context_ref` may say."""

    def __init__(self, path: Path | str, *, contexts: Collection[str] = ()) -> None:
        self.path = Path(path)
        self._shown = "tasks" if self.path.is_relative_to("/proc") else str(self.path)
        self._contexts = frozenset(contexts)
        self._first_line: IdTable = IdTable()

    def check(self, *, skip_bad: bool = False) -> Checked:
        """Read every line. Raises BadInput for lines that are no tasks, unless they are skipped,
        and ContextError where the file cannot be read.
        """
        bad: list[tuple[int, str]] = []
        bad_count = tasks = 0
        for number, line in self._lines():
            try:
                self._require_new(self._task(line, number))
            except BadLine as error:
                bad_count += 1
                if len(bad) < MOST_SHOWN:
                    bad.append((number, str(error)))
            else:
                tasks += 1
        if bad and not skip_bad:
            raise BadInput(self._shown, bad, bad_count)
        return Checked(tasks, tuple(bad), bad_count)

    def tasks(self) -> Iterator[Task]:
        """The good lines, in order; of an id that is there twice, the first. `check` comes first.

        A file that has changed since it was checked gives the lines that are tasks now.
        """
        for number, line in self._lines():
            try:
                task = self._task(line, number)
            except BadLine:
                continue
            if self._first_line.get(task.id) in (None, number):
                yield task

    def _require_new(self, task: Task) -> None:
        first = self._first_line.get(task.id)
        if first is not None:
            raise BadLine(f"custom_id {task.id!r} is that of line {first} too")
        self._first_line.set(task.id, task.line)

    def _task(self, line: bytes, number: int) -> Task:
        if len(line) > LONGEST_LINE:
            raise BadLine("the line is too long: put the text into a file, and give its path")
        try:
            data = msgspec.json.decode(line)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise BadLine(f"no JSON: {error}") from error
        if not isinstance(data, dict):
            raise BadLine(f"a JSON object is needed, not {type(data).__name__}")
        task = chat_task_of(data, number) if is_chat_line(data) else task_of(data, number)
        if isinstance(task.source, Shared) and task.source.name not in self._contexts:
            known = ", ".join(sorted(self._contexts)) or "none was given"
            raise BadLine(f"context_ref {task.source.name!r} is no context of the batch ({known})")
        return task

    def _lines(self) -> Iterator[tuple[int, bytes]]:
        try:
            with self.path.open("rb") as file:
                for number, line in enumerate(_bounded_lines(file), 1):
                    text = (line.removeprefix(_BYTE_ORDER_MARK) if number == 1 else line).strip()
                    if text:
                        yield number, text
        except OSError as error:
            raise ContextError(f"{self.path}: cannot be read: {error.strerror}") from error


def _bounded_lines(file: IO[bytes]) -> Iterator[bytes]:
    """The lines of a file; of one that is too long only as much as tells that it is."""
    while line := file.readline(LONGEST_LINE + 1):
        yield line
        while len(line) > LONGEST_LINE and not line.endswith(b"\n"):
            line = file.readline(LONGEST_LINE + 1)


@contextmanager
def as_file(tasks: Path | str | Iterable[Mapping[str, object]]) -> Generator[Path]:
    """The path of the input, which is read twice.

    What can be read only once (a pipe), and tasks that a program gives as dicts, are put into a
    file for now. Raises ContextError where a pipe cannot be read.
    """
    if isinstance(tasks, (str, Path)) and not _can_be_read_once_only(Path(tasks)):
        yield Path(tasks)
        return
    import tempfile

    with tempfile.TemporaryFile() as file:  # gone even after a SIGKILL
        if isinstance(tasks, (str, Path)):
            _copy(Path(tasks), file)
        else:
            for task in tasks:
                file.write(json.dumps(task).encode("ascii") + b"\n")
        file.flush()
        yield Path(f"/proc/self/fd/{file.fileno()}")


def _can_be_read_once_only(path: Path) -> bool:
    return path.is_fifo() or path.is_char_device() or path.is_socket()


def _copy(path: Path, file: IO[bytes]) -> None:
    try:
        with path.open("rb") as source:
            shutil.copyfileobj(source, file)
    except OSError as error:
        raise ContextError(f"{path}: cannot be read: {error.strerror}") from error
