from __future__ import annotations

import logging
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from rlm_core.cache import FileCache
from rlm_core.calls import CancelScope
from rlm_core.config import Options, configure
from rlm_core.diagnostics import Diagnostics
from rlm_core.errors import NotRecorded, RunCancelled
from rlm_core.models import Models
from rlm_core.playback import Playback
from rlm_core.provider import Providers
from rlm_core.recording import RecordedReply, Recording
from rlm_core.trace import Trace
from rlm_core.tree import RunTree
from tests.rlm_core.models import Answering
from tests.waiting import until

MESSAGES = [{"role": "user", "content": "hello"}]


def tree(path: Path, playback: Playback | None = None, **options: object) -> RunTree:
    given: Options = options  # ty: ignore[invalid-assignment]
    return RunTree(
        configure(given), Models(Answering()), cache=FileCache(path), scope=CancelScope(),
        diagnostics=Diagnostics(logging.getLogger("test"), enabled=False), providers=Providers(),
        playback=playback,
    )  # fmt: skip


def test_a_recorded_reply_is_given_and_no_model_is_asked(tmp_path: Path) -> None:
    recording = Recording({}, {"k": [RecordedReply("then")]}, Trace([]))
    made = tree(tmp_path, Playback(recording, live=False))
    model = Answering()
    assert made.ask_as_subcall(model, MESSAGES, 5, made.scope, key="k").text == "then"
    with pytest.raises(NotRecorded):
        made.ask_as_subcall(model, MESSAGES, 5, made.scope, key="k")
    assert model.prompts == []
    made.close()


def test_a_step_can_be_stopped_while_it_is_under_way_and_only_then(tmp_path: Path) -> None:
    made = tree(tmp_path)
    with made.running(7, made.scope) as scope:
        assert made.cancel_step(7)
        with pytest.raises(RunCancelled):
            scope.check()
    assert not made.cancel_step(7)
    made.scope.check()
    made.close()


def test_a_subcall_is_an_episode_above_the_deepest_level_if_asked_for(tmp_path: Path) -> None:
    plain, recursive = tree(tmp_path), tree(tmp_path, recursive_subcalls=True)
    assert not plain.is_recursive(1)
    assert (recursive.is_recursive(1), recursive.is_recursive(2)) == (True, False)
    plain.close()
    recursive.close()


def test_a_step_that_waits_for_its_turn_can_be_stopped(tmp_path: Path) -> None:
    made = tree(tmp_path, max_concurrent_subcalls=1)
    asked, finish = threading.Event(), threading.Event()

    def slow(_: str) -> str:
        asked.set()
        finish.wait(60)
        return "late"

    def ask(model: Answering, scope: CancelScope) -> str:
        return made.ask_as_subcall(model, MESSAGES, 5, scope, key="k").text

    with ThreadPoolExecutor(2) as threads, made.running(1, made.scope) as scope:
        first = threads.submit(ask, Answering(slow), made.scope)
        assert asked.wait(60)
        second = threads.submit(ask, Answering(), scope)
        until(lambda: scope._stops)
        assert made.cancel_step(1)
        assert isinstance(second.exception(60), RunCancelled)
        finish.set()
        assert first.result(60) == "late"
    made.close()
