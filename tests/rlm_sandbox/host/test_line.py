"""Messages go out whole; what comes in is a message, an error of ours, or late."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from typing import NoReturn

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rlm_sandbox.framing import FrameBuffer, frame
from rlm_sandbox.host.line import Line
from rlm_sandbox.protocol import Exec, Output, Ready, decode_for_worker, encode
from rlm_sandbox.session import ProtocolViolation, WorkerGone

VALUE_BYTES = 1_000


@pytest.fixture
def ends() -> Iterator[tuple[Line, socket.socket]]:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        yield Line(ours, VALUE_BYTES), theirs


def test_what_is_sent_is_a_frame(ends: tuple[Line, socket.socket]) -> None:
    line, theirs = ends
    line.send(Exec(1, "x = 1"))
    buffer = FrameBuffer(cap=10_000)
    buffer.feed(theirs.recv(10_000))
    assert decode_for_worker(buffer.next_frame() or b"") == Exec(1, "x = 1")


def test_messages_come_one_by_one_however_they_arrive(ends: tuple[Line, socket.socket]) -> None:
    line, theirs = ends
    stream = frame(encode(Output("a"))) + frame(encode(Output("b"))) + frame(encode(Ready()))
    theirs.sendall(stream[:7])
    rest = threading.Timer(0.02, theirs.sendall, (stream[7:],))
    rest.start()
    assert [line.receive() for _ in range(3)] == [Output("a"), Output("b"), Ready()]
    rest.join()


@given(data=st.binary(max_size=200))
def test_any_bytes_are_a_message_or_an_error_of_ours(data: bytes) -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        theirs.sendall(data)
        theirs.shutdown(socket.SHUT_WR)
        line = Line(ours, VALUE_BYTES)
        with pytest.raises((WorkerGone, ProtocolViolation)):
            read_on(line)


def read_on(line: Line) -> NoReturn:
    while True:
        line.receive()


def test_a_frame_above_the_cap_is_refused_by_its_length(ends: tuple[Line, socket.socket]) -> None:
    line, theirs = ends
    theirs.sendall((10_000_000).to_bytes(4, "big"))
    with pytest.raises(ProtocolViolation, match="10000000 bytes"):
        line.receive()


def test_a_message_that_drips_in_is_late(ends: tuple[Line, socket.socket]) -> None:
    line, theirs = ends
    theirs.sendall((100).to_bytes(4, "big"))
    over = threading.Event()

    def drip() -> None:
        while not over.wait(0.01):
            theirs.send(b"x")

    dripping = threading.Thread(target=drip)
    dripping.start()
    try:
        with pytest.raises(TimeoutError):
            line.receive(time.monotonic() + 0.1)
    finally:
        over.set()
        dripping.join()


def test_a_worker_that_does_not_read_is_late(ends: tuple[Line, socket.socket]) -> None:
    line, _ = ends
    with pytest.raises(TimeoutError):
        line.send(Exec(1, "x" * 10_000_000), within=0.05)


def test_nor_is_a_message_sent_in_time_that_another_one_keeps_waiting(
    ends: tuple[Line, socket.socket],
) -> None:
    line, _ = ends

    def send_more_than_fits() -> None:
        with pytest.raises(WorkerGone):
            line.send(Exec(1, "x" * 10_000_000))

    stuck = threading.Thread(target=send_more_than_fits)
    stuck.start()
    try:
        while not line.sending.locked():
            time.sleep(0.001)
        with pytest.raises(TimeoutError):
            line.send(Exec(2, "y"), within=0.05)
    finally:
        ends[1].close()
        stuck.join()


def test_a_worker_that_leaves_no_room_for_a_descriptor_is_late(
    ends: tuple[Line, socket.socket],
) -> None:
    line, _ = ends
    with pytest.raises(TimeoutError):
        line.send(Exec(1, "x" * 10_000_000), within=0.05)
    with pytest.raises(TimeoutError):
        line.send_descriptor(0, within=0.05)


def test_the_deadline_of_one_message_is_not_the_next_ones(
    ends: tuple[Line, socket.socket],
) -> None:
    line, theirs = ends
    with pytest.raises(TimeoutError):
        line.receive(time.monotonic() + 0.01)
    late = threading.Timer(0.1, theirs.sendall, (frame(encode(Ready())),))
    late.start()
    assert line.receive() == Ready()
    late.join()


def test_the_deadline_of_who_reads_is_not_that_of_who_sends(
    ends: tuple[Line, socket.socket],
) -> None:
    line, theirs = ends
    sent = threading.Event()

    def send_more_than_fits() -> None:
        line.send(Exec(1, "x" * 10_000_000))
        sent.set()

    sending = threading.Thread(target=send_more_than_fits)
    soon = threading.Timer(0.05, sending.start)
    soon.start()
    for _ in range(2):
        with pytest.raises(TimeoutError):
            line.receive(time.monotonic() + 0.3)
    assert sending.is_alive()
    left = 10_000_000
    while left > 0:
        left -= len(theirs.recv(1_000_000))
    assert sent.wait(60)
    sending.join()
    soon.join()


def test_a_long_message_goes_out_whole_in_time(ends: tuple[Line, socket.socket]) -> None:
    line, theirs = ends
    message = Exec(1, "x" * 10_000_000)
    buffer = FrameBuffer(cap=20_000_000)

    def read_slowly() -> None:
        while (payload := buffer.take(theirs.recv(100_000))) is None:
            pass
        assert decode_for_worker(payload) == message

    reading = threading.Thread(target=read_slowly)
    reading.start()
    line.send(message, within=60)
    reading.join()


def test_what_is_tried_on_a_closed_line_is_told(ends: tuple[Line, socket.socket]) -> None:
    ours, theirs = socket.socketpair()
    with theirs:
        line = Line(ours, VALUE_BYTES)
        ours.close()
        for attempt in (
            lambda: line.receive(time.monotonic() + 60),
            lambda: line.send(Exec(1, "1"), within=60),
            lambda: line.send_descriptor(0, within=60),
        ):
            with pytest.raises(WorkerGone):
                attempt()


def test_a_worker_that_has_gone_is_told_by_whatever_is_tried(
    ends: tuple[Line, socket.socket],
) -> None:
    line, theirs = ends
    theirs.close()
    with pytest.raises(WorkerGone, match="closed its socket"):
        line.receive()
    with pytest.raises(WorkerGone):
        line.send(Exec(1, "1"))
    with pytest.raises(WorkerGone):
        line.send_descriptor(0, within=1.0)
