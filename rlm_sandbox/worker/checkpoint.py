"""A checkpoint: a fork of the session process that sleeps until it is needed.

It sleeps in a system call that the gate has caught, so it has no socket that hostile code could
have spoiled: the init answers that call with a new one, and the fork is the session from then on.
"""

from __future__ import annotations

import contextlib
import os
import random
import socket

from rlm_sandbox.confine import libc, seccomp, syscalls

ASLEEP = 0
NOT_FORKED = 1


def save(inherited: socket.socket) -> socket.socket | None:
    """Fork a checkpoint. The session goes on with None; a woken checkpoint with its new socket."""
    numbers = random.getstate()  # os.fork has the child seed anew
    try:
        child = os.fork()
    except OSError as error:
        with contextlib.suppress(OSError):
            _rendezvous(NOT_FORKED, error.errno or 0)
        return None
    if child:
        return None
    inherited.close()  # which leaves room for the new one, however many files the code has open
    try:
        woken = socket.socket(fileno=_rendezvous(ASLEEP, 0))
    except OSError:  # the init is gone: the whole session is over
        os._exit(0)
    random.setstate(numbers)
    return woken


def _rendezvous(state: int, error: int) -> int:
    number = syscalls.number(seccomp.RENDEZVOUS, os.uname().machine)
    assert number is not None
    return libc.syscall(number, state, error, name="rendezvous")
