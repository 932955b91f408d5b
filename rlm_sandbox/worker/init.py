"""A worker's first process: trusted, small, and never the one that runs the user's code.

It is pid 1 of the worker's pid namespace, or stands in for it where there is none. It forks the
session process, answers its gate, tells the controller of its birth and death, and ends everything
below it when the controller goes away. Orphans of the session become its children.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import select
import signal
import socket
import struct
import sys
from collections.abc import Sequence
from typing import NoReturn

from rlm_sandbox.confine import libc, lockdown, privileges, rlimits, selftest
from rlm_sandbox.confine.layers import Layer
from rlm_sandbox.confine.wall import Wall
from rlm_sandbox.protocol import (
    FIRST_SESSION,
    AllowCpu,
    Allowed,
    AllowMemory,
    Born,
    Died,
    Drop,
    Failed,
    FromInit,
    Permit,
    Prepare,
    Saved,
    Spawn,
    Wake,
    Woken,
    decode_for_init,
    encode,
)
from rlm_sandbox.worker.gate import Asleep, Awake, Gate, Lost, News, Process
from rlm_sandbox.worker.serve import serve

CONTROL_BYTES = 1024
ORDER_BYTES = 1024 * 1024

LATE_ANSWERS = 10_000
"""So many questions are answered yet when a fork should sleep: more than can have been waiting."""

PROCESS_IDS = 4 * 1024 * 1024
"""PID_MAX_LIMIT. All have to be tried where there is no /proc: code that makes threads enough can
have the numbers begin anew, so the next one to be given out says nothing of those in use."""

_PIDFD_GET_INFO = 0xC040FF0B
_PIDFD_INFO = struct.Struct("=Q52xi")  # mask, ids and credentials, exit_code
_PIDFD_INFO_EXIT = 8


def run(wall: Wall, place: Prepare, orders: socket.socket) -> NoReturn:
    """Take one's place, wait for the order, and be the init of that worker until it ends."""
    try:
        problem = _take_place(wall, place)
        spawn, control, session = _order(orders)
        if problem is None:
            problem = _attend(wall, spawn, control, session)
        if problem is not None:
            _tell(control, _failure(problem))
    finally:
        try:
            _end_children(wall)
        finally:  # or this process would go on as the zygote that it was forked from
            os._exit(0)


def _take_place(wall: Wall, place: Prepare) -> Exception | None:
    """Move into the namespaces. What goes wrong is returned: nobody is there yet to be told."""
    try:
        os.setsid()
        privileges.be_called("rlm-cradle")
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        # A signal with a handler could be sent to pid 1 from inside; one without cannot.
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        privileges.adopt_orphans()
        lockdown.enclose_init(wall, place.tmp_bytes, place.group)
    except Exception as error:  # noqa: BLE001
        return error
    return None


def _attend(
    wall: Wall, spawn: Spawn, control: socket.socket, session: socket.socket
) -> Exception | None:
    """Be the init until the worker ends. Returns what went wrong, for the controller to hear."""
    try:
        privileges.be_called("rlm-init")
        _Init(wall, spawn, control).start(session).attend()
    except Exception as error:  # noqa: BLE001
        return error
    return None


def _order(orders: socket.socket) -> tuple[Spawn, socket.socket, socket.socket]:
    """The worker that this is to be. Ends the process if it is not needed."""
    with orders:
        data, descriptors, _, _ = socket.recv_fds(orders, 16, 2)
    if not data:
        os._exit(0)
    control, session = (socket.socket(fileno=number) for number in descriptors)
    spawn = decode_for_init(control.recv(ORDER_BYTES))
    assert isinstance(spawn, Spawn)
    return spawn, control, session


class _Init:
    """The session processes, seen from the one above them."""

    def __init__(self, wall: Wall, spawn: Spawn, control: socket.socket) -> None:
        self._wall = wall
        self._spawn = spawn
        self._control = control
        self._gate: Gate | None = None
        self._sessions: dict[int, Process] = {}
        self._watched: dict[int, int] = {}  # pidfd -> session
        self._poll = select.poll()

    def start(self, session: socket.socket) -> _Init:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        child = libc.fork()
        if child == 0:
            ours.close()
            self._be_the_session(session, theirs)
        theirs.close()
        session.close()
        pidfd = os.pidfd_open(child)
        self._watch(FIRST_SESSION, Process(child, pidfd))
        if self._wall.has(Layer.GATE):
            self._gate = _receive_gate(ours, self._sessions, self._poll)
        ours.close()
        own = os.pidfd_open(os.getpid())
        socket.send_fds(self._control, [encode(Born())], [own, pidfd])
        os.close(own)
        return self

    def _be_the_session(self, session: socket.socket, gate: socket.socket) -> NoReturn:
        try:
            privileges.be_called("rlm-session")
            lockdown.lock_session(self._wall, self._spawn.limits, _Handover(gate))
            gate.close()
            selftest.run(self._wall)
            self._control.close()
            serve(self._spawn, session)
        except BaseException as error:  # noqa: BLE001
            _tell(self._control, _failure(error))
        finally:
            os._exit(1)

    def _watch(self, session: int, process: Process) -> None:
        self._sessions[session] = process
        self._watched[process.pidfd] = session
        self._poll.register(process.pidfd, select.POLLIN)

    def attend(self) -> None:
        """Until the controller hangs up: obey it, answer the gate, report every death.

        Also the end of a permitted fork that does not lie down: it would run on, unmetered.
        """
        poll, gate = self._poll, self._gate
        poll.register(self._control, select.POLLIN)
        if gate is not None:
            poll.register(gate.listener, select.POLLIN)
        controller = self._control.fileno()
        answered_late = 0
        while True:
            left = gate.seconds_left if gate is not None else None
            ready = dict(poll.poll(None if left is None else left * 1000 + 1))
            # What had been asked in time is answered. Questions without end put off nothing.
            answered_late = answered_late + 1 if left == 0 else 0
            if left == 0 and (not ready or answered_late > LATE_ANSWERS):
                if gate is None or not gate.orphaned:
                    return
                self._end_strangers(gate.known)
                self._report(gate.give_up())
            if controller in ready:  # first of all: a permit comes before the fork that it is for
                if not self._obey():
                    return
                continue
            for descriptor, events in ready.items():
                self._attend_to(descriptor, events)

    def _attend_to(self, descriptor: int, events: int) -> None:
        gate = self._gate
        if descriptor in self._watched:
            self._report_death(descriptor)
        elif gate is None:
            return
        elif descriptor != gate.listener:
            self._report(gate.lost(descriptor))
        elif events & select.POLLIN:
            self._report(gate.answer())
        else:  # nobody is left behind the gate
            self._poll.unregister(descriptor)

    def _obey(self) -> bool:
        """Do what the controller asks for; False when it has hung up."""
        data, descriptors, _, _ = socket.recv_fds(self._control, CONTROL_BYTES, 1)
        if not data:
            return False
        match decode_for_init(data):
            case AllowMemory(session=session, memory=memory):
                if (process := self._sessions.get(session)) is not None:
                    rlimits.allow_memory(process.pid, memory)
                _tell(self._control, Allowed(session))
            case AllowCpu(session=session, seconds=seconds):
                if (process := self._sessions.get(session)) is not None:
                    rlimits.allow_cpu(process.pid, seconds)
            case Permit() as permit:
                if self._gate is not None:
                    self._report(self._gate.permit(permit))
            case Drop(checkpoint=number):
                if self._gate is not None:
                    self._gate.drop(number)
            case Wake() as wake:
                if self._gate is None or not descriptors or not self._gate.wake(wake, *descriptors):
                    _tell(self._control, Woken(wake.session))
        return True

    def _end_strangers(self, known: set[int]) -> None:
        """Kill whatever is neither a session process nor a checkpoint: a fork that ran away.

        There is one at most: only a session process may fork. To look for it may take seconds;
        if the controller hangs up meanwhile, everything is to end anyway.
        """
        hung_up = select.poll()
        hung_up.register(self._control, 0)
        numbered = range(2, PROCESS_IDS) if self._wall.has(Layer.PID) else ()
        for pid in numbered or _children(self._wall.proc):
            if pid not in known and libc.may_signal(pid) and _killed(pid):
                return
            if pid % 65_536 == 0 and hung_up.poll(0):
                return

    def _report(self, news: News | None) -> None:
        match news:
            case Asleep(permit=permit, failure=failure):
                _tell(self._control, Saved(permit.checkpoint, failure))
            case Awake(wake=wake, process=process):
                self._watch(wake.session, process)
                _tell(self._control, Woken(wake.session), [process.pidfd])
            case Lost(wake=wake):
                _tell(self._control, Woken(wake.session))

    def _report_death(self, pidfd: int) -> None:
        session = self._watched.pop(pidfd)
        process = self._sessions.pop(session)
        try:
            _, status, used = os.wait4(process.pid, 0)
        except ChildProcessError:  # its parent lives: another session process, told to ignore it
            died = Died(session, _exit_status(pidfd))
        else:
            cpu = used.ru_utime + used.ru_stime
            died = Died(session, status, cpu, used.ru_maxrss * 1024)
        if self._gate is not None:
            self._report(self._gate.forget(session))
        _tell(self._control, died)
        self._poll.unregister(pidfd)
        os.close(pidfd)
        _reap_orphans(self._sessions)


class _Handover:
    """Takes the gate's listener from the session process to its init."""

    def __init__(self, gate: socket.socket) -> None:
        self._gate = gate

    def __call__(self, listener: int) -> None:
        socket.send_fds(self._gate, [b"gate"], [listener])
        os.close(listener)


def _receive_gate(
    gate: socket.socket, sessions: dict[int, Process], poll: select.poll
) -> Gate | None:
    """None if the session process failed before it had a listener: it says why itself."""
    _, descriptors, _, _ = socket.recv_fds(gate, 16, 1)
    return Gate(descriptors[0], sessions, poll) if descriptors else None


def _failure(error: BaseException) -> Failed:
    return Failed(f"{type(error).__name__}: {error}")


def _tell(control: socket.socket, message: FromInit, descriptors: Sequence[int] = ()) -> None:
    try:
        if descriptors:
            socket.send_fds(control, [encode(message)], descriptors)
        else:  # with send(2), which a session process behind its filter still may
            control.send(encode(message))
    except OSError:  # the controller is gone, and so shall we be
        return


def _exit_status(pidfd: int) -> int | None:
    """How a process ended that is no child of ours; None on a kernel that does not tell.

    PIDFD_GET_INFO with PIDFD_INFO_EXIT, of Linux 6.15: the last field of the first struct.
    """
    info = bytearray(_PIDFD_INFO.size)
    info[:8] = _PIDFD_INFO_EXIT.to_bytes(8, sys.byteorder)
    try:
        fcntl.ioctl(pidfd, _PIDFD_GET_INFO, info)
    except OSError:
        return None
    mask, status = _PIDFD_INFO.unpack(info)
    return status if mask & _PIDFD_INFO_EXIT else None


def _reap_orphans(sessions: dict[int, Process]) -> None:
    """Collect dropped checkpoints whose parent has died; a session process is asked for by name."""
    watched = {process.pid for process in sessions.values()}
    while True:
        try:
            ended = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        except ChildProcessError:
            return
        if ended is None or ended.si_pid in watched:
            return
        os.waitpid(ended.si_pid, 0)


def _end_children(wall: Wall) -> None:
    """Kill every process below this one. The kernel does it when pid 1 of a namespace ends."""
    while not wall.has(Layer.PID):
        for pid in _children(wall.proc):
            os.kill(pid, signal.SIGKILL)
        try:
            os.waitpid(-1, 0)
        except ChildProcessError:
            return


def _killed(pid: int) -> bool:
    """Kill a process; False if it had ended, or if it is a thread."""
    try:
        pidfd = os.pidfd_open(pid)
    except OSError:
        return False
    poll = select.poll()
    poll.register(pidfd, select.POLLIN)
    alive = not poll.poll(0)
    if alive:
        with contextlib.suppress(ProcessLookupError):  # just now
            signal.pidfd_send_signal(pidfd, signal.SIGKILL)
    os.close(pidfd)
    return alive


def _children(proc: int) -> list[int]:
    """Process ids of all children, found in /proc: orphans become ours without being announced.

    By descriptor: the root of a worker has no /proc.
    """
    folder = os.open(".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=proc)
    try:
        entries = os.listdir(folder)  # noqa: PTH208 - by descriptor, which a Path cannot
        processes = [name for name in entries if name.isdigit()]
        return [int(name) for name in processes if _parent(folder, name) == os.getpid()]
    finally:
        os.close(folder)


def _parent(proc: int, name: str) -> int:
    """The process id of a process's parent; 0 if it ended while we looked."""
    try:
        stat = os.open(f"{name}/stat", os.O_RDONLY | os.O_CLOEXEC, dir_fd=proc)
        try:
            text = os.read(stat, 1024)
        finally:
            os.close(stat)
    except OSError:
        return 0
    return int(text.rpartition(b")")[2].split()[1])
