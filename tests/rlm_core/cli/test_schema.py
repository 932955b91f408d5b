from __future__ import annotations

from pathlib import Path

import pytest

from rlm_core.cli.schema import LARGEST, read_schema
from rlm_core.cli.settings import UsageError


def test_a_schema_is_read_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "s.json").write_text('{"type": "integer", "minimum": 3}')
    assert read_schema(str(tmp_path / "s.json")) == {"type": "integer", "minimum": 3}


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"{", "no JSON"),
        (b"\xff", "no JSON"),
        (b"[" * 100_000, "no JSON"),
        (b"5", "a schema is an object"),
        (b" " * (LARGEST + 1), "larger than"),
    ],
)
def test_what_is_no_schema_is_refused(tmp_path: Path, content: bytes, told: str) -> None:
    (tmp_path / "s.json").write_bytes(content)
    with pytest.raises(UsageError, match=told):
        read_schema(str(tmp_path / "s.json"))


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(
        UsageError, match=r"--output-schema .*no-such: cannot be read: No such file"
    ):
        read_schema(str(tmp_path / "no-such"))
