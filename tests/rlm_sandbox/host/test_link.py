"""No bytes on the session socket crash or hang the controller, and no reply goes astray."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rlm_sandbox import values
from rlm_sandbox.errors import SessionLost, ValueRefused
from rlm_sandbox.framing import frame
from rlm_sandbox.host.host_calls import THREADS
from rlm_sandbox.host.link import Link
from rlm_sandbox.host.terms import Terms
from rlm_sandbox.limits import Limits
from rlm_sandbox.protocol import (
    ENVELOPE_BYTES,
    ERROR_CHARS,
    Answer,
    Attend,
    Call,
    Done,
    Exec,
    FromWorker,
    Output,
    Raise,
    Ready,
    Refusal,
    Return,
    encode,
)
from rlm_sandbox.result import Outcome
from rlm_sandbox.session import ProtocolViolation, WorkerGone
from tests.rlm_sandbox.host.fake_worker import PATIENCE, FakeProcess, FakeWorker
from tests.waiting import until

LIMITS = Limits(step_seconds=PATIENCE, value_bytes=100_000, host_calls=50, concurrent_calls=8)
DONE = Done(1, "ok", None, "", truncated=False)
NO_ARGUMENTS = values.encode([[], {}])


def echo(*args: object, **kwargs: object) -> list[object]:
    return [list(args), kwargs]


@contextmanager
def linked(
    functions: Mapping[str, Callable[..., object]] | None = None, limits: Limits = LIMITS
) -> Generator[tuple[Link, FakeProcess]]:
    functions = {"echo": echo} if functions is None else functions
    worker = FakeWorker()
    try:
        yield Link(worker, worker.first, Terms(limits, functions, None)), worker.first
    finally:
        worker.release()


@contextmanager
def playing(part: Callable[[], None]) -> Generator[None]:
    """The worker's part is played by a thread; what fails in it fails the test."""
    failures: list[BaseException] = []

    def play() -> None:
        try:
            part()
        except BaseException as error:
            failures.append(error)

    thread = threading.Thread(target=play, daemon=True)
    thread.start()
    yield
    thread.join(PATIENCE)
    assert not thread.is_alive(), "the worker's part never ended"
    assert not failures, failures


def call(number: int, *, alone: bool = True, arguments: bytes = NO_ARGUMENTS) -> Call:
    return Call(number, 0, arguments, alone)


# --- any bytes ----------------------------------------------------------------------------------

numbers = st.integers(-1, 4) | st.just(2**40)
messages: st.SearchStrategy[FromWorker] = st.one_of(
    st.just(Ready()),
    st.builds(Call, numbers, numbers, st.just(NO_ARGUMENTS) | st.binary(), st.booleans()),
    st.builds(Output, st.text(max_size=50)),
    st.builds(
        Done,
        numbers,
        st.sampled_from(["ok", "error", "memory", "output", "exited", "interrupted"]),
        st.none() | st.text(max_size=20),
        st.text(max_size=20),
        st.booleans(),
    ),
    st.builds(Attend, numbers),
    st.builds(Answer, numbers, st.binary()),
    st.builds(Refusal, numbers, st.just("refused"), st.text(max_size=20)),
)
fields = st.dictionaries(
    st.sampled_from(["type", "call", "step", "request", "value", "text", "extra"]),
    st.sampled_from(["Call", "Done", "Answer", "Exec", "Nothing"])
    | st.integers(-(2**63), 2**64 - 1)
    | st.lists(st.none()),
)
hostile = st.lists(
    st.one_of(
        st.binary(max_size=64),  # not even frames
        st.binary(max_size=64).map(frame),
        st.builds(lambda size: size.to_bytes(4, "big"), st.integers(0, 2**32 - 1)),  # lies
        fields.map(msgspec.msgpack.encode).map(frame),
        messages.map(encode).map(frame),  # in and out of turn, forged numbers
        st.builds(lambda message, cut: frame(encode(message))[:-cut], messages, st.integers(1, 9)),
        st.integers(1, 5_000).map(lambda deep: frame(b"\x91" * deep)),
    ),
    max_size=8,
).map(b"".join)


@settings(max_examples=60)
@given(hostile)
def test_any_bytes_while_a_step_runs_end_it_or_break_the_protocol(data: bytes) -> None:
    with linked() as (link, process):
        process.say_bytes(data)
        process.leave()
        try:
            assert isinstance(link.run("x"), Done)
        except (WorkerGone, ProtocolViolation):
            return


@settings(max_examples=40)
@given(hostile, st.sampled_from(["get", "set", "describe", "load", "install"]))
def test_any_bytes_while_it_is_asked_give_an_answer_or_an_error_of_ours(
    data: bytes, request: str
) -> None:
    ask: dict[str, Callable[[Link], object]] = {
        "get": lambda link: link.get("x"),
        "set": lambda link: link.set("x", 1),
        "describe": lambda link: link.describe(),
        "load": load_some_text,
        "install": lambda link: link.install("__all__ = []", {}, None),
    }
    with linked() as (link, process):
        process.say_bytes(data)
        process.leave()
        try:
            ask[request](link)
        except (WorkerGone, ProtocolViolation, ValueRefused, KeyError, SessionLost):
            return


def load_some_text(link: Link) -> None:
    descriptor = os.memfd_create("text")
    try:
        link.load("P", descriptor, 5)
    finally:
        os.close(descriptor)


def violation(data: bytes) -> str:
    with linked() as (link, process):
        process.say_bytes(data)
        with pytest.raises(ProtocolViolation) as caught:
            link.run("x")
    return str(caught.value)


def test_a_length_above_the_cap_is_a_violation_at_once() -> None:
    cap = LIMITS.value_bytes + ENVELOPE_BYTES
    assert "at most" in violation((cap + 1).to_bytes(4, "big"))


def test_deep_nesting_is_a_violation() -> None:
    assert violation(frame(b"\x91" * 100_000))
    answer = msgspec.msgpack.encode({"type": "Call", "arguments": None})[:-1]
    assert violation(frame(answer + b"\x91" * 100_000))


def test_an_unknown_message_and_an_unknown_field_are_violations() -> None:
    assert "Nothing" in violation(frame(msgspec.msgpack.encode({"type": "Nothing"})))
    extra = {"type": "Output", "text": "", "extra": 1}
    assert "extra" in violation(frame(msgspec.msgpack.encode(extra)))


def test_an_empty_frame_is_a_violation() -> None:
    assert violation(frame(b""))


def test_an_answer_in_a_step_and_a_call_between_steps_are_violations() -> None:
    assert "Answer while running" in violation(frame(encode(Answer(1, b"\xc0"))))
    with linked() as (link, process):
        process.say(call(1))
        with pytest.raises(ProtocolViolation, match="Call while asked"):
            link.get("x")


def test_a_truncated_frame_and_then_silence_is_a_worker_that_is_gone() -> None:
    with linked() as (link, process):
        process.say_bytes(frame(encode(DONE))[:-3])
        process.leave()
        with pytest.raises(WorkerGone):
            link.run("x")


def open_files() -> set[str]:
    return {entry.name for entry in Path("/proc/self/fd").iterdir()}


def test_descriptors_sent_along_are_not_taken() -> None:
    with linked() as (link, process):
        before = open_files()
        gift = os.open("/dev/null", os.O_RDONLY)
        try:
            socket.send_fds(process.peer, [frame(encode(DONE))], [gift] * 20)
        finally:
            os.close(gift)
        assert link.run("x") == DONE
        assert open_files() == before


def test_a_worker_that_says_nothing_is_ended_at_the_steps_limit() -> None:
    with linked(limits=Limits(step_seconds=0.05)) as (link, process):
        with pytest.raises(WorkerGone):
            link.run("x")
        assert process.killed
        assert link.guard is not None
        assert link.guard.stopped is Outcome.TIMEOUT


def test_a_worker_whose_process_is_gone_is_not_waited_for() -> None:
    with linked() as (link, process):
        process.resident = 0  # its socket is open still: a process that it forked holds it
        with pytest.raises(WorkerGone):
            link.run("x")


def test_a_worker_that_reads_no_replies_cannot_stop_the_clock() -> None:
    reply = "x" * 90_000
    with linked({"big": lambda: reply}, Limits(step_seconds=0.2)) as (link, process):
        for number in range(1, 20):  # more than the socket holds: their threads wait for each other
            process.say(call(number, alone=False))
        with pytest.raises(WorkerGone):
            link.run("x")
        assert link.guard is not None
        assert link.guard.stopped is Outcome.TIMEOUT


# --- host calls ---------------------------------------------------------------------------------


def result_of_call(
    function: Callable[..., object], arguments: bytes = NO_ARGUMENTS, *, alone: bool = True
) -> Return | Raise:
    replies: list[Return | Raise] = []

    with linked({"function": function}) as (link, process):

        def part() -> None:
            assert isinstance(process.hear(), Exec)
            process.say(call(1, alone=alone, arguments=arguments))
            reply = process.hear()
            assert isinstance(reply, Return | Raise)
            replies.append(reply)
            process.say(DONE)

        with playing(part):
            link.run("x")
    return replies[0]


@pytest.mark.parametrize("alone", [True, False])
def test_a_call_returns_what_the_function_returned(alone: bool) -> None:
    arguments = values.encode([[1, (2,)], {"key": {3}}])
    reply = result_of_call(echo, arguments, alone=alone)
    assert isinstance(reply, Return)
    assert values.decode(reply.value) == [[1, (2,)], {"key": {3}}]


def raise_it(error: BaseException) -> Callable[[], object]:
    def function() -> object:
        raise error

    return function


class MaxRecursionExceeded(Exception):
    pass


class Unreadable(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no")


@pytest.mark.parametrize(
    ("error", "kind", "message"),
    [
        (ValueError("bad"), "ValueError", "bad"),
        (KeyError("key"), "KeyError", "key"),
        (MaxRecursionExceeded("deep"), "MaxRecursionExceeded", "deep"),
        (ValueError("half \ud800"), "ValueError", "half \\ud800"),
        (ValueError("x" * 10**6), "ValueError", "x" * ERROR_CHARS),
        (Unreadable(), "Unreadable", "(it has no readable message)"),
    ],
    ids=lambda value: str(value)[:20] if isinstance(value, str) else type(value).__name__,
)
@pytest.mark.parametrize("alone", [True, False])
def test_an_exception_goes_back_by_name_and_message(
    error: BaseException, kind: str, message: str, alone: bool
) -> None:
    assert result_of_call(raise_it(error), alone=alone) == Raise(1, kind, message)


def test_a_function_that_leaves_its_thread_is_an_exception_in_the_code() -> None:
    assert result_of_call(raise_it(SystemExit("bye")), alone=False) == Raise(1, "SystemExit", "bye")


@pytest.mark.parametrize(
    "arguments",
    [b"", b"\xc1", *map(values.encode, [None, [1, 2], [[], {}, 1], [[], {1: 2}], ([], {})])],
    ids=repr,
)
def test_arguments_that_are_none_are_refused_without_a_call(arguments: bytes) -> None:
    reply = result_of_call(raise_it(AssertionError("it was called")), arguments)
    assert isinstance(reply, Raise)
    assert reply.kind == "ValueRefused"


def test_a_result_that_cannot_cross_is_refused_with_its_type() -> None:
    reply = result_of_call(object)
    assert isinstance(reply, Raise)
    assert (reply.kind, "builtins.object" in reply.message) == ("ValueRefused", True)


def test_calls_of_several_threads_are_served_at_once() -> None:
    meeting = threading.Barrier(3, timeout=PATIENCE)  # passed only if all three are served at once
    with linked({"meet": meeting.wait}) as (link, process):

        def part() -> None:
            process.hear()
            process.say(*(call(number, alone=False) for number in (1, 2, 3)))
            replies = [process.hear() for _ in range(3)]
            assert {reply.call for reply in replies if isinstance(reply, Return)} == {1, 2, 3}
            process.say(DONE)

        with playing(part):
            link.run("x")


def test_a_reply_that_comes_after_its_step_is_never_sent() -> None:
    going, gone = threading.Event(), threading.Event()

    def slow() -> None:
        going.set()
        gone.wait(PATIENCE)

    with linked({"slow": slow}) as (link, process):

        def part() -> None:
            process.hear()
            process.say(call(1, alone=False))
            going.wait(PATIENCE)
            process.say(DONE)
            assert process.hear() == Exec(2, "y")
            gone.set()
            join_host_calls()
            process.say(Done(2, "ok", None, "", truncated=False))

        with playing(part):
            link.run("x")
            link.run("y")
        process.peer.settimeout(0)
        with pytest.raises(BlockingIOError):
            process.peer.recv(1)


def join_host_calls() -> None:
    until(lambda: THREADS.end_idle() or "rlm-host-call" not in names_of_threads())


def names_of_threads() -> set[str]:
    return {thread.name for thread in threading.enumerate()}


def test_calls_beyond_the_limit_get_an_error_and_the_step_goes_on() -> None:
    with linked(limits=Limits(host_calls=1)) as (link, process):

        def part() -> None:
            process.hear()
            process.say(call(1))
            assert isinstance(process.hear(), Return)
            process.say(call(2))
            refusal = process.hear()
            assert isinstance(refusal, Raise)
            assert (refusal.kind, "at most 1 calls" in refusal.message) == ("RuntimeError", True)
            process.say(DONE)

        with playing(part):
            assert link.run("x") == DONE


# --- requests -----------------------------------------------------------------------------------


def test_a_refusal_is_the_error_that_its_reason_says() -> None:
    reasons: list[tuple[str, type[Exception]]] = [
        ("missing", KeyError),
        ("refused", ValueRefused),
        ("failed", SessionLost),
    ]
    with linked() as (link, process):
        for number, (reason, kind) in enumerate(reasons, start=1):
            process.say(msgspec.convert(refusal(number, reason), Refusal))
            with pytest.raises(kind, match="because"):
                link.get("x")
            assert link.idle


def refusal(number: int, reason: str) -> dict[str, object]:
    return {"type": "Refusal", "request": number, "reason": reason, "message": "because"}


def test_an_answer_is_read_as_hostile_bytes() -> None:
    with linked() as (link, process):
        process.say(Answer(1, b"\xdd\xff\xff\xff\xff"))
        with pytest.raises(ValueRefused):
            link.get("x")
        process.say(Answer(2, values.encode("x" * LIMITS.value_bytes)))
        with pytest.raises(ValueRefused, match="at most 100,000"):
            link.get("x")
