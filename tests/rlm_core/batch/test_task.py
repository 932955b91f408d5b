from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from rlm_core.batch.errors import BadLine
from rlm_core.batch.task import Files, Inline, Shared, task_of


def line(**more: object) -> dict[str, object]:
    return {"custom_id": "a", "question": "Who?", "context": "some text", **more}


def test_a_line_is_a_task() -> None:
    schema = {"type": "object"}
    task = task_of(line(limits={"max_steps": 3}, output_schema=schema, metadata={"x": 1}), 7)
    assert (task.id, task.line, task.question) == ("a", 7, "Who?")
    assert task.source == Inline("some text")
    assert (task.limits, task.output) == ({"max_steps": 3}, schema)


def test_a_context_is_a_text_a_path_or_a_list_of_paths(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "notes").mkdir()
    (tmp_path / "a.txt").write_text("x")
    told: list[tuple[Any, object]] = [
        ("a.txt", Files(("a.txt",))),
        ("notes", Files(("notes",))),
        (["a.txt", "notes"], Files(("a.txt", "notes"))),
        ({"path": "a.txt"}, Files(("a.txt",))),
        ({"paths": ["a.txt", "notes"]}, Files(("a.txt", "notes"))),
        ({"text": "a.txt"}, Inline("a.txt")),
        ("notes of ours", Inline("notes of ours")),
        ("It was 3.14 then.", Inline("It was 3.14 then.")),
        ("a.txt\n", Inline("a.txt\n")),
    ]
    for context, source in told:
        assert task_of(line(context=context), 1).source == source


def test_a_context_of_the_batch_is_named() -> None:
    data = {"custom_id": "a", "question": "Who?", "context_ref": "minutes"}
    assert task_of(data, 1).source == Shared("minutes")


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"custom_id": ""}, "1 to 512 characters"),
        ({"custom_id": 3}, "Expected `str`"),
        ({"question": "  "}, "the question is empty"),
        ({"question": "a\ud800"}, "surrogate"),
        ({"context": None}, "exactly one of"),
        ({"context_ref": "x"}, "exactly one of"),
        ({"context": " "}, "the context is empty"),
        ({"context": []}, "empty list of paths"),
        ({"context": ["nowhere.txt"]}, "no such file"),
        ({"context": {"path": "nowhere.txt"}}, "no such file"),
        ({"context": {"path": "a", "text": "b"}}, "context is a text"),
        ({"context": "minutes/of-1871.txt"}, "looks like a path"),
        ({"context": "/dev/zero"}, "neither a file nor a directory"),
        ({"context": {"path": "/dev/zero"}}, "neither a file nor a directory"),
        ({"context": {"path": "a\0b"}}, "no such file or directory"),
        ({"context": "minutes.txt"}, "looks like a path"),
        ({"contxt": "x"}, "contxt"),
        ({"limits": {"steps": 3}}, "limits has no steps"),
        ({"limits": {"max_steps": 0}}, "too small"),
        ({"limits": {"max_steps": 1.5}}, "limits"),
        ({"output_schema": {"type": "wishful"}}, "output_schema"),
    ],
)
def test_what_is_no_task_is_refused_with_the_reason(change: dict[str, Any], why: str) -> None:
    with pytest.raises(BadLine, match=why):
        task_of(line(**change), 1)
