"""Host functions from the code's side: any thread may call, each gets its own reply."""

from __future__ import annotations

import socket
import sys
import threading
from collections.abc import Iterator

import pytest

from rlm_sandbox import values
from rlm_sandbox.errors import ValueRefused
from rlm_sandbox.framing import FrameBuffer, frame
from rlm_sandbox.protocol import (
    Call,
    Describe,
    ForWorker,
    Raise,
    Return,
    decode_from_worker,
    encode,
)
from rlm_sandbox.worker.bridge import Bridge, HostError, HostFunction
from rlm_sandbox.worker.channel import Channel


class Controller:
    """The far end of a bridge, played by the test."""

    def __init__(self, sock: socket.socket) -> None:
        self._socket = sock
        self._buffer = FrameBuffer(cap=10**7)

    def say(self, *messages: ForWorker) -> None:
        for message in messages:
            self._socket.sendall(frame(encode(message)))

    def hear_call(self) -> Call:
        while (payload := self._buffer.next_frame()) is None:
            self._buffer.feed(self._socket.recv(1 << 16))
        call = decode_from_worker(payload)
        assert isinstance(call, Call)
        return call


Ends = tuple[Bridge, Controller]


@pytest.fixture
def ends(monkeypatch: pytest.MonkeyPatch) -> Iterator[Ends]:
    ours, theirs = socket.socketpair()
    monkeypatch.setattr("os._exit", sys.exit)  # a worker ends with its socket; this process not
    with ours, theirs:
        theirs.settimeout(20)
        yield Bridge(Channel(ours), concurrent_calls=4, value_bytes=10_000), Controller(theirs)


class Caller(threading.Thread):
    """A thread of the code that makes one call."""

    def __init__(self, bridge: Bridge, *args: object) -> None:
        super().__init__(daemon=True)
        self._function = HostFunction(bridge, 0, "f")
        self._args_of_call = args
        self.result: object = None
        self.error: Exception | None = None
        self.start()

    def run(self) -> None:
        try:
            self.result = self._function(*self._args_of_call)
        except Exception as error:
            self.error = error

    def done(self) -> Caller:
        self.join(20)
        assert not self.is_alive()
        return self


def test_a_call_carries_its_arguments_and_brings_its_result(ends: Ends) -> None:
    bridge, controller = ends
    bridge.begin_step()
    caller = Caller(bridge, 1, (2,))
    call = controller.hear_call()
    assert values.decode(call.arguments) == [[1, (2,)], {}]
    assert (call.call, call.function) == (1, 0)
    controller.say(Return(1, values.encode({3})))
    assert caller.done().result == {3}


def test_replies_in_any_order_find_their_callers(ends: Ends) -> None:
    bridge, controller = ends
    bridge.begin_step()
    callers = {name: Caller(bridge, name) for name in "abcd"}
    calls = [controller.hear_call() for _ in callers]
    assert [call.call for call in calls] == [1, 2, 3, 4]
    for call in reversed(calls):
        decoded = values.decode(call.arguments)
        assert isinstance(decoded, list)
        controller.say(Return(call.call, values.encode(decoded[0][0] * 2)))
    assert {name: caller.done().result for name, caller in callers.items()} == {
        name: name * 2 for name in "abcd"
    }


def test_a_thread_whose_reply_has_come_leaves_the_reading_to_one_that_still_waits(
    ends: Ends,
) -> None:
    bridge, controller = ends
    bridge.begin_step()
    callers = []
    for number in (1, 2, 3):
        callers.append(Caller(bridge))
        assert controller.hear_call().call == number
    for number, caller in enumerate(callers, start=1):  # the first is the one that reads
        controller.say(Return(number, values.encode(number)))
        assert caller.done().result == number


def test_no_more_calls_are_under_way_than_allowed(ends: Ends) -> None:
    bridge, controller = ends
    bridge.begin_step()
    callers = [Caller(bridge) for _ in range(6)]
    for number in range(1, 5):
        assert controller.hear_call().call == number
    controller._socket.settimeout(0.05)
    with pytest.raises(TimeoutError):
        controller.hear_call()
    controller._socket.settimeout(20)
    for number in range(1, 7):
        controller.say(Return(number, values.encode(None)))
        if number <= 2:
            assert controller.hear_call().call == number + 4
    for caller in callers:
        assert caller.done().error is None


def test_a_command_reaches_the_main_thread_whichever_thread_reads_it(ends: Ends) -> None:
    bridge, controller = ends
    bridge.begin_step()
    caller = Caller(bridge)
    controller.hear_call()
    controller.say(Describe(1))
    assert bridge.next_command() == Describe(1)
    controller.say(Return(1, values.encode("late")), Describe(2))
    assert bridge.next_command() == Describe(2)
    assert caller.done().result == "late"


def test_a_call_ends_with_its_step(ends: Ends) -> None:
    bridge, controller = ends
    bridge.begin_step()
    caller = Caller(bridge)
    controller.hear_call()
    bridge.end_step()
    controller.say(Return(1, values.encode("too late")), Describe(1))
    assert bridge.next_command() == Describe(1)
    assert "the step that made this call has ended" in str(caller.done().error)


def test_between_steps_nothing_can_be_called(ends: Ends) -> None:
    bridge, _ = ends
    error = Caller(bridge).done().error
    assert isinstance(error, RuntimeError)
    assert "only while a step runs" in str(error)


def test_calls_are_numbered_anew_in_each_step(ends: Ends) -> None:
    bridge, controller = ends
    for _ in range(2):
        bridge.begin_step()
        caller = Caller(bridge)
        assert controller.hear_call().call == 1
        controller.say(Return(1, values.encode(None)))
        caller.done()
        bridge.end_step()


def raised(ends: Ends, reply: Raise) -> Exception | None:
    bridge, controller = ends
    bridge.begin_step()
    caller = Caller(bridge)
    controller.hear_call()
    controller.say(reply)
    return caller.done().error


@pytest.mark.parametrize("kind", [ValueError, KeyError, TimeoutError, PermissionError])
def test_an_exception_of_a_builtin_class_is_of_that_class(
    ends: Ends, kind: type[Exception]
) -> None:
    error = raised(ends, Raise(1, kind.__name__, "why"))
    assert type(error) is kind
    assert error.args == ("why",)


@pytest.mark.parametrize(
    "kind", ["MaxRecursionExceeded", "UnicodeDecodeError", "SystemExit", "int"]
)
def test_any_other_exception_is_of_a_class_of_that_name(ends: Ends, kind: str) -> None:
    error = raised(ends, Raise(1, kind, "why"))
    assert isinstance(error, HostError)
    assert (type(error).__name__, str(error)) == (kind, "why")


def test_a_refused_value_is_one_on_this_side_too(ends: Ends) -> None:
    assert isinstance(raised(ends, Raise(1, "ValueRefused", "why")), ValueRefused)


def test_arguments_that_cannot_cross_are_refused_before_anything_is_sent(ends: Ends) -> None:
    bridge, controller = ends
    bridge.begin_step()
    for value in (object(), "x" * 20_000):
        assert isinstance(Caller(bridge, value).done().error, ValueRefused)
    caller = Caller(bridge)
    assert controller.hear_call().call == 1  # the refused ones took no number
    controller.say(Return(1, values.encode(None)))
    assert caller.done().error is None


def test_a_host_function_shows_its_name() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        bridge = Bridge(Channel(ours), concurrent_calls=1, value_bytes=10)
        assert repr(HostFunction(bridge, 0, "ask")) == "<host function ask>"
