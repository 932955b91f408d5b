"""The system calls that a worker may make: a seccomp filter, deny by default.

Two filters, since the strictest answer wins. The *gate* is there only if a trusted process holds
its listener: creating a process, sending a signal and sleeping as a checkpoint ask that process
(seccomp_unotify(2)). The *wall* on top of it allows a list; the rest fails, with the errno that
makes a C library fall back where there is one, else with EPERM. Another architecture's calls kill.
"""

from __future__ import annotations

import ctypes
import errno
import os
import signal
from typing import NoReturn

from rlm_sandbox.confine import bpf, libc, syscalls
from rlm_sandbox.confine.bpf import ALLOW, USER_NOTIF, Argument, Instruction, Rule, errno_action

_SECCOMP = {"x86_64": 317, "aarch64": 277}
_SET_MODE_FILTER = 1
_PR_SET_NO_NEW_PRIVS = 38
_FLAG_TSYNC = 1
_FLAG_NEW_LISTENER = 8

RENDEZVOUS = "nfsservctl"
"""A call that no kernel implements any more: a checkpoint sleeps in it, in the gate's hands."""

_EPERM = errno_action(errno.EPERM)
_ENOSYS = errno_action(errno.ENOSYS)
_NO_FAMILY = errno_action(errno.EAFNOSUPPORT)

_HOT = """
    read write recvfrom munmap madvise brk mremap mprotect gettid getpid
    rt_sigaction rt_sigprocmask rt_sigreturn close newfstatat fstat lseek poll
"""

_MEMORY_AND_TIME = """
    msync nanosleep gettimeofday time times getrusage getcpu
    sched_yield sched_getaffinity timerfd_create timerfd_settime timerfd_gettime alarm getitimer
    setitimer pause
"""

_DESCRIPTORS = """
    readv writev pread64 pwrite64 close_range recvmsg ppoll select pselect6 epoll_create1 epoll_ctl
    epoll_wait epoll_pwait epoll_pwait2 eventfd2 pipe pipe2 dup dup2 dup3 getsockname shutdown
"""

_PROCESS = """
    rt_sigpending rt_sigsuspend rt_sigtimedwait sigaltstack restart_syscall exit exit_group wait4
    waitid set_robust_list set_tid_address rseq membarrier arch_prctl getppid getuid
    geteuid getgid getegid getresuid getresgid getgroups getpgrp getpgid getsid uname umask
    getrandom getrlimit
"""

_LOOKING_AT_FILES = """
    getcwd chdir fchdir access faccessat faccessat2 stat lstat statx statfs fstatfs readlink
    readlinkat getdents getdents64
"""

_CHANGING_FILES = """
    open openat creat mkdir mkdirat rmdir unlink unlinkat rename renameat renameat2 link linkat
    symlink symlinkat truncate ftruncate fallocate fsync fdatasync
    chmod fchmod fchmodat fchmodat2 utime utimes futimesat utimensat
"""
"""Allowed on a private root only. Elsewhere there is nothing that the code may write, and Landlock
does not keep it from all of this: modes and times never, truncation before ABI 3 (Linux 6.2)."""

_FAILING = {
    errno.ENOSYS: "clone3 mbind set_mempolicy get_mempolicy sendfile copy_file_range",
    errno.ENOTSUP: """
        setxattr lsetxattr fsetxattr getxattr lgetxattr fgetxattr listxattr llistxattr flistxattr
        removexattr lremovexattr fremovexattr
    """,
    errno.EAFNOSUPPORT: "socket connect",
}
"""Errors that make callers fall back: EPERM would break shutil.copy2, getaddrinfo and threads."""

_CLONE_THREAD = 0x00010000
# THREAD VM FS FILES SIGHAND: all of them for a thread, none for a fork, which shares nothing
_THREAD_FLAGS = _CLONE_THREAD | 0x00000100 | 0x00000200 | 0x00000400 | 0x00000800
_SIGCHLD = 17
_FORBIDDEN_CLONE_FLAGS = (
    0x7E020000  # NEWNS and the other new namespaces
    | 0x00002000  # PTRACE
    | 0x00800000  # UNTRACED
    | 0x00004000  # VFORK
    | 0x00008000  # PARENT
    | 0x00001000  # PIDFD
    | 0x80000000  # IO
    | 0xFF  # the signal sent at exit; 0x80 among it is NEWTIME
)

_FCNTL_COMMANDS = (0, 1, 2, 3, 4, 1030)  # DUPFD GETFD SETFD GETFL SETFL, DUPFD_CLOEXEC
# SETLK and SETLKW say that they have succeeded and do nothing: a session's files are its own, so
# sqlite gets what it asks for, while on /dev/null and the library files, which all workers have in
# common, one would see what another has locked. GETLK is refused for the same reason.
_FCNTL_LOCKS = (6, 7)
_PRETEND = errno_action(0)
_FUTEX_PRIVATE = 0x80
# Waiting is harmless. Waking is for this process's own memory only (FUTEX_PRIVATE_FLAG): a futex on
# a page of a library file is the same one in every worker that maps it.
_FUTEX_COMMANDS = (0, 9, *(_FUTEX_PRIVATE | command for command in range(14)))  # WAIT, WAIT_BITSET
# TCGETS TIOCGWINSZ FIONREAD FIONBIO FIONCLEX FIOCLEX
_IOCTLS = (0x5401, 0x5413, 0x541B, 0x5421, 0x5450, 0x5451)
_WRITING = 0o3 | os.O_CREAT | os.O_TRUNC | (os.O_TMPFILE & ~os.O_DIRECTORY)
"""Flags of open(2): all of them 0 is to read, and changes nothing."""
_SOCKET_OPTIONS = (3, 4, 7, 8, 30, 38, 39)
"""TYPE ERROR SNDBUF RCVBUF ACCEPTCONN PROTOCOL DOMAIN. Not PEERCRED, PEERGROUPS and PEERPIDFD: the
session socket's peer is the controller."""
_SOL_SOCKET = 1
_MAP_HUGETLB = 0x40000
_MAP_SHARED, _MAP_ANONYMOUS = 0x01, 0x20
_SHARED_ANONYMOUS = _MAP_SHARED | _MAP_ANONYMOUS
# Such memory lives on as a whole by one page of it that is mapped, or by none that is resident: no
# limit of a process counts it. There is nobody to share it with but checkpoints, which it would
# change.
_OTHERS_CLOCK = 0x80000000
"""Set in a clock id that names a process or a descriptor: a negative one."""
_PRCTLS = (15, 16, 0x53564D41)  # SET_NAME, GET_NAME, SET_VMA (malloc names its arenas)
_AF_UNIX, _SOCK_STREAM = 1, 1


def gate(machine: str) -> list[Instruction]:
    """The filter whose listener a trusted process holds."""
    is_thread = (Argument(0, (_CLONE_THREAD,), mask=_CLONE_THREAD),)
    rules = [
        _rule(machine, "clone", ALLOW, is_thread, otherwise=USER_NOTIF),
        _rule(machine, "fork", USER_NOTIF),
        _rule(machine, "vfork", USER_NOTIF),
        _rule(machine, "kill", USER_NOTIF),
        _rule(machine, "tgkill", USER_NOTIF),
        _rule(machine, RENDEZVOUS, USER_NOTIF),
    ]
    return bpf.assemble(
        syscalls.ARCHITECTURES[machine],
        [rule for rule in rules if rule is not None],
        default=ALLOW,
        foreign=bpf.KILL_PROCESS,
    )


def wall(machine: str, *, gated: bool, private_root: bool, pid: int = 0) -> list[Instruction]:
    """The filter that a worker's code runs under.

    `gated`: the gate is below it, and decides on forks and signals; otherwise there are no forks
    and signals reach only `pid`, the process itself. `private_root`: its file system is its own.
    """
    allowed = f"{_HOT} {_MEMORY_AND_TIME} {_DESCRIPTORS} {_PROCESS} {_LOOKING_AT_FILES}"
    if private_root:
        allowed += _CHANGING_FILES
    rules = [
        *_argument_rules(machine),  # first: the kernel looks the plain ones up in a bitmap
        *(() if private_root else _reading_rules(machine)),
        *(_rule(machine, name, ALLOW) for name in allowed.split()),
        *(_gated_rules(machine) if gated else _ungated_rules(machine, pid)),
        *(
            _rule(machine, name, errno_action(number))
            for number, names in _FAILING.items()
            for name in names.split()
        ),
    ]
    return bpf.assemble(
        syscalls.ARCHITECTURES[machine],
        [rule for rule in rules if rule is not None],
        default=_EPERM,
        foreign=bpf.KILL_PROCESS,
        beyond=((syscalls.FIRST_UNKNOWN, _ENOSYS),),
    )


def _argument_rules(machine: str) -> list[Rule | None]:
    stream = (Argument(0, (_AF_UNIX,)), Argument(1, (_SOCK_STREAM,), mask=0xF))
    to_peer = (Argument(4, (0,), whole=True),)  # no address: send(2)
    read_own_limits = (Argument(0, (0,)), Argument(2, (0,), whole=True))
    harmless_option = (Argument(1, (_SOL_SOCKET,)), Argument(2, _SOCKET_OPTIONS))
    no_clock = errno_action(errno.EINVAL)
    own_clock = (Argument(0, (0,), mask=_OTHERS_CLOCK),)
    own_pages = (
        Argument(3, (0, _MAP_SHARED, _MAP_ANONYMOUS), mask=_MAP_HUGETLB | _SHARED_ANONYMOUS),
    )
    return [
        # huge pages of the host's pool would count as nobody's memory
        _rule(
            machine,
            "mmap",
            ALLOW,
            own_pages,
            otherwise=errno_action(errno.ENOMEM),
            special=((Argument(3, (_SHARED_ANONYMOUS,)), _EPERM),),
        ),
        *(
            _rule(machine, name, ALLOW, own_clock, otherwise=no_clock)
            for name in ("clock_gettime", "clock_getres", "clock_nanosleep")
        ),
        _rule(
            machine,
            "getsockopt",
            ALLOW,
            harmless_option,
            otherwise=errno_action(errno.ENOPROTOOPT),
        ),
        _rule(
            machine, "futex", ALLOW, (Argument(1, _FUTEX_COMMANDS, mask=0xFF),), otherwise=_EPERM
        ),
        _rule(machine, "sendto", ALLOW, to_peer, otherwise=_EPERM),
        _rule(
            machine,
            "fcntl",
            ALLOW,
            (Argument(1, _FCNTL_COMMANDS),),
            otherwise=_EPERM,
            special=((Argument(1, _FCNTL_LOCKS), _PRETEND),),
        ),
        _rule(
            machine, "ioctl", ALLOW, (Argument(1, _IOCTLS),), otherwise=errno_action(errno.ENOTTY)
        ),
        _rule(machine, "socketpair", ALLOW, stream, otherwise=_NO_FAMILY),
        _rule(machine, "prlimit64", ALLOW, read_own_limits, otherwise=_EPERM),
        _rule(machine, "prctl", ALLOW, (Argument(0, _PRCTLS),), otherwise=_EPERM),
    ]


def _reading_rules(machine: str) -> list[Rule | None]:
    """Opening files where the file system is the host's."""
    denied = errno_action(errno.EACCES)
    return [
        _rule(machine, name, ALLOW, (Argument(at, (0,), mask=_WRITING),), otherwise=denied)
        for name, at in (("open", 1), ("openat", 2))
    ]


def _gated_rules(machine: str) -> list[Rule | None]:
    mask = _THREAD_FLAGS | _FORBIDDEN_CLONE_FLAGS
    thread_or_fork = (Argument(0, (_THREAD_FLAGS, _SIGCHLD), mask=mask),)
    return [
        _rule(machine, "clone", ALLOW, thread_or_fork, otherwise=_EPERM),
        # fork(2) is how musl forks where there is one
        *(_rule(machine, name, ALLOW) for name in ("fork", "kill", "tgkill", RENDEZVOUS)),
    ]


def _ungated_rules(machine: str, pid: int) -> list[Rule | None]:
    mask = _THREAD_FLAGS | _FORBIDDEN_CLONE_FLAGS
    thread = (Argument(0, (_THREAD_FLAGS,), mask=mask),)
    itself = (Argument(0, (pid,)),)
    return [
        _rule(machine, "clone", ALLOW, thread, otherwise=_EPERM),
        *(_rule(machine, name, ALLOW, itself, otherwise=_EPERM) for name in ("kill", "tgkill")),
    ]


def _rule(
    machine: str,
    name: str,
    action: int,
    conditions: tuple[Argument, ...] = (),
    *,
    otherwise: int = 0,
    special: tuple[tuple[Argument, int], ...] = (),
) -> Rule | None:
    """A rule for a call by name; None where this architecture does not have it."""
    number = syscalls.number(name, machine)
    return None if number is None else Rule(number, action, conditions, otherwise, special)


# --- installing ---------------------------------------------------------------------------------


class _Program(ctypes.Structure):
    """struct sock_fprog."""

    _fields_ = (("length", ctypes.c_ushort), ("filter", ctypes.c_char_p))


def install(packed: bytes) -> None:
    """Put this process, with all threads, under a filter (`bpf.pack`).

    Needs no_new_privs. Raises OSError.
    """
    result = _install(packed, _FLAG_TSYNC)
    if result:  # the id of a thread that has a filter of its own: nothing was installed
        raise OSError(errno.EBUSY, f"seccomp: thread {result} cannot be put under the filter")


def install_with_listener(packed: bytes) -> int:
    """As `install`, for the only thread; returns the descriptor that hears of USER_NOTIF."""
    return _install(packed, _FLAG_NEW_LISTENER)


def offers_listener() -> bool:
    """True if the kernel lets a filter have a listener: not where a container's own filter has one.

    Found out by a child that tries it.
    """
    # a handler of SIGCHLD may collect every child that it finds: it has to wait
    blocked = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGCHLD})
    try:
        child = os.fork()
        if child == 0:
            _try_a_listener()
        return os.waitpid(child, 0)[1] == 0
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, blocked)


def _try_a_listener() -> NoReturn:
    status = 1
    try:
        libc.prctl(_PR_SET_NO_NEW_PRIVS, 1)
        install_with_listener(bpf.pack(gate(os.uname().machine)))
        status = 0
    finally:
        os._exit(status)


def _install(packed: bytes, flags: int) -> int:
    passed = _Program(len(packed) // 8, packed)
    address = ctypes.addressof(passed)
    number = _SECCOMP[os.uname().machine]
    return libc.syscall(number, _SET_MODE_FILTER, flags, address, name="seccomp")
