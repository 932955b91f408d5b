"""The filters: examined for both architectures by the interpreter, and put on for real."""

from __future__ import annotations

import errno
import itertools
import os
import signal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rlm_sandbox.confine import bpf, seccomp, syscalls
from rlm_sandbox.confine.bpf import ALLOW, KILL_PROCESS, USER_NOTIF, Instruction, errno_action
from tests.rlm_sandbox import program

MACHINES = list(syscalls.ARCHITECTURES)
EPERM, ENOSYS = errno_action(errno.EPERM), errno_action(errno.ENOSYS)
PID = 4711
I386, ARM = 0x40000003, 0x40000028

WALLS = {
    (machine, gated, private): seccomp.wall(machine, gated=gated, private_root=private, pid=PID)
    for machine, gated, private in itertools.product(MACHINES, (True, False), (True, False))
}
GATES = {machine: seccomp.gate(machine) for machine in MACHINES}
ALL_WALLS = pytest.mark.parametrize(("machine", "gated", "private"), WALLS)

NEVER = {  # by name: the number on x86-64 and on aarch64
    "ptrace": (101, 117),
    "process_vm_readv": (310, 270),
    "process_vm_writev": (311, 271),
    "process_madvise": (440, 440),
    "pidfd_open": (434, 434),
    "pidfd_getfd": (438, 438),
    "pidfd_send_signal": (424, 424),
    "kcmp": (312, 272),
    "tkill": (200, 130),
    "rt_sigqueueinfo": (129, 138),
    "rt_tgsigqueueinfo": (297, 240),
    "execve": (59, 221),
    "execveat": (322, 281),
    "vfork": (58, 1077),
    "unshare": (272, 97),
    "setns": (308, 268),
    "mount": (165, 40),
    "umount2": (166, 39),
    "pivot_root": (155, 41),
    "chroot": (161, 51),
    "open_tree": (428, 428),
    "move_mount": (429, 429),
    "fsopen": (430, 430),
    "mount_setattr": (442, 442),
    "openat2": (437, 437),
    "open_by_handle_at": (304, 265),
    "name_to_handle_at": (303, 264),
    "mknodat": (259, 33),
    "fchown": (93, 55),
    "fchownat": (260, 54),
    "flock": (73, 32),
    "fadvise64": (221, 223),  # what it evicts from the page cache, every other worker misses
    "inotify_init1": (294, 26),
    "fanotify_init": (300, 262),
    "bpf": (321, 280),
    "perf_event_open": (298, 241),
    "userfaultfd": (323, 282),
    "io_uring_setup": (425, 425),
    "io_uring_enter": (426, 426),
    "io_uring_register": (427, 427),
    "io_setup": (206, 0),
    "keyctl": (250, 219),
    "add_key": (248, 217),
    "request_key": (249, 218),
    "memfd_create": (319, 279),
    "memfd_secret": (447, 447),
    "splice": (275, 76),
    "vmsplice": (278, 75),
    "tee": (276, 77),
    "sendmsg": (46, 211),
    "sendmmsg": (307, 269),
    "bind": (49, 200),
    "listen": (50, 201),
    "accept": (43, 202),
    "accept4": (288, 242),
    "getpeername": (52, 205),
    "setsockopt": (54, 208),
    "shmget": (29, 194),
    "semget": (64, 190),
    "msgget": (68, 186),
    "mq_open": (240, 180),
    "personality": (135, 92),
    "setuid": (105, 146),
    "setresuid": (117, 147),
    "setgroups": (116, 159),
    "capset": (126, 91),
    "setrlimit": (160, 164),
    "sched_setaffinity": (203, 122),
    "setpriority": (141, 140),
    "timer_create": (222, 107),
    "get_robust_list": (274, 100),
    "seccomp": (317, 277),
    "landlock_restrict_self": (446, 446),
    "sethostname": (170, 161),
    "sysinfo": (99, 179),
    "syslog": (103, 116),
    "reboot": (169, 142),
    "init_module": (175, 105),
    "kexec_load": (246, 104),
    "swapon": (167, 224),
    "acct": (163, 89),
    "quotactl": (179, 60),
}


def number(name: str, machine: str) -> int:
    found = syscalls.number(name, machine)
    assert found is not None
    return found


def ask(filter_: list[Instruction], machine: str, name: str | int, *args: int) -> int:
    call = name if isinstance(name, int) else number(name, machine)
    return bpf.run(filter_, call, syscalls.ARCHITECTURES[machine], args)


@pytest.mark.parametrize("name", NEVER)
def test_what_no_worker_may_do_is_refused(name: str) -> None:
    for (machine, _, _), filter_ in WALLS.items():
        call = NEVER[name][MACHINES.index(machine)]
        assert ask(filter_, machine, call) & 0xFFFF0000 == bpf.ERRNO


@ALL_WALLS
def test_all_that_is_allowed_is_in_the_table(machine: str, gated: bool, private: bool) -> None:
    known = {syscalls.number(name, machine) for name in syscalls._NUMBERS}
    filter_ = WALLS[machine, gated, private]
    allowed = {call for call in range(2048) if ask(filter_, machine, call) == ALLOW}
    assert allowed <= known
    assert len(allowed) > 60


@ALL_WALLS
def test_what_an_interpreter_lives_on_is_allowed(machine: str, gated: bool, private: bool) -> None:
    for name in ("read", "write", "munmap", "rt_sigreturn", "exit_group", "newfstatat"):
        assert ask(WALLS[machine, gated, private], machine, name) == ALLOW


@ALL_WALLS
@given(call=st.integers(syscalls.FIRST_UNKNOWN, 2**32 - 1))
def test_calls_newer_than_the_table_and_of_the_x32_abi_are_not_there(
    machine: str, gated: bool, private: bool, call: int
) -> None:
    assert ask(WALLS[machine, gated, private], machine, call) == ENOSYS


@ALL_WALLS
@given(call=st.integers(0, 2**32 - 1), arch=st.sampled_from([I386, ARM, 0, 0xFFFFFFFF]))
def test_calls_of_another_architecture_kill(
    machine: str, gated: bool, private: bool, call: int, arch: int
) -> None:
    assert bpf.run(WALLS[machine, gated, private], call, arch) == KILL_PROCESS
    assert bpf.run(GATES[machine], call, arch) == KILL_PROCESS


HIGH = 1 << 32
REFUSED_FLAGS = {
    "NEWUSER": 0x10000000,
    "NEWPID": 0x20000000,
    "NEWNET": 0x40000000,
    "NEWNS": 0x00020000,
    "NEWTIME": 0x80,
    "PARENT": 0x8000,
    "PTRACE": 0x2000,
    "UNTRACED": 0x00800000,
    "VFORK": 0x4000,
    "PIDFD": 0x1000,
    "IO": 0x80000000,
}
THREAD = 0x3D0F00  # as glibc starts one
SIGCHLD = 17


@ALL_WALLS
def test_threads_start_and_clone3_falls_back_to_clone(
    machine: str, gated: bool, private: bool
) -> None:
    filter_ = WALLS[machine, gated, private]
    assert ask(filter_, machine, "clone", THREAD) == ALLOW
    assert ask(filter_, machine, "clone3") == ENOSYS


@pytest.mark.parametrize("flag", REFUSED_FLAGS.values(), ids=REFUSED_FLAGS)
def test_no_clone_makes_a_namespace_or_a_stranger(flag: int) -> None:
    for (machine, _, _), filter_ in WALLS.items():
        for base in (THREAD, SIGCHLD, 0):
            assert ask(filter_, machine, "clone", base | flag) == EPERM
            assert ask(filter_, machine, "clone", base | flag | HIGH) == EPERM


@pytest.mark.parametrize("machine", MACHINES)
@pytest.mark.parametrize("private", [True, False])
def test_forks_and_signals_are_asked_about_behind_the_gate_and_refused_without(
    machine: str, private: bool
) -> None:
    behind, alone = WALLS[machine, True, private], WALLS[machine, False, private]
    assert ask(GATES[machine], machine, "clone", SIGCHLD) == USER_NOTIF
    assert ask(GATES[machine], machine, "clone", THREAD) == ALLOW
    assert ask(behind, machine, "clone", SIGCHLD) == ALLOW
    assert ask(alone, machine, "clone", SIGCHLD) == EPERM
    assert machine != "x86_64" or ask(GATES[machine], machine, "fork") == USER_NOTIF
    assert machine != "x86_64" or ask(alone, machine, "fork") == EPERM
    for shared in (0x100, 0x200, 0x400, 0x800):  # VM FS FILES SIGHAND
        assert ask(behind, machine, "clone", SIGCHLD | shared) == EPERM
        assert ask(behind, machine, "clone", THREAD & ~shared) == EPERM
    for name in ("kill", "tgkill"):
        assert ask(GATES[machine], machine, name, PID, 9) == USER_NOTIF
        assert ask(alone, machine, name, PID, 9) == ALLOW
        for other in (PID + 1, 1, 0, -1, -PID):
            assert ask(alone, machine, name, other, 9) == EPERM


@pytest.mark.parametrize(
    ("name", "args", "allowed"),
    [
        ("socketpair", (1, 1), True),  # AF_UNIX, SOCK_STREAM
        ("socketpair", (1, 1 | 0o2000000), True),  # SOCK_CLOEXEC
        ("socketpair", (1, 2), False),  # a datagram pair can sendto a stranger
        ("socketpair", (1, 5), False),
        ("socketpair", (2, 1), False),
        ("socket", (1, 1), False),
        ("connect", (3,), False),
        ("sendto", (3, 0, 0, 0, 0), True),
        ("sendto", (3, 0, 0, 0, 0x7FFF0000), False),
        ("sendto", (3, 0, 0, 0, HIGH), False),
        ("ioctl", (0, 0x5421), True),
        ("ioctl", (0, 0x5412), False),  # TIOCSTI
        ("ioctl", (0, 0x5412 | HIGH), False),
        ("ioctl", (0, 0x541C), False),  # TIOCLINUX
        ("ioctl", (0, 0x40049409), False),  # FICLONE
        ("fcntl", (0, 3), True),
        ("fcntl", (0, 5), False),  # GETLK shows the locks of others
        ("fcntl", (0, 8), False),  # SETOWN
        ("fcntl", (0, 10), False),  # SETSIG
        ("fcntl", (0, 1024), False),  # SETLEASE
        ("fcntl", (0, 1026), False),  # NOTIFY
        ("fcntl", (0, 1031), False),  # SETPIPE_SZ
        ("fcntl", (0, 1033), False),  # ADD_SEALS
        ("prctl", (15,), True),
        ("prctl", (4, 1), False),  # SET_DUMPABLE
        ("prctl", (0x59616D61,), False),  # SET_PTRACER
        ("prctl", (22,), False),  # SET_SECCOMP
        ("prctl", (35,), False),  # SET_MM
        ("prlimit64", (0, 7, 0), True),
        ("prlimit64", (0, 7, HIGH), False),
        ("prlimit64", (1, 7, 0), False),
        ("getsockopt", (3, 1, 3), True),  # SO_TYPE
        ("getsockopt", (3, 1, 17), False),  # SO_PEERCRED
        ("getsockopt", (3, 1, 77), False),  # SO_PEERPIDFD: of the controller
        ("getsockopt", (3, 6, 3), False),
        ("mmap", (0, 0, 0, 0x22), True),
        ("mmap", (0, 0, 0, 0x40022), False),  # MAP_HUGETLB
        ("mmap", (0, 0, 0, 0x01), True),  # a file, shared
        ("mmap", (0, 0, 0, 0x21), False),  # MAP_SHARED, MAP_ANONYMOUS
        ("mmap", (0, 0, 0, 0x8021), False),
        ("mmap", (0, 0, 0, 0x23), False),  # MAP_SHARED_VALIDATE
        ("clock_gettime", (1,), True),
        ("clock_gettime", (~PID << 3 | 2,), False),  # the CPU clock of a process
        ("futex", (0, 128), True),
        ("futex", (0, 1), False),  # a wake that reaches other processes
    ],
)
def test_arguments_decide(name: str, args: tuple[int, ...], allowed: bool) -> None:
    for (machine, _, _), filter_ in WALLS.items():
        answer = ask(filter_, machine, name, *args)
        assert (answer == ALLOW) is allowed
        assert allowed or answer & 0xFFFF0000 == bpf.ERRNO


WRITING = [os.O_WRONLY, os.O_RDWR, os.O_CREAT, os.O_TRUNC, os.O_TMPFILE, 3]


@pytest.mark.parametrize("machine", MACHINES)
@pytest.mark.parametrize("gated", [True, False])
def test_where_the_file_system_is_the_hosts_nothing_in_it_can_be_changed(
    machine: str, gated: bool
) -> None:
    private, shared = WALLS[machine, gated, True], WALLS[machine, gated, False]
    assert ask(shared, machine, "openat", 0, 0, os.O_RDONLY | os.O_CLOEXEC) == ALLOW
    assert ask(shared, machine, "openat", 0, 0, os.O_RDONLY | os.O_DIRECTORY) == ALLOW
    for flags in WRITING:
        refused = errno_action(errno.EACCES)
        assert ask(shared, machine, "openat", 0, 0, flags) == refused
        assert ask(private, machine, "openat", 0, 0, flags) == ALLOW
    for name in ("truncate", "unlinkat", "renameat2", "mkdirat", "linkat", "fchmodat", "utimensat"):
        assert ask(shared, machine, name) == EPERM
        assert ask(private, machine, name) == ALLOW


# --- for real -----------------------------------------------------------------------------------

UNDER_THE_WALL = """
import ctypes, errno, os, socket, sys, threading
from rlm_sandbox.confine import bpf, libc, privileges, seccomp
privileges.no_new_privileges()
libc_ = ctypes.CDLL(None, use_errno=True)
def lock(private_root=False):
    machine = os.uname().machine
    pid = os.getpid()
    seccomp.install(
        bpf.pack(seccomp.wall(machine, gated=False, private_root=private_root, pid=pid))
    )
def refused(attempt, *expected):
    try:
        attempt()
    except OSError as error:
        assert error.errno in expected, error
    else:
        raise AssertionError("it succeeded")
"""


def test_sockets_programs_forks_and_strangers_are_out_of_reach() -> None:
    program.run(
        UNDER_THE_WALL
        + """
lock()
refused(lambda: socket.socket(), errno.EAFNOSUPPORT)
refused(lambda: socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM), errno.EAFNOSUPPORT)
refused(os.fork, errno.EPERM)
refused(lambda: os.execv("/bin/true", ["true"]), errno.EPERM)
refused(lambda: os.kill(os.getppid(), 0), errno.EPERM)
refused(lambda: libc.unshare(0x10000000), errno.EPERM)
refused(lambda: libc.prctl(4, 1), errno.EPERM)
os.kill(os.getpid(), 0)
"""
    )


def test_threads_start_under_the_wall_and_older_ones_come_under_it() -> None:
    program.run(
        UNDER_THE_WALL
        + """
locked, seen = threading.Event(), []
def late():
    locked.wait()
    try:
        socket.socket()
    except OSError as error:
        seen.append(error.errno)
older = threading.Thread(target=late)
older.start()
lock()
locked.set()
older.join()
younger = threading.Thread(target=late)
younger.start()
younger.join()
assert seen == [errno.EAFNOSUPPORT] * 2, seen
"""
    )


def test_a_file_of_ones_own_cannot_be_changed_without_a_private_root(tmp_path: object) -> None:
    program.run(
        UNDER_THE_WALL
        + """
file = os.environ["FILE"]
open(file, "w").write("whole")
lock()
assert open(file).read() == "whole"
for attempt in (
    lambda: open(file, "w"),
    lambda: open(file, "r+"),
    lambda: os.open(file, os.O_RDONLY | os.O_TRUNC),
    lambda: os.truncate(file, 0),
    lambda: os.chmod(file, 0o777),
    lambda: os.utime(file, (1, 1)),
    lambda: os.rename(file, file + "2"),
    lambda: os.unlink(file),
    lambda: os.mkdir(file + "-folder"),
):
    refused(attempt, errno.EPERM, errno.EACCES)
assert open(file).read() == "whole"
""",
        FILE=f"{tmp_path}/file",
    )


def test_nothing_is_learnt_of_a_sockets_other_end() -> None:
    program.run(
        UNDER_THE_WALL
        + """
here, there = socket.socketpair()
lock()
assert here.getsockopt(socket.SOL_SOCKET, socket.SO_TYPE) == socket.SOCK_STREAM
for option in (17, 59, 77):
    refused(lambda: here.getsockopt(socket.SOL_SOCKET, option, 64), errno.ENOPROTOOPT)
here.send(b"x")
assert there.recv(1) == b"x"
"""
    )


def test_memory_that_no_limit_of_a_process_counts_is_refused() -> None:
    program.run(
        UNDER_THE_WALL
        + """
import mmap
lock()
refused(lambda: mmap.mmap(-1, 4096), errno.EPERM)
refused(lambda: mmap.mmap(-1, 4096, flags=mmap.MAP_SHARED | 0x20 | 0x8000), errno.ENOMEM)
mmap.mmap(-1, 4096, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS).write(b"x")
"""
    )


@pytest.mark.skipif(os.uname().machine != "x86_64", reason="int 0x80 is an instruction of x86")
def test_a_call_by_int_0x80_kills() -> None:
    source = (
        UNDER_THE_WALL
        + """
import mmap
page = mmap.mmap(-1, 4096, prot=7)
page.write(bytes([0xB8, 20, 0, 0, 0, 0xCD, 0x80, 0xC3]))  # mov eax, getpid; int 0x80; ret
address = ctypes.addressof(ctypes.c_char.from_buffer(page))
lock()
ctypes.CFUNCTYPE(ctypes.c_int)(address)()
"""
    )
    with program.start(source) as process:
        process.communicate(timeout=program.SECONDS)
    # SIGSEGV where the kernel is built without 32-bit calls
    assert -process.returncode in {signal.SIGSYS, signal.SIGSEGV}


def test_whether_a_listener_is_offered_is_found_out_beside_a_busy_reaper() -> None:
    program.run(
        """
import os, signal
from rlm_sandbox.confine import seccomp
def reap(*_):
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    except ChildProcessError:
        pass
signal.signal(signal.SIGCHLD, reap)
assert len({seccomp.offers_listener() for _ in range(20)}) == 1
"""
    )


def test_a_filter_needs_no_new_privs_or_says_so() -> None:
    program.run(
        UNDER_THE_WALL.replace("privileges.no_new_privileges()", "privileges.drop_capabilities()")
        + "refused(lock, errno.EACCES)\n"
    )
