"""The worker's end of its one socket: frames in, frames out, never torn by the soft interrupt.

The soft interrupt is SIGINT. Its handler raises StepInterrupted in the main thread, once a step and
only while the code runs: as long as `shielded` is set it takes a note instead.
"""

from __future__ import annotations

import os
import signal
import socket
import threading
from types import FrameType

from rlm_sandbox.framing import FrameBuffer, frame
from rlm_sandbox.protocol import ForWorker, FromWorker, decode_for_worker, encode

RECEIVE_BYTES = 64 * 1024
LARGEST_RECEIVE = 16 * 1024 * 1024
UNLIMITED = 2**32 - 1  # the worker trusts the controller


class StepInterrupted(BaseException):
    """The controller asks the step to end now. Not an Exception, as KeyboardInterrupt is none."""


class Channel:
    def __init__(self, sock: socket.socket) -> None:
        self._socket = sock
        self._buffer = FrameBuffer(cap=UNLIMITED)
        self._sending = threading.Lock()
        self.shielded = True
        self.interrupted = False

    def receive(self) -> ForWorker:
        """The next message. Ends the process when the controller is gone."""
        buffer = self._buffer
        while True:
            payload = buffer.next_frame()
            if payload is not None:
                return decode_for_worker(payload)
            data = self._socket.recv(max(RECEIVE_BYTES, min(buffer.wanted, LARGEST_RECEIVE)))
            if not data:
                os._exit(0)
            buffer.feed(data)

    def receive_descriptor(self) -> int:
        """The descriptor that comes with the one byte that the worker has asked for."""
        _, descriptors, _, _ = socket.recv_fds(self._socket, 1, 1)
        if not descriptors:
            os._exit(0)
        return descriptors[0]

    def send(self, message: FromWorker) -> None:
        with self._sending:
            self._socket.sendall(frame(encode(message)))

    def listen_for_interrupts(self) -> None:
        signal.signal(signal.SIGINT, self._on_interrupt)

    def _on_interrupt(self, _signal: int, _frame: FrameType | None) -> None:
        if self.shielded:
            self.interrupted = True
        else:
            self.shielded = True
            raise StepInterrupted
