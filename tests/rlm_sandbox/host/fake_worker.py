"""A worker that says whatever a test makes it say, over a real socket."""

from __future__ import annotations

import signal
import socket

from rlm_sandbox.framing import FrameBuffer, frame
from rlm_sandbox.host.worker import Death
from rlm_sandbox.host.zygote import Breed
from rlm_sandbox.protocol import (
    ForWorker,
    FromWorker,
    Ready,
    Spawn,
    decode_for_worker,
    encode,
)

PATIENCE = 20.0


class FakeWorker:
    """Stands in for `rlm_sandbox.host.worker.Worker`; `peer` is what hostile code would hold."""

    pid = 0

    def __init__(self, breed: Breed, spawn: Spawn) -> None:
        self.socket, self.peer = socket.socketpair()
        self.peer.settimeout(PATIENCE)
        self.buffer = FrameBuffer(cap=2**32 - 1)
        self.killed = False
        self.resident = 10 * 2**20
        self.cpu = 0.0
        self.say(Ready())

    def say(self, *messages: FromWorker) -> None:
        for message in messages:
            self.peer.sendall(frame(encode(message)))

    def say_bytes(self, data: bytes) -> None:
        """Send these bytes; a controller that has hung up meanwhile takes no more."""
        try:
            self.peer.sendall(data)
        except (BrokenPipeError, ConnectionResetError):
            return

    def hear(self) -> ForWorker:
        """The controller's next message."""
        while (payload := self.buffer.next_frame()) is None:
            data = self.peer.recv(1 << 20)
            assert data, "the controller has hung up"
            self.buffer.feed(data)
        return decode_for_worker(payload)

    def leave(self) -> None:
        """End the conversation after what has been said."""
        self.peer.shutdown(socket.SHUT_WR)

    # --- as the controller uses it ---

    def cpu_seconds(self) -> float:
        return self.cpu

    def resident_bytes(self) -> int:
        return self.resident

    def peak_bytes(self) -> int:
        return self.resident

    def allow_memory(self, memory: int) -> None:
        assert memory > 0

    def interrupt(self) -> None:
        """It does not listen."""

    def kill(self) -> None:
        self.killed = True

    def death(self) -> Death:
        return Death(signal.SIGKILL, 0)

    def close(self) -> None:
        self.socket.close()
        self.peer.close()
