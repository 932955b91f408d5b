"""The session process answers each command once, and says why when it cannot."""

from __future__ import annotations

import os
import signal
import socket
import sys
from collections.abc import Iterator

import pytest

from rlm_sandbox import values
from rlm_sandbox.framing import FrameBuffer
from rlm_sandbox.protocol import (
    Answer,
    Attend,
    Describe,
    FromWorker,
    Get,
    Install,
    Load,
    Refusal,
    Set,
    decode_from_worker,
)
from rlm_sandbox.worker.bridge import Bridge
from rlm_sandbox.worker.channel import Channel
from rlm_sandbox.worker.console import Console
from rlm_sandbox.worker.serve import Desk

NOTHING = values.encode(None)


class Office:
    """A desk, and the controller's end of its socket."""

    def __init__(self, sock: socket.socket, controller: socket.socket) -> None:
        channel = Channel(sock)
        bridge = Bridge(channel, concurrent_calls=1, value_bytes=1_000)
        self.console = Console(channel, bridge, functions=(), imports=None, output_chars=100)
        self.desk = Desk(self.console, channel, value_bytes=1_000)
        self.controller = controller


@pytest.fixture
def office(monkeypatch: pytest.MonkeyPatch) -> Iterator[Office]:
    monkeypatch.setitem(sys.modules, "__main__", sys.modules["__main__"])
    before = signal.getsignal(signal.SIGINT)
    ours, theirs = socket.socketpair()
    with ours, theirs:
        yield Office(ours, theirs)
    signal.signal(signal.SIGINT, before)
    sys.modules.pop("prelude", None)


def refusal(reply: FromWorker) -> tuple[str, str]:
    assert isinstance(reply, Refusal)
    return reply.reason, reply.message


def test_what_is_set_can_be_got(office: Office) -> None:
    assert office.desk.answer(Set(1, "x", values.encode((1, 2)))) == Answer(1, NOTHING)
    assert office.desk.answer(Get(2, "x")) == Answer(2, values.encode((1, 2)))


def test_what_cannot_be_got_is_refused_with_the_reason(office: Office) -> None:
    office.console.namespace.update(odd=object(), large="x" * 2_000)
    assert refusal(office.desk.answer(Get(1, "x")))[0] == "missing"
    reason, message = refusal(office.desk.answer(Get(2, "odd")))
    assert (reason, "builtins.object" in message) == ("refused", True)
    reason, message = refusal(office.desk.answer(Get(3, "large")))
    assert (reason, "at most 1,000" in message) == ("refused", True)


def test_a_variable_that_is_set_is_no_longer_protected(office: Office) -> None:
    office.console.protect({"P": "old"})
    office.desk.answer(Set(1, "P", values.encode("new")))
    assert "P" not in office.console.scaffold
    assert office.console.namespace["P"] == "new"


def test_a_description_has_names_and_texts(office: Office) -> None:
    office.console.namespace.update(x=1, _hidden=2)
    assert office.desk.answer(Describe(1)) == Answer(1, values.encode({"x": "int(1)"}))


@pytest.mark.parametrize("text", ["", "plain", "é\U0001f40d\udcff" * 1_000], ids=ascii)
def test_a_text_comes_by_descriptor_after_the_worker_attends(office: Office, text: str) -> None:
    data = text.encode("utf-8", "surrogatepass")
    descriptor = os.memfd_create("text")
    try:
        os.write(descriptor, data)
        socket.send_fds(office.controller, [b"\0"], [descriptor])
    finally:
        os.close(descriptor)
    assert office.desk.answer(Load(5, "P", len(data))) == Answer(5, NOTHING)
    assert office.console.namespace["P"] == office.console.scaffold["P"] == text
    buffer = FrameBuffer(cap=1_000)
    buffer.feed(office.controller.recv(1_000))
    payload = buffer.next_frame()
    assert payload is not None
    assert decode_from_worker(payload) == Attend(5)


def test_source_that_fails_is_refused_with_its_error(office: Office) -> None:
    for source, error in [
        ("1 / 0", "ZeroDivisionError: division by zero"),
        ("x = 1", "KeyError: '__all__'"),
        ("__all__ = ['missing']", "KeyError: 'missing'"),
        ("raise ValueError('\\ud800')", "ValueError: \\ud800"),
    ]:
        reply = office.desk.answer(Install(1, source, values.encode({}), b""))
        assert refusal(reply) == ("failed", error)
