"""The worker's end of its one socket: frames in, frames out, never torn by the soft interrupt.

The soft interrupt is SIGINT. Its handler raises StepInterrupted in the main thread, once a step and
only while the code runs: as long as `shielded` is set it takes a note instead. Whatever the main
thread does with the socket in a step, it does in a `Shield`.
"""

from __future__ import annotations

import os
import signal
import socket
import threading
from types import FrameType, TracebackType

from rlm_sandbox.framing import FrameBuffer, frame
from rlm_sandbox.patience import Patience
from rlm_sandbox.protocol import ForWorker, FromWorker, decode_for_worker, encode

RECEIVE_BYTES = 64 * 1024
LARGEST_RECEIVE = 16 * 1024 * 1024
UNLIMITED = 2**32 - 1  # the worker trusts the controller


class StepInterrupted(BaseException):
    """The controller asks the step to end now. Not an Exception, as KeyboardInterrupt is none."""


class Channel:
    def __init__(self, sock: socket.socket) -> None:
        self.socket = sock
        self._buffer = FrameBuffer(cap=UNLIMITED)
        self._sending = threading.Lock()
        self._patience = Patience()
        self.main_thread = threading.main_thread().ident
        self.shielded = True
        self.interrupted = False

    def reopen(self, sock: socket.socket) -> None:
        """In a woken checkpoint: this is the socket now, and no other thread is left."""
        self.socket = sock
        self._buffer = FrameBuffer(cap=UNLIMITED)
        self._sending = threading.Lock()
        self.interrupted = False

    def receive(self) -> ForWorker:
        """The next message. Ends the process when the controller is gone."""
        buffer = self._buffer
        payload = buffer.next_frame() if not buffer.empty else None
        while payload is None:
            size = max(RECEIVE_BYTES, min(buffer.wanted, LARGEST_RECEIVE))
            data = self._patience.receive(self.socket, size)
            if not data:
                os._exit(0)
            payload = buffer.take(data)
        return decode_for_worker(payload)

    def receive_descriptor(self) -> int:
        """The descriptor that comes with the one byte that the worker has asked for."""
        _, descriptors, _, _ = socket.recv_fds(self.socket, 1, 1)
        if not descriptors:
            os._exit(0)
        return descriptors[0]

    def send(self, message: FromWorker) -> None:
        data = frame(encode(message))
        if self.shielded:  # as it is between two cells
            with self._sending:
                self.socket.sendall(data)
        else:
            with Shield(self), self._sending:
                self.socket.sendall(data)

    def listen_for_interrupts(self) -> None:
        signal.signal(signal.SIGINT, self._on_interrupt)

    def lift_shield(self) -> None:
        """From here on an interrupt is raised; at once if one came in the meantime."""
        self.shielded = False
        if self.interrupted:
            self.shielded, self.interrupted = True, False
            raise StepInterrupted

    def _on_interrupt(self, _signal: int, _frame: FrameType | None) -> None:
        if self.shielded:
            self.interrupted = True
        else:
            self.shielded = True
            raise StepInterrupted


class Shield:
    """Puts an interrupt off until the block is left. Changes nothing in other threads."""

    __slots__ = ("_channel", "_lifts")

    def __init__(self, channel: Channel) -> None:
        self._channel = channel
        self._lifts = False

    def __enter__(self) -> None:
        channel = self._channel
        if not channel.shielded and threading.get_ident() == channel.main_thread:
            channel.shielded = self._lifts = True

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._lifts:
            self._channel.lift_shield()
