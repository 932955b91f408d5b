"""A worker's first process: trusted, small, and never the one that runs the user's code.

It forks the session process, tells the controller of its birth and death, and ends everything below
it when the controller goes away. Orphans of the session become its children.
"""

from __future__ import annotations

import os
import select
import signal
import socket
from pathlib import Path
from typing import NoReturn

from rlm_sandbox.confine import privileges, rlimits
from rlm_sandbox.protocol import Born, Died, Failed, Spawn, encode
from rlm_sandbox.worker.serve import serve

_KIB = 1024


def run(spawn: Spawn, control: socket.socket, session: socket.socket) -> NoReturn:
    """Be the init of one worker until its session or its controller ends."""
    try:
        os.setsid()
        privileges.adopt_orphans()
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        child = _fork_session(spawn, control, session)
        session.close()
        watched = os.pidfd_open(child)
        descriptors = [os.pidfd_open(os.getpid()), watched]
        socket.send_fds(control, [encode(Born())], descriptors)
        os.close(descriptors[0])
        _attend(control, child, watched)
    except Exception as error:  # noqa: BLE001 - whatever it is, the controller must hear of it
        _tell(control, Failed(f"{type(error).__name__}: {error}"))
    finally:
        _end_children()
        os._exit(0)


def _fork_session(spawn: Spawn, control: socket.socket, session: socket.socket) -> int:
    child = os.fork()
    if child:
        return child
    try:
        _confine(spawn)
        control.close()
        serve(spawn, session)
    except BaseException as error:  # noqa: BLE001
        _tell(control, Failed(f"{type(error).__name__}: {error}"))
    finally:
        os._exit(1)


def _confine(spawn: Spawn) -> None:
    privileges.die_with_parent()
    rlimits.apply(spawn.limits)
    privileges.no_new_privileges()
    privileges.not_dumpable()


def _attend(control: socket.socket, child: int, watched: int) -> None:
    """Wait until the controller hangs up or the session process ends, which is reported."""
    poll = select.poll()
    poll.register(control, select.POLLIN)
    poll.register(watched, select.POLLIN)
    while True:
        for descriptor, _ in poll.poll():
            if descriptor == watched:
                _, status, usage = os.wait4(child, 0)
                seconds = usage.ru_utime + usage.ru_stime
                _tell(control, Died(status, seconds, usage.ru_maxrss * _KIB))
                poll.unregister(watched)
            elif not control.recv(1):
                return


def _tell(control: socket.socket, message: Died | Failed) -> None:
    try:
        control.send(encode(message))
    except OSError:  # the controller is gone, and so shall we be
        return


def _end_children() -> None:
    """Kill every child, and what becomes a child when its parent dies, until none is left."""
    while True:
        for pid in _children():
            os.kill(pid, signal.SIGKILL)
        try:
            os.waitpid(-1, 0)
        except ChildProcessError:
            return


def _children() -> list[int]:
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
