from __future__ import annotations

import threading
from pathlib import Path

import pytest

from rlm_core.batch.errors import OutputUnwritable
from rlm_core.batch.journal import Journal
from rlm_core.batch.writer import Writer
from tests.rlm_core.batch.test_journal import line


class SlowJournal(Journal):
    """Writes when it is told to, and fails when it is told to."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.gate = threading.Event()
        self.full = False
        self.commits: list[int] = []

    def append(self, lines: list[bytes]) -> None:
        """Wait, and then write, or find the disk full."""
        self.gate.wait(60)
        if self.full:
            raise OutputUnwritable("full")
        self.commits.append(len(lines))
        super().append(lines)


def test_what_was_put_is_in_the_file_when_it_is_closed(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "r.jsonl")
    writer = Writer(journal, failed=lambda: None)
    for number in range(100):
        writer.put(line(str(number)))
    writer.close()
    journal.close()
    expected = b"".join(line(str(number)) for number in range(100))
    assert (tmp_path / "r.jsonl").read_bytes() == expected


def test_lines_that_came_meanwhile_are_made_durable_together(tmp_path: Path) -> None:
    journal = SlowJournal(tmp_path / "r.jsonl")
    writer = Writer(journal, failed=lambda: None)
    for number in range(50):
        writer.put(line(str(number)))
    journal.gate.set()
    writer.close()
    journal.close()
    assert sum(journal.commits) == 50
    assert len(journal.commits) <= 3


def test_a_full_disk_is_told_once_and_holds_nobody_up(tmp_path: Path) -> None:
    journal = SlowJournal(tmp_path / "r.jsonl")
    journal.full = True
    journal.gate.set()
    failed = threading.Event()
    writer = Writer(journal, failed=failed.set)
    writer.put(line("a"))
    assert failed.wait(60)
    writer.put(line("b"))
    with pytest.raises(OutputUnwritable):
        writer.close()
    journal.close()
