"""The worker's socket: whole frames in and out, and an interrupt that never tears one."""

from __future__ import annotations

import signal
import socket
import sys
import threading
from collections.abc import Iterator

import pytest

from rlm_sandbox.framing import FrameBuffer, frame
from rlm_sandbox.protocol import Exec, Output, Return, decode_from_worker, encode
from rlm_sandbox.worker.channel import Channel, Shield, StepInterrupted


@pytest.fixture
def ends(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Channel, socket.socket]]:
    ours, theirs = socket.socketpair()
    monkeypatch.setattr("os._exit", sys.exit)  # a worker ends with its socket; this process not
    before = signal.getsignal(signal.SIGINT)
    with ours, theirs:
        channel = Channel(ours)
        channel.listen_for_interrupts()
        yield channel, theirs
        signal.signal(signal.SIGINT, before)


Ends = tuple[Channel, socket.socket]


def test_messages_come_in_whole_however_they_arrive(ends: Ends) -> None:
    channel, controller = ends
    first, second = Exec(1, "x" * 200_000), Return(1, b"y")
    stream = frame(encode(first)) + frame(encode(second))
    feeder = threading.Thread(target=controller.sendall, args=(stream,))
    feeder.start()
    assert channel.receive() == first
    assert channel.receive() == second
    feeder.join()


def test_messages_of_several_threads_leave_one_after_the_other(ends: Ends) -> None:
    channel, controller = ends
    texts = [letter * 50_000 for letter in "abcd"]
    threads = [threading.Thread(target=channel.send, args=(Output(text),)) for text in texts]
    for thread in threads:
        thread.start()
    buffer, heard = FrameBuffer(cap=10**6), set()
    while len(heard) < 4:
        buffer.feed(controller.recv(1 << 16))
        while (payload := buffer.next_frame()) is not None:
            message = decode_from_worker(payload)
            assert isinstance(message, Output)
            heard.add(message.text)
    for thread in threads:
        thread.join()
    assert heard == set(texts)


def test_an_interrupt_ends_the_step_once(ends: Ends) -> None:
    channel, _ = ends
    channel.shielded = False
    with pytest.raises(StepInterrupted):
        signal.raise_signal(signal.SIGINT)
    signal.raise_signal(signal.SIGINT)  # a second one is noted only


def test_an_interrupt_between_steps_is_noted_only(ends: Ends) -> None:
    channel, _ = ends
    signal.raise_signal(signal.SIGINT)
    assert channel.interrupted


def test_an_interrupt_is_put_off_to_the_end_of_a_shield(ends: Ends) -> None:
    channel, _ = ends
    channel.shielded = False
    reached = []
    with pytest.raises(StepInterrupted):  # noqa: PT012 - where in the block is the question
        with Shield(channel):
            with Shield(channel):
                signal.raise_signal(signal.SIGINT)
                reached.append("inner")
            reached.append("outer")
        reached.append("behind")
    assert reached == ["inner", "outer"]


def test_a_shield_without_an_interrupt_leaves_the_channel_as_it_was(ends: Ends) -> None:
    channel, _ = ends
    for shielded in (True, False):
        channel.shielded = shielded
        with Shield(channel):
            assert channel.shielded
        assert channel.shielded is shielded


def test_a_shield_in_another_thread_does_not_keep_the_main_thread_from_an_interrupt(
    ends: Ends,
) -> None:
    channel, _ = ends
    channel.shielded = False
    inside, leave = threading.Event(), threading.Event()

    def hold() -> None:
        with Shield(channel):
            inside.set()
            leave.wait()

    thread = threading.Thread(target=hold)
    thread.start()
    inside.wait()
    try:
        with pytest.raises(StepInterrupted):
            signal.raise_signal(signal.SIGINT)
    finally:
        leave.set()
        thread.join()


def test_a_frame_that_an_interrupt_meets_leaves_whole(ends: Ends) -> None:
    channel, controller = ends
    channel.shielded = False
    text = "x" * 2_000_000  # more than the socket holds: the send waits for the reader
    main = threading.main_thread().ident
    assert main is not None
    buffer = FrameBuffer(cap=10**7)
    heard: list[object] = []

    def read() -> None:
        buffer.feed(controller.recv(1000))
        signal.pthread_kill(main, signal.SIGINT)  # in the midst of the frame
        while (payload := buffer.next_frame()) is None:
            buffer.feed(controller.recv(1 << 16))
        heard.append(decode_from_worker(payload))

    reader = threading.Thread(target=read)
    reader.start()
    with pytest.raises(StepInterrupted):
        channel.send(Output(text))
    reader.join()
    assert heard == [Output(text)]


def test_a_worker_ends_when_its_controller_has_hung_up(ends: Ends) -> None:
    channel, controller = ends
    controller.close()
    with pytest.raises(SystemExit) as ending:
        channel.receive()
    assert ending.value.code == 0
