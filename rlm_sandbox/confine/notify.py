"""The trusted end of the seccomp gate: hears of calls and answers them. seccomp_unotify(2)."""

from __future__ import annotations

import fcntl
import os
import struct
from dataclasses import dataclass

_RECEIVE = 0xC0502100  # SECCOMP_IOCTL_NOTIF_RECV
_SEND = 0xC0182101  # SECCOMP_IOCTL_NOTIF_SEND
_ADD_DESCRIPTOR = 0x40182103  # SECCOMP_IOCTL_NOTIF_ADDFD
_CONTINUE = 1  # SECCOMP_USER_NOTIF_FLAG_CONTINUE

# struct seccomp_notif: id, pid, flags; its seccomp_data: nr, arch, instruction pointer, arguments
_NOTIFICATION = struct.Struct("=QIIiIQ6Q")
_RESPONSE = struct.Struct("=QqiI")
_ADDITION = struct.Struct(
    "=QIIII"
)  # struct seccomp_notif_addfd: id, flags, ours, theirs, flags of theirs


@dataclass(frozen=True)
class Question:
    """A call that waits for an answer. `thread` is its caller, as our pid namespace numbers it."""

    cookie: int
    thread: int
    number: int
    arguments: tuple[int, ...]


def receive(listener: int) -> Question | None:
    """The next question; None if its caller died before it was read."""
    buffer = bytearray(_NOTIFICATION.size)
    try:
        fcntl.ioctl(listener, _RECEIVE, buffer)
    except FileNotFoundError:
        return None
    cookie, thread, _, number, _, _, *arguments = _NOTIFICATION.unpack(buffer)
    return Question(cookie, thread, number, tuple(arguments))


def let_through(listener: int, question: Question) -> None:
    """The kernel carries the call out. Safe only where the arguments checked are registers."""
    _answer(listener, _RESPONSE.pack(question.cookie, 0, 0, _CONTINUE))


def give_descriptor(listener: int, question: Question, descriptor: int) -> bool:
    """The call returns a copy of our descriptor; False if its caller is gone or has no room."""
    request = _ADDITION.pack(question.cookie, 0, descriptor, 0, os.O_CLOEXEC)
    try:
        theirs = fcntl.ioctl(listener, _ADD_DESCRIPTOR, bytearray(request))
    except OSError:
        return False
    _answer(listener, _RESPONSE.pack(question.cookie, theirs, 0, 0))
    return True


def refuse(listener: int, question: Question, error: int) -> None:
    """The call fails with this errno."""
    _answer(listener, _RESPONSE.pack(question.cookie, 0, -error, 0))


def _answer(listener: int, response: bytes) -> None:
    try:
        fcntl.ioctl(listener, _SEND, bytearray(response))
    except FileNotFoundError:  # the caller was killed while it waited
        return
