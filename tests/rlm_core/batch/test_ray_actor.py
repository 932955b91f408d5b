"""What an actor does, in this process: Ray itself is needed on a cluster only."""

from __future__ import annotations

import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from rlm_core.batch.answerer import Manner
from rlm_core.batch.models import OfflineModels
from rlm_core.batch.outcome import Completed, Stopped
from rlm_core.batch.ray_actor import BatchActor
from rlm_core.batch.schedule import Attempt
from rlm_core.batch.shipped import ShippedContext
from rlm_core.batch.task import Inline, Shared, Source, Task
from rlm_core.context import Context

TEXT = "The access code of the vault is 7319."


def attempt(source: Source) -> Attempt:
    return Attempt(Task("a", 1, "What is the access code of the vault?", source))


def manner(tmp_path: Path) -> Manner:
    return Manner(options={"cache_dir": tmp_path / "cache"}, traces=str(tmp_path / "traces"))


def test_it_answers_and_traces_and_can_be_stopped(tmp_path: Path) -> None:
    actor = BatchActor(OfflineModels(), manner(tmp_path), {}, 1)
    assert actor.ready()
    outcome = actor.answer(attempt(Inline(TEXT)))
    assert isinstance(outcome, Completed)
    assert "7319" in (outcome.answer or "")
    assert (tmp_path / "traces" / "a.jsonl").exists()
    actor.stop()
    assert isinstance(actor.answer(attempt(Inline(TEXT))), Stopped)
    actor.close()


def test_contexts_come_out_of_the_object_store(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = {"reference": ShippedContext.of(Context.from_text(TEXT))}
    monkeypatch.setitem(sys.modules, "ray", SimpleNamespace(get=store.__getitem__))
    actor = BatchActor(OfflineModels(), manner(tmp_path), {"vault": "reference"}, 1)
    outcome = actor.answer(attempt(Shared("vault")))
    assert isinstance(outcome, Completed)
    assert "7319" in (outcome.answer or "")
    actor.close()
