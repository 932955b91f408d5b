"""One layer at a time, with the others off: what it forbids is tried without it and with it.

Each probe runs in a process of its own that ends afterwards. It raises OSError if the layer cannot
be put on, NotHolding if what it forbids still works, CannotTell if it did not work before.
"""

from __future__ import annotations

import ctypes
import errno
import os
import resource
import signal
import socket
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

from rlm_sandbox.confine import (
    bpf,
    cgroups,
    landlock,
    libc,
    lockdown,
    mounts,
    namespaces,
    notify,
    privileges,
    rlimits,
    seccomp,
    syscalls,
)
from rlm_sandbox.confine.layers import Layer
from rlm_sandbox.doctor.stage import Targets
from rlm_sandbox.limits import Limits
from rlm_sandbox.protocol import WorkerLimits

BEFORE, AFTER = b"before", b"after"
_SECONDS = 2.0
_GROUP_BYTES = 64 * 1024 * 1024


class NotHolding(Exception):
    """What the layer forbids succeeded under it."""


class CannotTell(Exception):
    """What the layer forbids fails without it too."""


def works(act: str, attempt: Callable[[], object]) -> None:
    """Without the layer. Raises CannotTell."""
    try:
        attempt()
    except OSError as error:
        raise CannotTell(f"{act} fails here without it too: {error.strerror}") from None


def fails(act: str, attempt: Callable[[], object], *expected: int) -> None:
    """With the layer. Raises NotHolding."""
    try:
        attempt()
    except OSError as error:
        if error.errno in expected:
            return
        raise NotHolding(f"{act} fails, but otherwise: {error}") from None
    raise NotHolding(f"{act} succeeded")


class Probes:
    """A method for each layer; returns what was seen to fail."""

    def __init__(self, targets: Targets) -> None:
        self._targets = targets
        self._proc = os.open("/proc", os.O_PATH | os.O_CLOEXEC)
        self._readable = [*sys.path, *lockdown.library_folders()]

    def run(self, layer: Layer) -> str:
        """Raises OSError, NotHolding or CannotTell."""
        probe = {
            Layer.USER: self._user,
            Layer.PID: self._pid,
            Layer.MOUNT: self._mount,
            Layer.NET: self._net,
            Layer.IPC: self._ipc,
            Layer.UTS: self._uts,
            Layer.CGROUP_VIEW: self._cgroup_view,
            Layer.UID: self._uid,
            Layer.RLIMITS: self._rlimits,
            Layer.CAPABILITIES: self._capabilities,
            Layer.NO_NEW_PRIVS: self._no_new_privs,
            Layer.NOT_DUMPABLE: self._not_dumpable,
            Layer.LANDLOCK: self._landlock,
            Layer.SECCOMP: self._seccomp,
            Layer.GATE: self._gate,
            Layer.CGROUP: self._cgroup,
        }[layer]
        return probe()

    # --- namespaces -----------------------------------------------------------------------------

    def _enter(self, flags: int) -> None:
        if privileges.holds(privileges.CAP_SYS_ADMIN):
            namespaces.enter(flags)
        else:
            namespaces.enter_user(flags, self._proc)

    def _user(self) -> str:
        namespaces.enter_user(0, self._proc)
        if not privileges.holds(privileges.CAP_SYS_ADMIN):
            raise CannotTell("the new user namespace came without capabilities")
        fails("naming the host, with every capability", _name_the_host, errno.EPERM)
        return "its capabilities are worth nothing outside"

    def _pid(self) -> str:
        works("signalling the examiner", self._signal)
        if not privileges.holds(privileges.CAP_SYS_ADMIN):
            namespaces.enter_user(0, self._proc)
        child = namespaces.fork_init(self._see_no_process)
        if os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) != 0:
            raise NotHolding("signalling the examiner succeeded")
        return "processes outside have no number"

    def _see_no_process(self) -> NoReturn:
        status = 1
        try:
            fails("signalling the examiner", self._signal, errno.ESRCH)
            status = 0
        finally:
            os._exit(status)

    def _mount(self) -> str:
        works("reading a file outside", self._read)
        self._enter(namespaces.NEWNS)
        mounts.enter_minimal_root(self._readable)
        fails("reading a file outside", self._read, errno.ENOENT)
        fails("writing to the standard library", _write_to_library, errno.EROFS, errno.EACCES)
        return "files outside are not there, those inside cannot be written"

    def _net(self) -> str:
        works("connecting to 127.0.0.1", lambda: self._connect(BEFORE))
        self._enter(namespaces.NEWNET)
        fails("connecting to 127.0.0.1", lambda: self._connect(AFTER), errno.ENETUNREACH)
        abstract = "connecting to an abstract socket outside"
        fails(abstract, lambda: self._connect_abstract(AFTER), errno.ECONNREFUSED)
        return "no network, not even loopback"

    def _ipc(self) -> str:
        queue = _checked(_libc.msgget(0, 0o1600), "msgget")  # IPC_PRIVATE; IPC_CREAT | 0600
        try:
            return self._lose_sight_of(queue)
        finally:
            _libc.msgctl(queue, 0, None)  # IPC_RMID

    def _lose_sight_of(self, queue: int) -> str:
        child = os.fork()
        if child == 0:
            status = 1
            try:
                self._enter(namespaces.NEWIPC)
                look = ctypes.create_string_buffer(256)
                status = 2
                fails(
                    "looking at a queue outside",
                    lambda: _checked(_libc.msgctl(queue, 2, look), "msgctl"),  # IPC_STAT
                    errno.EINVAL,
                )
                status = 0
            finally:
                os._exit(status)
        match os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]):
            case 0:
                return "message queues outside are not there"
            case 1:
                raise OSError(errno.EPERM, "unshare: an ipc namespace is refused")
            case _:
                raise NotHolding("looking at a queue outside succeeded")

    def _uts(self) -> str:
        self._enter(namespaces.NEWUTS)
        if os.uname().nodename != namespaces.HOSTNAME:
            raise NotHolding("the host's name can be read")
        return "the host's name cannot be read"

    def _cgroup_view(self) -> str:
        self._enter(namespaces.NEWCGROUP)
        rows = Path("/proc/self/cgroup").read_text().splitlines()
        if any(row.rpartition(":")[2] != "/" for row in rows):
            raise NotHolding("its place among the host's cgroups can be read")
        return "its place among the host's cgroups cannot be read"

    # --- rights ---------------------------------------------------------------------------------

    def _uid(self) -> str:
        works("reading a private file", self._read_private)
        privileges.become(privileges.spare_uids()[0])
        fails("reading a private file", self._read_private, errno.EACCES)
        return "files of the user who runs this are another's"

    def _rlimits(self) -> str:
        rlimits.apply(WorkerLimits.of(Limits(open_files=16, memory="128MiB")), own_user=False)
        fails("opening 17 files", _open_many, errno.EMFILE)
        try:
            bytearray(512 * 1024 * 1024)
        except MemoryError:
            return "files and memory end where they should"
        raise NotHolding("taking 512 MiB with a limit of 128 MiB succeeded")

    def _capabilities(self) -> str:
        if not privileges.holds(privileges.CAP_SYS_ADMIN):
            try:
                namespaces.enter_user(0, self._proc)
            except OSError:
                raise CannotTell("this user has none") from None
        works("making a namespace", lambda: libc.unshare(namespaces.NEWUTS))
        privileges.drop_capabilities()
        fails("making a namespace", lambda: libc.unshare(namespaces.NEWUTS), errno.EPERM)
        if privileges.capabilities() != (0, 0, 0):
            raise NotHolding("some are left")
        return "namespaces cannot be made, nothing is left"

    def _no_new_privs(self) -> str:
        privileges.no_new_privileges()
        status = Path("/proc/self/status").read_text()
        if "NoNewPrivs:\t1" not in status:
            raise NotHolding("the kernel does not show it")
        fails("taking it back", lambda: libc.prctl(38, 0), errno.EINVAL)
        return "cannot be taken back"

    def _not_dumpable(self) -> str:
        if os.geteuid() == 0:
            privileges.become(privileges.spare_uids()[0])
            privileges.dumpable()
        works("opening its memory as a file", _open_memory)
        privileges.not_dumpable()
        fails("opening its memory as a file", _open_memory, errno.EACCES)
        return "its memory cannot be opened by others of the same user"

    # --- landlock and seccomp -------------------------------------------------------------------

    def _landlock(self) -> str:
        abi, proven = landlock.abi(), ["files"]
        works("reading a file outside", self._read)
        privileges.no_new_privileges()
        landlock.restrict([(path, landlock.READ) for path in self._readable])
        fails("reading a file outside", self._read, errno.EACCES)
        fails("making a file outside", self._make, errno.EACCES)
        works("reading the standard library", _read_library)
        if abi >= 4:
            fails("connecting to 127.0.0.1", lambda: self._connect(AFTER), errno.EACCES)
            proven.append("TCP")
        if abi >= 6:
            fails("signalling the examiner", self._signal, errno.EPERM)
            abstract = "connecting to an abstract socket"
            fails(abstract, lambda: self._connect_abstract(AFTER), errno.EPERM)
            proven += ["signals", "abstract sockets"]
        return f"ABI {abi}: {', '.join(proven)}"

    def _seccomp(self) -> str:
        machine = os.uname().machine
        privileges.no_new_privileges()
        program = seccomp.wall(machine, gated=False, private_root=False, pid=os.getpid())
        seccomp.install(bpf.pack(program))
        fails("opening a socket", lambda: self._connect(AFTER), errno.EAFNOSUPPORT)
        fails("starting a program", _start_a_program, errno.EPERM)
        fails("forking", _fork, errno.EPERM)
        fails("signalling the examiner", self._signal, errno.EPERM)
        fails("making a namespace", lambda: libc.unshare(namespaces.NEWUTS), errno.EPERM)
        fails("tracing", lambda: libc.syscall(_PTRACE[machine], 0, name="ptrace"), errno.EPERM)
        thread = threading.Thread(target=os.getpid)
        thread.start()
        thread.join()
        fails("a call of the x32 ABI", _call_x32, errno.ENOSYS, errno.EPERM)
        return "sockets, programs, forks, signals, tracing fail; threads start"

    def _gate(self) -> str:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        child = os.fork()
        if child == 0:
            _fork_behind_the_gate(theirs)
        theirs.close()
        _, descriptors, _, _ = socket.recv_fds(ours, 1, 1)
        if not descriptors:
            os.waitpid(child, 0)
            raise OSError(errno.EBUSY, "seccomp: no listener: another filter may have one")
        listener = descriptors[0]
        first = notify.receive(listener)
        second = None
        if first is not None:
            notify.refuse(listener, first, errno.EPERM)
            second = notify.receive(listener)
        if second is not None:
            notify.let_through(listener, second)
        if os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) != 0 or second is None:
            raise NotHolding("a fork was not asked about, or did not do as it was told")
        return "one fork refused, the next let through"

    def _cgroup(self) -> str:
        delegation = cgroups.delegated()
        try:
            group = delegation.take(_GROUP_BYTES, 16)
            status = _take_memory(delegation, group)
            group.remove()
        finally:
            delegation.close()
        if status == 0:
            raise NotHolding(f"taking {2 * _GROUP_BYTES} bytes in a group of half of it succeeded")
        if status != -signal.SIGKILL:
            raise OSError(errno.EPERM, "cgroup: a process cannot be moved into a group")
        return "the kernel ends what takes more memory than its group may have"

    # --- acts -----------------------------------------------------------------------------------

    def _read(self) -> None:
        os.close(os.open(self._targets.canary, os.O_RDONLY))

    def _read_private(self) -> None:
        os.close(os.open(self._targets.private, os.O_RDONLY))

    def _make(self) -> None:
        os.close(os.open(f"{self._targets.canary}-new", os.O_WRONLY | os.O_CREAT))

    def _signal(self) -> None:
        os.kill(self._targets.pid, 0)

    def _connect(self, word: bytes) -> None:
        with socket.create_connection(("127.0.0.1", self._targets.port), _SECONDS) as connection:
            connection.sendall(word)

    def _connect_abstract(self, word: bytes) -> None:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            connection.connect(f"\0{self._targets.abstract}")
            connection.sendall(word)


_libc = ctypes.CDLL(None, use_errno=True)
_PTRACE = {"x86_64": 101, "aarch64": 117}


def _checked(result: int, call: str) -> int:
    if result < 0:
        error = ctypes.get_errno()
        raise OSError(error, f"{call}: {os.strerror(error)}")
    return result


def _name_the_host() -> None:
    name = os.uname().nodename.encode()  # the one that it has
    _checked(_libc.sethostname(name, len(name)), "sethostname")


def _fork_behind_the_gate(parent: socket.socket) -> NoReturn:
    status = 1
    try:
        privileges.no_new_privileges()
        listener = seccomp.install_with_listener(bpf.pack(seccomp.gate(os.uname().machine)))
        socket.send_fds(parent, [b"."], [listener])
        os.close(listener)
        fails("forking", _fork, errno.EPERM)
        _fork()
        status = 0
    finally:
        os._exit(status)


def _take_memory(delegation: cgroups.Delegation, group: cgroups.Group) -> int:
    """What becomes of a process that takes more than its group has: as a return code."""
    child = os.fork()
    if child == 0:
        status = 1
        try:
            bases = tuple(os.open(base, os.O_PATH) for base in delegation.bases)
            cgroups.join(bases, group.name)
            bytearray(2 * _GROUP_BYTES)
            status = 0
        finally:
            os._exit(status)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def _fork() -> None:
    child = os.fork()
    if child == 0:
        os._exit(0)
    os.waitpid(child, 0)


def _start_a_program() -> None:
    os.execve("/nonexistent", ["nonexistent"], {})  # noqa: S606 - which nothing may


def _call_x32() -> None:
    if os.uname().machine == "x86_64":
        libc.syscall(syscalls.X32_BIT | 39, name="getpid of x32")
    else:
        raise OSError(errno.ENOSYS, "there is no x32 here")


def _open_many() -> None:
    limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    opened = []
    try:
        opened = [os.open(os.devnull, os.O_RDONLY) for _ in range(min(limit + 1, 4096))]
    finally:
        for descriptor in opened:
            os.close(descriptor)


def _open_memory() -> None:
    os.close(os.open("/proc/self/mem", os.O_RDONLY))


def _read_library() -> None:
    os.close(os.open(os.__file__, os.O_RDONLY))


def _write_to_library() -> None:
    os.close(os.open(os.__file__, os.O_WRONLY))  # without O_TRUNC: nothing changes if it succeeds
