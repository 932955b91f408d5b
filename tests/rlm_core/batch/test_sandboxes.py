from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from rlm_core.batch import sandboxes
from rlm_core.batch.sandboxes import MOST_LARGE, Sandboxes
from rlm_core.context import Context
from rlm_sandbox import Limits
from rlm_sandbox.errors import IsolationUnavailable, SandboxClosed
from tests.rlm_core.helped import is_helped


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Sandboxes]]:
    """Those that a test makes; closed after it. What is large is small here."""
    monkeypatch.setattr(sandboxes, "LARGE_CHARS", 100)
    all_of_them: list[Sandboxes] = []
    yield all_of_them
    for each in all_of_them:
        each.close()


def make(made: list[Sandboxes], **contexts: str) -> Sandboxes:
    given = {name: Context.from_text(text) for name, text in contexts.items()}
    options: dict[str, Any] = {"limits": Limits(output_chars=10), "max_tokens": 3}
    made.append(Sandboxes(options, given, at_once=1))
    return made[-1]


def test_a_large_context_is_in_its_sandboxes_from_the_start(made: list[Sandboxes]) -> None:
    text = "large " * 100
    boxes = make(made, law=text, note="small")
    with boxes.pool("law").checkout() as box:
        assert box.holds("P", text)
        assert is_helped(box)
        assert box.exec("print(P[:5])").stdout == "large\n"
    with boxes.pool("note").checkout() as box:
        assert not box.holds("P", "small")
        assert is_helped(box)
    assert boxes.pool("note") is boxes.pool() is not boxes.pool("law")


def test_the_options_are_those_of_the_batch(made: list[Sandboxes]) -> None:
    with make(made).pool().checkout() as box:
        assert len(box.exec("print('x' * 1000)").stdout) < 200


def test_only_the_largest_have_a_pool_of_their_own(made: list[Sandboxes]) -> None:
    texts = {f"c{n}": "x" * (200 + n) for n in range(MOST_LARGE + 2)}
    assert set(make(made, **texts)._large) == set(list(texts)[2:])


def test_nobody_waits_for_a_sandbox(made: list[Sandboxes]) -> None:
    pool = make(made).pool()
    with ExitStack() as held:
        boxes = [held.enter_context(pool.checkout()) for _ in range(5)]
        assert {box.exec("print(6 * 7)").stdout for box in boxes} == {"42\n"}


def test_closed_pools_give_none(made: list[Sandboxes]) -> None:
    boxes = make(made)
    pool = boxes.pool()
    boxes.close()
    boxes.close()
    with pytest.raises(SandboxClosed):
        pool.checkout()


def test_a_host_that_cannot_isolate_is_found_out_at_once() -> None:
    with pytest.raises((IsolationUnavailable, ValueError)):
        Sandboxes({"isolation": "perfect"}, {}, at_once=1)
