"""The socket to one session process: messages out, hostile bytes in, decoded strictly."""

from __future__ import annotations

import errno
import math
import select
import socket
import threading
import time
from array import array
from contextlib import suppress

import msgspec

from rlm_sandbox.framing import FrameBuffer, FrameTooLarge, frame
from rlm_sandbox.patience import Patience
from rlm_sandbox.protocol import (
    ENVELOPE_BYTES,
    ForWorker,
    FromWorker,
    decode_from_worker,
    encode,
)
from rlm_sandbox.session import ProtocolViolation, WorkerGone

RECEIVE_BYTES = 64 * 1024
LARGEST_RECEIVE = 4 * 1024 * 1024


class Line:
    """One reads from it at a time; any thread may send."""

    def __init__(self, sock: socket.socket, value_bytes: int) -> None:
        """`value_bytes`: the most that a value takes which comes from the worker."""
        self._socket = sock
        self._buffer = FrameBuffer(cap=value_bytes + ENVELOPE_BYTES)
        self._patience = Patience()
        self.sending = threading.Lock()
        """Held while a frame leaves."""

    def send(self, message: ForWorker, *, within: float | None = None) -> None:
        """Raises WorkerGone; and TimeoutError if it does not read within so many seconds.

        Nor another thread's frame: one that nobody reads keeps all the others waiting.
        """
        data = frame(encode(message))
        if not self.sending.acquire(timeout=-1 if within is None else within):
            raise TimeoutError
        try:
            self.send_frame(data, within)
        finally:
            self.sending.release()

    def send_frame(self, data: bytes, within: float | None = None) -> None:
        """As `send`, of a whole frame. The caller holds `sending`."""
        try:
            if within is None:
                self._socket.sendall(data)
            else:
                self._send_within(data, within)
        except TimeoutError:
            raise
        except OSError as error:
            raise WorkerGone(str(error)) from None

    def _send_within(self, data: bytes, seconds: float) -> None:
        deadline = time.monotonic() + seconds
        left = memoryview(data)
        while left:
            try:
                left = left[self._socket.send(left, socket.MSG_DONTWAIT) :]
            except BlockingIOError:
                self._await(select.POLLOUT, deadline)

    def send_descriptor(self, descriptor: int, within: float) -> None:
        """Hand over a descriptor, with the one byte that carries it.

        Raises WorkerGone; and TimeoutError if there is no room for the byte for so many seconds.
        """
        deadline = time.monotonic() + within
        rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array("i", [descriptor]))]
        try:
            while True:
                with suppress(BlockingIOError):
                    self._socket.sendmsg([b"\0"], rights, socket.MSG_DONTWAIT)
                    return
                self._await(select.POLLOUT, deadline)
        except TimeoutError:
            raise
        except OSError as error:
            raise WorkerGone(str(error)) from None

    def receive(self, deadline: float | None = None) -> FromWorker:
        """The next message. Raises WorkerGone, ProtocolViolation, and TimeoutError at the deadline.

        The deadline is for the whole message: one that drips in is late, too.
        """
        buffer = self._buffer
        try:
            payload = buffer.next_frame() if not buffer.empty else None
            while payload is None:
                data = self._read(max(RECEIVE_BYTES, min(buffer.wanted, LARGEST_RECEIVE)), deadline)
                if not data:
                    raise WorkerGone("it closed its socket")
                payload = buffer.take(data)
            return decode_from_worker(payload)
        except TimeoutError:
            raise
        except OSError as error:
            raise WorkerGone(str(error)) from None
        except (msgspec.MsgspecError, RecursionError, FrameTooLarge, ValueError) as error:
            raise ProtocolViolation(str(error)) from None

    def _read(self, size: int, deadline: float | None) -> bytes:
        if deadline is None:
            return self._patience.receive(self._socket, size)
        self._await(select.POLLIN, deadline)
        return self._socket.recv(size)

    def _await(self, event: int, deadline: float) -> None:
        """Return when the socket can be read, or written to. Raises TimeoutError at the deadline.

        The socket itself has no time limit: to set one and take it away are two calls of the
        system, in each of which this thread lets go of the interpreter.
        """
        left = deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError
        poll = select.poll()
        try:
            poll.register(self._socket, event)
        except ValueError:
            raise OSError(errno.EBADF, "the socket was closed") from None
        if not poll.poll(math.ceil(left * 1000)):
            raise TimeoutError
