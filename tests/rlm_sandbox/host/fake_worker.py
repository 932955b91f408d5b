"""A worker that says whatever a test makes it say, over a real socket."""

from __future__ import annotations

import signal
import socket
import threading

from rlm_sandbox.framing import FrameBuffer, frame
from rlm_sandbox.host.process import Death, SessionProcess
from rlm_sandbox.host.worker import Worker
from rlm_sandbox.protocol import (
    FIRST_SESSION,
    ForWorker,
    FromWorker,
    Ready,
    decode_for_worker,
    encode,
)

PATIENCE = 60.0


class FakeProcess(SessionProcess):
    """A session process that is none: `peer` is what hostile code would hold."""

    def __init__(self) -> None:
        self.number = FIRST_SESSION
        self.pid = 0
        self._pidfd = self._statm = -1
        self._closing = threading.Lock()
        self.socket, self.peer = socket.socketpair()
        self.peer.settimeout(PATIENCE)
        self.buffer = FrameBuffer(cap=2**32 - 1)
        self.killed = self.interrupted = 0
        self.resident = 10 * 2**20
        self.queued = 0.0
        self.spoken = False
        self.cpu = 0.0
        self.stands = False
        self.given_back = False

    # --- the worker's part ---

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

    @property
    def closed(self) -> bool:
        return self.given_back

    def cpu_seconds(self) -> float:
        return self.cpu

    def queued_seconds(self) -> float:
        return self.queued

    def has_spoken(self) -> bool:
        return self.spoken

    def resident_bytes(self) -> int:
        return self.resident

    def peak_bytes(self, seconds: float = 0.0) -> int:
        return self.resident

    def pause(self) -> None:
        self.stands = True

    def go_on(self) -> None:
        self.stands = False

    def interrupt(self) -> None:
        self.interrupted += 1

    def kill(self) -> None:
        self.killed += 1


class FakeWorker(Worker):
    """A worker with one session process, which is ready."""

    def __init__(self) -> None:
        self.first: FakeProcess = FakeProcess()
        self.allowed_memory: list[int] = []
        self.allowed_cpu: list[int] = []
        self.held = 0
        self.first.say(Ready())

    def allow_memory(self, process: SessionProcess, memory: int) -> None:
        self.allowed_memory.append(memory)

    def allow_cpu(self, process: SessionProcess, seconds: int) -> None:
        self.allowed_cpu.append(seconds)

    def death(self, session: int) -> Death | None:
        return Death(signal.SIGKILL, 0)

    def release(self) -> None:
        self.first.socket.close()
        self.first.peer.close()
