from __future__ import annotations

import json
import os
import threading
from pathlib import Path

import pytest

from rlm_core.batch.errors import BadInput
from rlm_core.batch.intake import Intake, as_file
from rlm_core.errors import ContextError


def good(name: str, **more: object) -> str:
    return json.dumps({"custom_id": name, "question": "Q?", "context": "some text", **more})


def intake(tmp_path: Path, *lines: str, contexts: tuple[str, ...] = ()) -> Intake:
    path = tmp_path / "tasks.jsonl"
    path.write_text("\n".join(lines), encoding="utf-8")
    return Intake(path, contexts=contexts)


def test_lines_are_tasks_in_order_and_empty_ones_are_none(tmp_path: Path) -> None:
    read = intake(tmp_path, "\ufeff" + good("a"), "", good("b"), "   ", good("c"), "")
    checked = read.check()
    assert (checked.tasks, checked.bad_count) == (3, 0)
    assert [(task.id, task.line) for task in read.tasks()] == [("a", 1), ("b", 3), ("c", 5)]


def test_both_forms_may_stand_in_one_file(tmp_path: Path) -> None:
    body = {"messages": [{"role": "user", "content": "Hi"}]}
    read = intake(tmp_path, good("a"), json.dumps({"custom_id": "b", "body": body}))
    assert read.check().tasks == 2


def test_every_bad_line_is_told_with_its_number(tmp_path: Path) -> None:
    read = intake(tmp_path, good("a"), "nonsense", "[1]", good("a"), good(""), "[" * 10_000)
    with pytest.raises(BadInput) as caught:
        read.check()
    numbers = [number for number, _ in caught.value.bad]
    assert numbers == [2, 3, 4, 5, 6]
    assert "that of line 1 too" in str(caught.value)


def test_bad_lines_can_be_left_out(tmp_path: Path) -> None:
    read = intake(tmp_path, good("a"), "nonsense", good("a", question="Else?"), good("b"))
    checked = read.check(skip_bad=True)
    assert (checked.tasks, checked.bad_count) == (2, 2)
    assert [(task.id, task.question) for task in read.tasks()] == [("a", "Q?"), ("b", "Q?")]


def test_of_many_bad_lines_the_first_are_told_and_all_are_counted(tmp_path: Path) -> None:
    with pytest.raises(BadInput) as caught:
        intake(tmp_path, *["nonsense"] * 500).check()
    assert (len(caught.value.bad), caught.value.count) == (20, 500)


def test_a_context_that_nobody_gave_is_a_bad_line(tmp_path: Path) -> None:
    line = json.dumps({"custom_id": "a", "question": "Q?", "context_ref": "minutes"})
    with pytest.raises(BadInput, match="'minutes' is no context of the batch"):
        intake(tmp_path, line).check()
    assert intake(tmp_path, line, contexts=("minutes",)).check().tasks == 1


def test_bytes_that_are_no_text_are_a_bad_line(tmp_path: Path) -> None:
    path = tmp_path / "tasks.jsonl"
    path.write_bytes(good("a").encode() + b'\n{"custom_id": "\xff"}\n')
    with pytest.raises(BadInput, match="line 2: no JSON"):
        Intake(path).check()


def test_a_line_that_is_too_long_is_told_and_not_held(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rlm_core.batch.intake.LONGEST_LINE", 100)
    read = intake(tmp_path, good("a"), good("b", context="x" * 1_000), good("c"))
    with pytest.raises(BadInput, match="line 2: the line is too long"):
        read.check()
    assert [task.id for task in read.tasks()] == ["a", "c"]


def test_a_file_that_is_not_there_is_told_by_name(tmp_path: Path) -> None:
    with pytest.raises(ContextError, match=r"nowhere\.jsonl"):
        Intake(tmp_path / "nowhere.jsonl").check()


def test_dicts_of_a_program_become_a_file_for_as_long_as_it_takes() -> None:
    with as_file([{"custom_id": "a", "question": "Wörter?\u2028", "context": "x y"}]) as path:
        (task,) = Intake(path).tasks()
        assert task.question == "Wörter?\u2028"
    assert not path.exists()


def test_a_pipe_becomes_a_file_for_as_long_as_it_takes(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    writing = threading.Thread(target=pipe.write_text, args=(good("a") + "\n" + good("b"),))
    writing.start()
    with as_file(pipe) as path:
        writing.join()
        read = Intake(path)
        assert read.check().tasks == 2
        assert [task.id for task in read.tasks()] == ["a", "b"]
    assert not path.exists()


def test_a_file_is_read_where_it_is(tmp_path: Path) -> None:
    path = tmp_path / "tasks.jsonl"
    path.write_text(good("a"))
    with as_file(path) as given:
        assert given == path
