from __future__ import annotations

import os
from pathlib import Path

import pytest

from rlm_core.batch.begun import SUFFIX, Begun
from rlm_core.batch.errors import OutputUnwritable
from rlm_core.batch.ids import IdTable


@pytest.fixture
def results(tmp_path: Path) -> Path:
    return tmp_path / "results.jsonl"


def done(*names: str) -> IdTable:
    table = IdTable()
    for name in names:
        table.set(name, 1)
    return table


def killed(begun: Begun) -> None:
    """What is left when the process is killed: the descriptor goes, and nothing is tidied up."""
    os.close(begun._descriptor)


def test_what_had_begun_and_has_no_result_was_cut_off(results: Path) -> None:
    begun = Begun(results, done())
    for name in ("a", "b", "c\n"):
        begun.begin(name)
    killed(begun)
    again = Begun(results, done("b"))
    assert dict(again.interrupted) == {"a": 1, "c\n": 1}
    again.begin("a")
    killed(again)
    last = Begun(results, done("b"))
    assert last.interrupted["a"] == 2
    last.close(done=True)


def test_half_a_line_is_passed_over(results: Path) -> None:
    results.with_name(results.name + SUFFIX).write_bytes(b'["a", 1]\n["b"\n[3, 1]\n["c", 1')
    begun = Begun(results, done())
    assert dict(begun.interrupted) == {"a": 1}
    begun.close(done=True)


def test_a_good_end_blames_nobody(results: Path) -> None:
    begun = Begun(results, done())
    begun.begin("a")
    begun.close(done=False)
    assert list(results.parent.iterdir()) == []


def test_suspicion_outlasts_a_good_end_until_there_is_a_result(results: Path) -> None:
    begun = Begun(results, done())
    begun.begin("a")
    begun.begin("b")
    killed(begun)
    begun = Begun(results, done())
    begun.begin("a")
    begun.end("a")
    begun.close(done=False)
    last = Begun(results, done("a"))
    assert dict(last.interrupted) == {"b": 1}
    last.close(done=True)
    assert list(results.parent.iterdir()) == []


def test_everyone_may_be_given_a_new_chance(results: Path) -> None:
    begun = Begun(results, done())
    begun.begin("a")
    killed(begun)
    begun = Begun(results, done(), forgets=True)
    killed(begun)
    last = Begun(results, done())
    assert dict(last.interrupted) == {}
    last.close(done=True)


def test_where_it_cannot_be_written_that_is_told(tmp_path: Path) -> None:
    with pytest.raises(OutputUnwritable):
        Begun(tmp_path / "nowhere" / "results.jsonl", done())
