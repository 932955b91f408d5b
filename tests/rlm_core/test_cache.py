from __future__ import annotations

import sqlite3
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import NoReturn

import pytest

from rlm_core.adapters.base import Usage
from rlm_core.cache import MOST_PENDING, CacheRecord, FileCache, cache_key

RECORD = CacheRecord("reply \u00e9", Usage(1, 2, 3))
PARTS = {
    "adapter": "a", "model": "m", "system_prompt": "s", "max_tokens": 1, "mode": "simple",
    "text": "t",
}  # fmt: skip


def test_a_reply_is_kept_across_openings(tmp_path: Path) -> None:
    with FileCache(tmp_path / "deep" / "cache") as cache:
        assert cache.get("k") is None
        cache.set("k", RECORD)
        assert cache.get("k") == RECORD
    with FileCache(tmp_path / "deep" / "cache") as again:
        assert again.get("k") == RECORD


def test_what_was_added_is_there_at_once_and_on_the_disk_after_a_flush(tmp_path: Path) -> None:
    with FileCache(tmp_path) as cache, FileCache(tmp_path) as another:
        cache.add("k", RECORD)
        assert (cache.get("k"), another.get("k")) == (RECORD, None)
        cache.flush()
        assert another.get("k") == RECORD
        cache.add("later", RECORD)
    with FileCache(tmp_path) as again:
        assert again.get("later") == RECORD


def test_a_class_that_keeps_replies_elsewhere_needs_only_get_and_set(tmp_path: Path) -> None:
    kept: dict[str, CacheRecord] = {}

    class Elsewhere(FileCache):
        def get(self, key: str) -> CacheRecord | None:
            return kept.get(key)

        def set(self, key: str, record: CacheRecord) -> None:
            kept[key] = record

    with Elsewhere(tmp_path / "cache") as cache:
        cache.add("k", RECORD)
        cache.flush()
        assert cache.get("k") == RECORD
    assert not (tmp_path / "cache").exists()


def test_what_could_not_be_written_is_written_later_and_does_not_pile_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache = FileCache(tmp_path)
    cache.set("first", RECORD)
    cache.add("kept", RECORD)
    with monkeypatch.context() as patched:
        patched.setattr(cache, "_open", _locked)
        with pytest.raises(sqlite3.OperationalError):
            cache.flush()
        for number in range(2 * MOST_PENDING):
            with suppress(sqlite3.OperationalError):
                cache.add(str(number), RECORD)
    assert len(cache._pending) == MOST_PENDING
    cache.flush()
    cache.close()
    with FileCache(tmp_path) as again:
        assert again.get("first") == RECORD
        assert again.get(str(2 * MOST_PENDING - 1)) == RECORD
        assert again.get("kept") is None  # the oldest go


def test_what_could_not_be_written_once_is_not_lost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with FileCache(tmp_path) as cache:
        cache.add("kept", RECORD)
        with monkeypatch.context() as patched:
            patched.setattr(cache, "_open", _locked)
            with pytest.raises(sqlite3.OperationalError):
                cache.flush()
        cache.flush()
    with FileCache(tmp_path) as again:
        assert again.get("kept") == RECORD


def _locked() -> NoReturn:
    raise sqlite3.OperationalError("database is locked")


def test_what_was_added_does_not_pile_up(tmp_path: Path) -> None:
    with FileCache(tmp_path) as cache, FileCache(tmp_path) as another:
        for number in range(MOST_PENDING):
            cache.add(str(number), RECORD)
        assert another.get("0") == RECORD


def test_looking_into_an_empty_cache_makes_no_file(tmp_path: Path) -> None:
    cache = FileCache(tmp_path / "cache")
    assert cache.get("k") is None
    assert not (tmp_path / "cache").exists()


def test_a_reply_is_replaced_by_a_newer_one(tmp_path: Path) -> None:
    with FileCache(tmp_path) as cache:
        cache.set("k", RECORD)
        cache.set("k", CacheRecord("new", Usage(0, 0, 0)))
        assert cache.get("k") == CacheRecord("new", Usage(0, 0, 0))


def test_a_closed_cache_opens_again_when_it_is_used(tmp_path: Path) -> None:
    cache = FileCache(tmp_path)
    cache.set("k", RECORD)
    cache.close()
    cache.close()
    assert cache.get("k") == RECORD
    cache.close()


def test_several_owners_may_make_the_file_at_once(tmp_path: Path) -> None:
    """SQLite tells one of them that it is locked, and does not wait first."""
    for number in range(40):
        owners = [FileCache(tmp_path / str(number)) for _ in range(4)]
        start = threading.Barrier(len(owners))

        def keep(key: str, owner: FileCache, start: threading.Barrier = start) -> None:
            start.wait()
            owner.set(key, RECORD)

        with ThreadPoolExecutor(len(owners)) as threads:
            list(threads.map(keep, "abcd", owners))
        assert all(owner.get(key) == RECORD for key in "abcd" for owner in owners)
        for owner in owners:
            owner.close()


def test_many_threads_and_two_owners_share_one_file(tmp_path: Path) -> None:
    with FileCache(tmp_path) as one, FileCache(tmp_path) as two, ThreadPoolExecutor(8) as threads:
        caches = [one, two] * 50
        list(threads.map(lambda item: item[1].set(str(item[0]), RECORD), enumerate(caches)))
        assert all(one.get(str(number)) == RECORD for number in range(100))


def test_text_that_is_no_unicode_can_be_kept(tmp_path: Path) -> None:
    with FileCache(tmp_path) as cache:
        cache.set("k", CacheRecord("\ud800", Usage(0, 0, 0)))
        assert cache.get("k") is not None


def test_a_file_that_is_no_cache_is_an_error_and_not_overwritten(tmp_path: Path) -> None:
    (tmp_path / "replies.sqlite3").write_text("something else entirely, " * 50)
    with FileCache(tmp_path) as cache, pytest.raises(sqlite3.DatabaseError):
        cache.get("k")


@pytest.mark.parametrize("part", sorted(PARTS))
def test_the_key_changes_with_everything_that_could_change_the_reply(part: str) -> None:
    other = {**PARTS, part: 2 if part == "max_tokens" else "other"}
    assert cache_key(**other) != cache_key(**PARTS)  # ty: ignore[invalid-argument-type]
    assert cache_key(**PARTS) == cache_key(**PARTS)  # ty: ignore[invalid-argument-type]


def test_parts_of_a_key_cannot_run_into_each_other() -> None:
    one = cache_key(**{**PARTS, "system_prompt": "ab", "text": "c"})  # ty: ignore[invalid-argument-type]
    two = cache_key(**{**PARTS, "system_prompt": "a", "text": "bc"})  # ty: ignore[invalid-argument-type]
    assert one != two


def test_a_cache_that_goes_away_gives_its_file_back(tmp_path: Path) -> None:
    cache = FileCache(tmp_path)
    cache.set("k", RECORD)
    assert files_open_below(tmp_path)
    del cache
    assert not files_open_below(tmp_path)


def files_open_below(directory: Path) -> list[str]:
    links = (link for link in Path("/proc/self/fd").iterdir() if link.is_symlink())
    return [
        str(link.readlink()) for link in links if str(link.readlink()).startswith(f"{directory}/")
    ]
