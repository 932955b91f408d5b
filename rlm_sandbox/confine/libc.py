"""The system calls that `os` lacks, with errors raised as OSError that name the call."""

from __future__ import annotations

import ctypes
import os
import signal

from rlm_sandbox.confine import syscalls

_PR_SET_NAME = 15
_ZEROS = (0, 0, 0, 0)

_libc = ctypes.CDLL(None, use_errno=True)
_libc.syscall.restype = ctypes.c_long
# Declared where it can be: else ctypes makes an object for every argument.
_libc.prctl.argtypes = (ctypes.c_int, *[ctypes.c_ulong] * 4)
_libc.mount.argtypes = (*[ctypes.c_char_p] * 3, ctypes.c_ulong, ctypes.c_char_p)
_holding_the_interpreter = ctypes.PyDLL(None, use_errno=True)

# Numbers of calls newer than many C libraries; they are the same on x86-64 and aarch64.
OPEN_TREE = 428
MOVE_MOUNT = 429
MOUNT_SETATTR = 442
LANDLOCK_CREATE_RULESET = 444
LANDLOCK_ADD_RULE = 445
LANDLOCK_RESTRICT_SELF = 446


def _checked(result: int, call: str) -> int:
    if result < 0:
        error = ctypes.get_errno()
        raise OSError(error, f"{call}: {os.strerror(error)}")
    return result


def fork() -> int:
    """fork(2) from the only thread of an interpreter, which is its main thread. Raises OSError.

    os.fork repairs in the child what other threads may have held, by touching 150 pages, each of
    which is copied then: half a millisecond. Where there is no other thread there is nothing to
    repair. The child's `random` must be seeded anew by whoever uses it.
    """
    return _checked(_holding_the_interpreter.fork(), "fork")


def fork_unrepaired() -> int:
    """As os.fork, but for what it does in the child: that is left to `repair_after_fork`.

    Only where no other thread is in the interpreter. Raises OSError.
    """
    ctypes.pythonapi.PyOS_BeforeFork()
    child = _holding_the_interpreter.fork()
    if child != 0:
        ctypes.pythonapi.PyOS_AfterFork_Parent()
    return _checked(child, "fork")


def repair_after_fork() -> None:
    """What os.fork does in the child: makes locks anew, calls what is registered for it."""
    ctypes.pythonapi.PyOS_AfterFork_Child()


def fork_into(flags: int) -> int:
    """`fork` into new namespaces of these kinds: clone(2). Raises OSError.

    The C library does not know of this fork and takes the child's thread for the parent's, so the
    child must not send signals to its own thread. What it forks is in order again.
    """
    number = syscalls.number("clone", os.uname().machine) or 0
    arguments = [ctypes.c_ulong(argument) for argument in (flags | signal.SIGCHLD, 0, 0, 0, 0)]
    return _checked(_holding_the_interpreter.syscall(ctypes.c_long(number), *arguments), "clone")


def syscall(number: int, *arguments: int | bytes | bytearray | None, name: str) -> int:
    """A raw system call; bytes are passed by address. Raises OSError."""
    passed: list[object] = []
    for argument in arguments:
        if isinstance(argument, bytearray):
            passed.append((ctypes.c_char * len(argument)).from_buffer(argument))
        elif isinstance(argument, int):
            passed.append(ctypes.c_ulong(argument & (2**64 - 1)))
        else:
            passed.append(argument)
    return _checked(_libc.syscall(ctypes.c_long(number), *passed), name)


def may_signal(pid: int) -> bool:
    """True if there is a process or thread of this id, and we may signal it: kill(2)."""
    return _libc.kill(pid, 0) == 0


def prctl(option: int, *arguments: int) -> int:
    """prctl(2). Raises OSError."""
    rest = _ZEROS[len(arguments) :]
    return _checked(_libc.prctl(option, *arguments, *rest), f"prctl({option})")


def set_process_name(name: str) -> None:
    """prctl(2), PR_SET_NAME. Raises OSError."""
    buffer = ctypes.create_string_buffer(name.encode())
    prctl(_PR_SET_NAME, ctypes.addressof(buffer))


def unshare(flags: int) -> None:
    """unshare(2): new namespaces for this thread. Raises OSError."""
    _checked(_libc.unshare(flags), f"unshare({flags:#x})")


def setns(descriptor: int, flags: int) -> None:
    """setns(2): move this thread into a namespace of these kinds. Raises OSError."""
    _checked(_libc.setns(descriptor, flags), f"setns({flags:#x})")


def mount(source: str, target: str, kind: str | None, flags: int, options: str = "") -> None:
    """mount(2). Raises OSError."""
    _checked(
        _libc.mount(
            os.fsencode(source),
            os.fsencode(target),
            None if kind is None else kind.encode(),
            flags,
            options.encode(),
        ),
        f"mount {source} on {target}",
    )


def unmount(target: str, flags: int) -> None:
    """umount2(2). Raises OSError."""
    _checked(_libc.umount2(os.fsencode(target), flags), f"umount {target}")


def set_names(name: str) -> None:
    """sethostname(2) and setdomainname(2): uname(2) tells both. Raises OSError."""
    _checked(_libc.sethostname(name.encode(), len(name)), "sethostname")
    _checked(_libc.setdomainname(name.encode(), len(name)), "setdomainname")
