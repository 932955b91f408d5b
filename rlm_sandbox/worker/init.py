"""A worker's first process: trusted, small, and never the one that runs the user's code.

It is pid 1 of the worker's pid namespace, or stands in for it where there is none. It forks the
session process, answers its gate, tells the controller of its birth and death, and ends everything
below it when the controller goes away. Orphans of the session become its children.
"""

from __future__ import annotations

import os
import select
import signal
import socket
from pathlib import Path
from typing import NoReturn

from rlm_sandbox.confine import lockdown, privileges, rlimits, selftest
from rlm_sandbox.confine.lockdown import Layer, Wall
from rlm_sandbox.protocol import Allowed, Born, Died, Failed, Spawn, decode_for_init, encode
from rlm_sandbox.worker.gate import Gate
from rlm_sandbox.worker.serve import serve

CONTROL_BYTES = 1024
_KIB = 1024


def run(wall: Wall, spawn: Spawn, control: socket.socket, session: socket.socket) -> NoReturn:
    """Be the init of one worker until its session or its controller ends."""
    try:
        os.setsid()
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        # A signal with a handler could be sent to pid 1 from inside; one without cannot.
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        privileges.adopt_orphans()
        lockdown.enclose_init(wall, spawn.limits)
        _Init(wall, spawn, control).start(session).attend()
    except Exception as error:  # noqa: BLE001 - whatever it is, the controller must hear of it
        _tell(control, _failure(error))
    finally:
        _end_children(all_processes=wall.has(Layer.PID))
        os._exit(0)


class _Init:
    """The session process, seen from the one above it."""

    def __init__(self, wall: Wall, spawn: Spawn, control: socket.socket) -> None:
        self._wall = wall
        self._spawn = spawn
        self._control = control
        self._gate: Gate | None = None
        self._child = -1
        self._watched = -1

    def start(self, session: socket.socket) -> _Init:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._child = os.fork()
        if self._child == 0:
            ours.close()
            self._be_the_session(session, theirs)
        theirs.close()
        session.close()
        self._watched = os.pidfd_open(self._child)
        if self._wall.has(Layer.GATE):
            self._gate = _receive_gate(ours, self._child)
        ours.close()
        own = os.pidfd_open(os.getpid())
        socket.send_fds(self._control, [encode(Born())], [own, self._watched])
        os.close(own)
        return self

    def _be_the_session(self, session: socket.socket, gate: socket.socket) -> NoReturn:
        try:
            lockdown.lock_session(self._wall, self._spawn.limits, _Handover(gate))
            gate.close()
            selftest.run(self._wall)
            self._control.close()
            serve(self._spawn, session)
        except BaseException as error:  # noqa: BLE001
            _tell(self._control, _failure(error))
        finally:
            os._exit(1)

    def attend(self) -> None:
        """Until the controller hangs up: answer the gate, report the session process's end."""
        poll = select.poll()
        poll.register(self._control, select.POLLIN)
        poll.register(self._watched, select.POLLIN)
        if self._gate is not None:
            poll.register(self._gate.listener, select.POLLIN)
        while True:
            for descriptor, events in poll.poll():
                if descriptor == self._watched:
                    self._report_death()
                    poll.unregister(descriptor)
                elif descriptor == self._control.fileno():
                    if not self._obey(self._control.recv(CONTROL_BYTES)):
                        return
                elif self._gate is not None and events & select.POLLIN:
                    self._gate.answer()
                else:  # nobody is left behind the gate
                    poll.unregister(descriptor)

    def _obey(self, data: bytes) -> bool:
        """Carry out what the controller asks for; False when it has hung up."""
        if data:
            rlimits.allow_memory(self._child, decode_for_init(data).memory)
            _tell(self._control, Allowed())
        return bool(data)

    def _report_death(self) -> None:
        _, status, usage = os.wait4(self._child, 0)
        seconds = usage.ru_utime + usage.ru_stime
        _tell(self._control, Died(status, seconds, usage.ru_maxrss * _KIB))


class _Handover:
    """Takes the gate's listener from the session process to its init."""

    def __init__(self, gate: socket.socket) -> None:
        self._gate = gate

    def __call__(self, listener: int) -> None:
        socket.send_fds(self._gate, [b"gate"], [listener])
        os.close(listener)


def _receive_gate(gate: socket.socket, child: int) -> Gate | None:
    """The listener, or None if the session process failed before it had one: it says why itself."""
    _, descriptors, _, _ = socket.recv_fds(gate, 16, 1)
    return Gate(descriptors[0], child) if descriptors else None


def _failure(error: BaseException) -> Failed:
    return Failed(f"{type(error).__name__}: {error}")


def _tell(control: socket.socket, message: Allowed | Died | Failed) -> None:
    try:
        control.send(encode(message))
    except OSError:  # the controller is gone, and so shall we be
        return


def _end_children(*, all_processes: bool) -> None:
    """Kill every process below this one. The kernel does it when pid 1 of a namespace ends."""
    while not all_processes:
        for pid in _children():
            os.kill(pid, signal.SIGKILL)
        try:
            os.waitpid(-1, 0)
        except ChildProcessError:
            return


def _children() -> list[int]:
    """Process ids of all children, found in /proc: orphans become ours without being announced."""
    own = str(os.getpid())
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                stat = (entry / "stat").read_text(errors="replace")
            except OSError:  # it ended while we looked
                continue
            if stat.rpartition(")")[2].split()[1] == own:
                found.append(int(entry.name))
    return found
