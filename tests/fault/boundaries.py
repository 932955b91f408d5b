"""Strikes at one message boundary: right before or right after the controller sends or receives.

Every byte between the controller, its zygote, the inits and the session processes passes through
four operations. They are counted here, so that a scenario can be run again and again with the fault
at each of them in turn, until it runs to its end without having met it.
"""

from __future__ import annotations

import socket
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import Any

import psutil
import pytest

from rlm_sandbox.host.process import SessionProcess


class Boundaries:
    """Counts the messages that pass, and lets `fault` happen at one of them."""

    def __init__(self, strike_at: int, fault: Callable[[Boundaries], None], *, after: bool) -> None:
        self.crossed = 0
        self.result: object = None
        """What the operation gave: a fault after it may change that; before it there is none."""
        self.sessions: list[psutil.Process] = []
        self.inits: list[psutil.Process] = []
        self._strike_at = strike_at
        self._fault = fault
        self._after = after

    @property
    def struck(self) -> bool:
        return self.crossed >= self._strike_at

    def cross(self, operation: Callable[..., Any], *arguments: object) -> Any:
        self.crossed += 1
        self.result = None  # the one before is in other hands
        here = self.crossed == self._strike_at
        if here and not self._after:
            self._fault(self)
        self.result = operation(*arguments)
        if here and self._after:
            self._fault(self)
        return self.result

    def meet(self, pid: int) -> None:
        """A session process has come to life."""
        try:
            session = psutil.Process(pid)
            init = session.parent()
        except psutil.NoSuchProcess:
            return
        self.sessions.append(session)
        if not self.inits and init is not None:
            self.inits.append(init)


class WatchedSocket:
    """A session socket whose traffic is counted."""

    def __init__(self, sock: socket.socket, boundaries: Boundaries) -> None:
        self._sock = sock
        self._boundaries = boundaries

    def sendall(self, data: bytes) -> None:
        self._boundaries.cross(self._sock.sendall, data)

    def recv(self, size: int, flags: int = 0) -> bytes:
        if flags & socket.MSG_DONTWAIT:  # a look; how many there are is chance
            raise BlockingIOError
        return self._boundaries.cross(self._sock.recv, size)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._sock, name)


@contextmanager
def watched(boundaries: Boundaries) -> Generator[None]:
    """All traffic of this process's sandboxes crosses these boundaries."""
    begin, send, receive = SessionProcess.__init__, socket.send_fds, socket.recv_fds

    def begin_watched(self: SessionProcess, number: int, pidfd: int, sock: socket.socket) -> None:
        begin(self, number, pidfd, sock)
        self.socket = WatchedSocket(sock, boundaries)  # ty: ignore[invalid-assignment]
        boundaries.meet(self.pid)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(SessionProcess, "__init__", begin_watched)
        patch.setattr(socket, "send_fds", lambda *given: boundaries.cross(send, *given))
        patch.setattr(socket, "recv_fds", lambda *given: boundaries.cross(receive, *given))
        yield
