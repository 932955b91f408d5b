"""Messages come back as they were sent; hostile ones are decoded strictly and without recursion."""

from __future__ import annotations

import subprocess
import sys
import textwrap

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rlm_sandbox import Limits, protocol
from rlm_sandbox.protocol import (
    AllowCpu,
    Allowed,
    AllowMemory,
    Answer,
    Attend,
    Born,
    Call,
    Describe,
    Died,
    Done,
    Drop,
    Exec,
    Failed,
    Get,
    Install,
    Load,
    Output,
    Permit,
    Prepared,
    Protect,
    Raise,
    Ready,
    Refusal,
    Return,
    Save,
    Saved,
    Set,
    Spawn,
    Wake,
    Woken,
    WorkerLimits,
)
from tests.rlm_sandbox.program import PACKAGE_ROOT

FROM_WORKER = [
    Ready(),
    Call(1, 0, b"\x92\x90\x80", alone=True),
    Output("text"),
    Done(1, "ok", None, "rest", truncated=False),
    Attend(3),
    Answer(3, b"\xc0"),
    Refusal(3, "missing", "no"),
]
FOR_WORKER = [
    Exec(1, "x = 1"),
    Get(1, "x"),
    Set(2, "x", b"\x01"),
    Load(3, "P", 10),
    Protect(3, "P", b"text"),
    Install(4, "__all__ = []", b"\x80", b""),
    Describe(5),
    Save(),
    Return(1, b"\x02"),
    Raise(1, "KeyError", "x"),
]


@pytest.mark.parametrize("message", FROM_WORKER, ids=lambda message: type(message).__name__)
def test_a_message_from_the_worker_comes_back_as_itself(message: protocol.FromWorker) -> None:
    assert protocol.decode_from_worker(protocol.encode(message)) == message


@pytest.mark.parametrize("message", FOR_WORKER, ids=lambda message: type(message).__name__)
def test_a_message_for_the_worker_comes_back_as_itself(message: protocol.ForWorker) -> None:
    assert protocol.decode_for_worker(protocol.encode(message)) == message


@pytest.mark.parametrize(
    "message",
    [Born(), Died(1, 9, 0.5, 1), Saved(2, "no"), Woken(3), Allowed(4), Failed("no")],
    ids=repr,
)
def test_a_message_from_init_comes_back_as_itself(message: protocol.FromInit) -> None:
    assert protocol.decode_from_init(protocol.encode(message)) == message


SPAWN = Spawn(WorkerLimits.of(Limits()), ("f",), ("math",))


@pytest.mark.parametrize(
    "message", [SPAWN, AllowMemory(0, 1), AllowCpu(0, 1), Permit(0, 1, None), Wake(1, 2), Drop(1)]
)
def test_a_message_for_init_comes_back_as_itself(message: protocol.ForInit) -> None:
    assert protocol.decode_for_init(protocol.encode(message)) == message


def test_what_a_zygote_reports_comes_back_as_itself() -> None:
    for report in (Prepared(("seccomp",), 4), Failed("no", "package")):
        assert protocol.decode_from_zygote(protocol.encode(report)) == report


@pytest.mark.parametrize("message", FROM_WORKER, ids=lambda message: type(message).__name__)
def test_a_field_too_many_from_the_worker_is_refused(message: protocol.FromWorker) -> None:
    fields = {**msgspec.to_builtins(message, builtin_types=(bytes,)), "extra": 1}
    with pytest.raises(msgspec.ValidationError):
        protocol.decode_from_worker(msgspec.msgpack.encode(fields))


@pytest.mark.parametrize(
    "fields",
    [
        {"type": "Exec", "step": 1, "code": "x"},  # the controller's, sent back
        {"type": "Nothing"},
        {"type": "Output"},
        {"type": "Output", "text": b"bytes"},
        {"type": "Done", "step": 1, "ending": "won", "error": None, "output": "", "truncated": 0},
        {"type": "Call", "call": "1", "function": 0, "arguments": b"", "alone": True},
        {"type": "Answer", "request": 1, "value": [[]]},
        [],
        7,
    ],
    ids=str,
)
def test_what_is_no_message_of_the_worker_is_refused(fields: object) -> None:
    with pytest.raises(msgspec.MsgspecError):
        protocol.decode_from_worker(msgspec.msgpack.encode(fields))


@given(st.binary(max_size=200))
def test_any_bytes_are_a_message_or_refused(data: bytes) -> None:
    try:
        message = protocol.decode_from_worker(data)
    except msgspec.MsgspecError:
        return
    assert isinstance(message, protocol.FromWorker)


def test_deep_nesting_cannot_overflow_the_stack_whatever_the_recursion_limit() -> None:
    program = textwrap.dedent("""
        import sys
        import msgspec
        from rlm_sandbox import protocol
        sys.setrecursionlimit(10**6)  # as some programs do: then nothing but the C stack is a limit
        for tag, size in ((0x91, 1), (0x81, 1), (0xC7, 3)):
            head = msgspec.msgpack.encode({"type": "Answer", "request": 1, "value": None})[:-1]
            try:
                protocol.decode_from_worker(head + bytes([tag]) * 5_000_000)
            except msgspec.MsgspecError:
                print("refused")
    """)
    run = subprocess.run(
        [sys.executable, "-c", program],
        cwd=PACKAGE_ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert (run.returncode, run.stdout.split()) == (0, ["refused"] * 3)
