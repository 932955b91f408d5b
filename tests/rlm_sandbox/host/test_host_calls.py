"""What a host function gives or raises is sent to the code that called, and to nobody else."""

from __future__ import annotations

import socket
import sys
import threading
from collections.abc import Callable, Iterator

import pytest

from rlm_sandbox import values
from rlm_sandbox.framing import FrameBuffer
from rlm_sandbox.host.host_calls import HostCalls
from rlm_sandbox.host.line import Line
from rlm_sandbox.host.running import Running
from rlm_sandbox.limits import Limits
from rlm_sandbox.protocol import Call, Done, ForWorker, Raise, Ready, Return, decode_for_worker
from rlm_sandbox.session import Called, Session

CAP = 10_000
PATIENCE = 30.0


class Stage:
    """A session in the midst of a step, and what its code is sent."""

    def __init__(self, ours: socket.socket, theirs: socket.socket) -> None:
        self.session = Session(Limits(), 1)
        self.session.receive(Ready(), 0.0)
        self.session.begin_step(0.0)
        self._line = Line(ours, CAP)
        self._state = threading.Lock()
        self._theirs = theirs
        self._buffer = FrameBuffer(cap=10 * CAP)
        self._number = 0
        self.running = Running(8)

    def call(
        self, function: Callable[..., object], *args: object, alone: bool = True, **kwargs: object
    ) -> None:
        self.call_with(function, values.encode([list(args), kwargs]), alone=alone)

    def call_with(
        self, function: Callable[..., object], arguments: bytes, *, alone: bool = True
    ) -> None:
        self._number += 1
        event = self.session.receive(Call(self._number, 0, arguments, alone), 0.0)
        assert isinstance(event, Called)
        self.calls((function,)).serve(event.call)

    def calls(self, functions: tuple[Callable[..., object], ...]) -> HostCalls:
        return HostCalls(self._line, self.session, self._state, functions, CAP, self.running)

    def sent(self) -> ForWorker:
        self._theirs.settimeout(PATIENCE)
        while (payload := self._buffer.next_frame()) is None:
            self._buffer.feed(self._theirs.recv(100_000))
        return decode_for_worker(payload)

    def nothing_sent(self) -> bool:
        self._theirs.settimeout(0)
        try:
            return self._theirs.recv(1) == b""
        except BlockingIOError:
            return True


@pytest.fixture
def stage() -> Iterator[Stage]:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        yield Stage(ours, theirs)


def test_a_result_is_sent(stage: Stage) -> None:
    stage.call(lambda a, b=0: {"sum": a + b}, 1, b=2)
    assert stage.sent() == Return(1, values.encode({"sum": 3}))


def test_an_exception_is_sent_by_its_kind_and_text(stage: Stage) -> None:
    stage.call(lambda key: {}[key], "missing")
    assert stage.sent() == Raise(1, "KeyError", "missing")


def test_an_exception_that_cannot_tell_what_it_is_is_sent_all_the_same(stage: Stage) -> None:
    class Mute(Exception):
        def __str__(self) -> str:
            raise RuntimeError

    def fail() -> None:
        raise Mute

    stage.call(fail)
    assert stage.sent() == Raise(1, "Mute", "(it has no readable message)")


@pytest.mark.parametrize("given", [[], [[], {}, 1], [{}, []], [[], {1: 2}], "text", None])
def test_arguments_that_are_none_are_refused(stage: Stage, given: object) -> None:
    stage.call_with(lambda: "called", values.encode(given))
    answer = stage.sent()
    assert isinstance(answer, Raise)
    assert answer.kind == "ValueRefused"


def test_a_result_that_cannot_cross_is_an_exception_of_the_code(stage: Stage) -> None:
    stage.call(object)
    answer = stage.sent()
    assert isinstance(answer, Raise)
    assert "type builtins.object" in answer.message


def test_a_call_beside_others_does_not_hold_the_step(stage: Stage) -> None:
    proceed = threading.Event()
    stage.call(lambda: proceed.wait(PATIENCE) and "later", alone=False)
    stage.call(lambda: "at once")
    assert stage.sent() == Return(2, values.encode("at once"))
    proceed.set()
    assert stage.sent() == Return(1, values.encode("later"))


def test_a_function_that_ends_its_thread_has_raised(stage: Stage) -> None:
    stage.call(lambda: sys.exit("enough"), alone=False)
    assert stage.sent() == Raise(1, "SystemExit", "enough")


def test_where_no_thread_can_be_had_the_code_is_told(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", refuse)
    stage.call(lambda: "never", alone=False)
    assert stage.sent() == Raise(1, "RuntimeError", "can't start new thread")


def test_a_result_that_comes_after_its_step_is_sent_to_nobody(stage: Stage) -> None:
    def outlast() -> str:
        stage.session.receive(Done(1, "ok", None, "", truncated=False), 0.0)
        return "late"

    stage.call(outlast)
    assert stage.nothing_sent()


def test_the_code_waits_from_its_call_until_the_function_is_done(stage: Stage) -> None:
    clock = stage.session.step.clock

    def look() -> str:
        return "working" if clock.waiting_since is None else "waiting"

    stage.call(look)
    assert stage.sent() == Return(1, values.encode("waiting"))
    assert clock.waiting_since is None
