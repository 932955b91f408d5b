from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from rlm_core import RLM, Context
from rlm_core.calls import CancelScope
from rlm_core.errors import RunCancelled
from rlm_core.provider import ProviderGate, ProviderLimits, Providers
from tests.rlm_core.models import Answering, Scripted


class Waiting(CancelScope):
    """A scope that remembers how long it was asked to wait, and does not."""

    def __init__(self) -> None:
        super().__init__()
        self.waits: list[float] = []

    def sleep(self, seconds: float) -> None:
        self.waits.append(seconds)


def test_calls_are_spread_over_the_minute() -> None:
    gate, scope = ProviderGate(ProviderLimits(per_minute=30), clock=lambda: 100.0), Waiting()
    for _ in range(3):
        with gate.passing(scope):
            pass
    assert scope.waits == [0.0, 2.0, 4.0]


def test_no_more_calls_are_let_in_than_may_run_at_once() -> None:
    gate, scope = ProviderGate(ProviderLimits(concurrent=2)), CancelScope()
    inside, most, lock = [0], [0], threading.Lock()

    def call(_: int) -> None:
        with gate.passing(scope):
            with lock:
                inside[0] += 1
                most[0] = max(most[0], inside[0])
            with lock:
                inside[0] -= 1

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(call, range(40)))
    assert 1 <= most[0] <= 2


def test_waiting_for_a_turn_ends_when_the_run_is_stopped() -> None:
    gate, scope = ProviderGate(ProviderLimits(concurrent=1)), CancelScope()
    with gate.passing(CancelScope()):
        scope.cancel()
        with pytest.raises(RunCancelled), gate.passing(scope):
            pytest.fail("there was no turn")
    with gate.passing(CancelScope()):
        pass


def test_each_model_has_one_gate_and_those_without_limits_an_open_one() -> None:
    providers = Providers({"slow": ProviderLimits(per_minute=1)})
    assert providers.gate("slow") is providers.gate("slow")
    scope = Waiting()
    for _ in range(2):
        with providers.gate("fast").passing(scope):
            pass
    assert scope.waits == [0.0, 0.0]


def test_batches_respect_what_the_provider_allows(tmp_path: Path) -> None:
    sub = Answering()
    rlm = RLM(
        Scripted("a = llm_batch([str(n) for n in range(12)])\nFINAL_VAR: a"),
        subcall_adapter=sub,
        cache_dir=tmp_path,
        provider_limits={"*": ProviderLimits(concurrent=1)},
    )
    assert "'11'" in rlm.run("Q?", Context.from_text("x"))[0]
    assert sub.most_running == 1
