"""What a hostile worker may cost its controller: time that is bounded, and nothing else."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest
from msgspec.msgpack import Encoder, Ext

from rlm_sandbox import Limits, Sandbox, SessionLost, ValueRefused, values
from rlm_sandbox.audit.call_numbers import numbers
from rlm_sandbox.audit.prelude import FORGER, PRELUDE
from rlm_sandbox.host import link

END = FORGER + "send(wire.Done(step(), 'ok', None, '', False))\n"
PATIENCE = 30.0  # the tests fail after that; where all is well they take a second


@pytest.fixture
def forger(monkeypatch: pytest.MonkeyPatch) -> Iterator[Sandbox]:
    """A sandbox whose code can write frames, and a controller that waits for a second."""
    with Sandbox(imports="all", limits=Limits(checkpoints=0)) as box:
        box.set("T", {"nr": numbers(), "token": "", "name": "forger", "mark": ""})
        assert box.exec(PRELUDE).error is None
        monkeypatch.setattr(link, "ANSWER_SECONDS", 1.0)
        yield box


def lasts(started: float) -> float:
    return time.monotonic() - started


def test_a_worker_that_never_reads_does_not_hold_its_caller(forger: Sandbox) -> None:
    forger.exec(END + "while True: time.sleep(1)")
    started = time.monotonic()
    with pytest.raises(SessionLost):
        forger.set("x", "a" * 10_000_000)
    assert lasts(started) < PATIENCE


def test_an_answer_that_drips_in_is_late(forger: Sandbox) -> None:
    forger.exec(
        END
        + "S.recv(1000)\n"
        + "S.sendall((1 << 20).to_bytes(4, 'big'))\n"
        + "while True:\n"
        + "    S.sendall(b'x')\n"
        + "    until = time.perf_counter() + 0.0001\n"
        + "    while time.perf_counter() < until: pass\n"
    )
    started = time.monotonic()
    with pytest.raises(SessionLost):
        forger.get("x")
    assert lasts(started) < PATIENCE


def test_a_process_name_is_not_taken_for_the_kernels_account(forger: Sandbox) -> None:
    honest = forger.exec("1").peak_memory
    for name in ("VmHWM:boom", "VmHWM: 999999", "VmHWM:"):
        result = forger.exec(f"libc_prctl(15, {name.encode()!r}, 0, 0, 0)")
        assert honest / 2 < result.peak_memory < 100 * honest


def test_keys_that_take_long_to_compare_are_refused() -> None:
    encode = Encoder().encode
    keys = [
        Ext(1, encode([1.5 + i for i in range(900)] + [-1 - (n >> bit & 1) for bit in range(10)]))
        for n in range(1_000)
    ]  # hash(-1) == hash(-2): tuples that differ, of one hash
    with pytest.raises(ValueRefused, match="same hash"):
        values.decode_untrusted(encode(Ext(2, encode(keys))), 1 << 24)
