from __future__ import annotations

from pathlib import Path

from rlm_core.documents import read_paths


def test_what_is_no_text_in_a_directory_is_left_out_and_named(tmp_path: Path) -> None:
    (tmp_path / "good.txt").write_text("text")
    (tmp_path / "image.png").write_bytes(b"\x89PNG\0\0")
    (tmp_path / "latin.txt").write_bytes(b"caf\xe9")
    reading = read_paths([tmp_path])
    assert list(reading.context.documents) == ["text"]
    assert [Path(name).name for name in reading.skipped] == ["image.png", "latin.txt"]
