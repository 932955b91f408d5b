"""The file of results: what was written whole stays, whatever happened to the rest."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rlm_core.batch.errors import OutputForeign, OutputInUse, OutputUnwritable
from rlm_core.batch.journal import Journal
from rlm_core.batch.outcome import NOTHING, TaskError
from rlm_core.batch.record import Record
from rlm_core.run import RunUsage


def line(name: str, *, failed: bool = False) -> bytes:
    return Record(
        custom_id=name,
        status="failed" if failed else "answered",
        answer=None if failed else "yes",
        error=TaskError("E", "why") if failed else None,
        usage=NOTHING if failed else RunUsage(3, 1, 4, 0, 2, 1.0, 0.5),
        isolation=None,
        trace=None,
        ending=None,
        attempts=1,
    ).to_line()


def written(path: Path, *lines: bytes) -> Path:
    path.write_bytes(b"".join(lines))
    return path


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "results.jsonl"


def test_lines_are_in_the_file_when_append_returns(path: Path) -> None:
    journal = Journal(path)
    journal.append([line("a"), line("b")])
    assert path.read_bytes() == line("a") + line("b")
    journal.close()
    journal.close()


def test_opened_again_it_knows_what_is_done_and_what_it_cost(path: Path) -> None:
    journal = Journal(written(path, line("a"), line("b", failed=True)))
    found = journal.found
    assert [name in found.done for name in "abc"] == [True, True, False]
    assert (dict(found.statuses), found.without_answer) == ({"answered": 1, "failed": 1}, 1)
    assert (found.cost, found.tokens, found.dropped, found.torn) == (0.5, 4, 0, 0)
    journal.append([line("c")])
    journal.close()
    assert path.read_bytes().count(b"\n") == 3


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40)
@given(cut=st.integers(1, len(line("b")) - 1), zeros=st.integers(0, 50))
def test_half_a_line_is_taken_away_wherever_it_was_cut(path: Path, cut: int, zeros: int) -> None:
    torn = line("b")[:cut] + b"\0" * zeros
    whole = cut == len(line("b")) - 1 and not zeros
    journal = Journal(written(path, line("a"), torn))
    journal.append([line("c")])
    journal.close()
    kept = line("b") if whole else b""
    assert path.read_bytes() == line("a") + kept + line("c")
    assert journal.found.torn == (0 if whole else len(torn))


def test_zeros_in_the_midst_are_taken_away_and_all_else_stays(path: Path) -> None:
    damaged = b"\0" * 600 + line("b")[20:]
    journal = Journal(written(path, line("a"), damaged, line("c")))
    journal.append([line("d")])
    journal.close()
    assert path.read_bytes() == line("a") + line("c") + line("d")
    assert "b" not in journal.found.done


def test_an_id_that_is_there_twice_is_there_once_afterwards(path: Path) -> None:
    journal = Journal(written(path, line("a"), line("b"), line("a", failed=True)))
    journal.close()
    assert path.read_bytes() == line("a") + line("b")


def test_what_has_no_answer_can_be_forgotten(path: Path) -> None:
    path.touch(0o640)
    path.chmod(0o640)
    journal = Journal(written(path, line("a"), line("b", failed=True)), retry_failed=True)
    assert "b" not in journal.found.done
    assert journal.found.without_answer == 0
    journal.append([line("b")])
    journal.close()
    assert path.read_bytes() == line("a") + line("b")
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize(
    "content",
    [b"Dear diary\n", b"Dear diary", b'{"id": 1}\n', b"PK\x03\x04\0\0\0", b"\0x\0\n\0y\0\n"],
)
def test_a_file_of_something_else_is_left_as_it_is(path: Path, content: bytes) -> None:
    written(path, content)
    with pytest.raises(OutputForeign, match="left as it is"):
        Journal(path)
    assert path.read_bytes() == content


def test_a_second_batch_is_kept_out_also_after_the_file_was_replaced(path: Path) -> None:
    written(path, line("a"), line("b", failed=True))
    with_lock = Journal(path, retry_failed=True)
    with pytest.raises(OutputInUse, match="another batch"):
        Journal(path)
    with_lock.close()
    Journal(path).close()


def test_what_cannot_be_read_again_is_no_file_for_results(tmp_path: Path) -> None:
    with pytest.raises(OutputForeign, match="read again"):
        Journal("/dev/null")
    with pytest.raises(OutputUnwritable):
        Journal(tmp_path / "no" / "directory.jsonl")


FILLS_THE_DISK = """
import resource, signal, sys
from pathlib import Path
from rlm_core.batch.errors import OutputUnwritable
from rlm_core.batch.journal import Journal

first, rest = sys.stdin.buffer.readline(), sys.stdin.buffer.readlines()
journal = Journal(sys.argv[1])
journal.append([first])
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
full = len(first) + 40
resource.setrlimit(resource.RLIMIT_FSIZE, (full, full))
try:
    journal.append(rest)
except OutputUnwritable as error:
    print("told:", error)
journal.close()
"""


def test_a_full_disk_leaves_whole_lines_and_an_error_that_says_what_to_do(path: Path) -> None:
    root = Path(__file__).parents[3]
    done = subprocess.run(
        [sys.executable, "-c", FILLS_THE_DISK, str(path)],
        input=line("a") + line("b") + line("c"),
        capture_output=True,
        check=True,
        timeout=60,
        env=os.environ | {"PYTHONPATH": str(root)},
    )
    assert b"results cannot be written" in done.stdout
    assert path.read_bytes() == line("a")
