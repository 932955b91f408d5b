"""A checkpoint: a fork of the session process that sleeps until it is needed.

It sleeps in a system call that the gate has caught, so it has no socket that hostile code could
have spoiled: the init answers that call with a new one, and the fork is the session from then on.
"""

from __future__ import annotations

import contextlib
import os
import random
import socket
import sys

from rlm_sandbox.confine import libc, seccomp, syscalls

ASLEEP = 0
NOT_FORKED = 1

_NUMBER = syscalls.number(seccomp.RENDEZVOUS, os.uname().machine)


def save(inherited: socket.socket) -> socket.socket | None:
    """Fork a checkpoint. The session goes on with None; a woken checkpoint with its new socket.

    Most checkpoints are never woken, so what a fork has to do to be a whole Python again, for which
    it copies some 150 pages, is done then. Other threads make it necessary at once.
    """
    alone = len(sys._current_frames()) == 1
    numbers = None if alone else random.getstate()  # the child seeds anew
    try:
        child = libc.fork_unrepaired() if alone else os.fork()
    except OSError as error:
        with contextlib.suppress(OSError):
            _rendezvous(NOT_FORKED, error.errno or 0)
        return None
    if child:
        return None
    inherited.close()  # which leaves room for the new one, however many files the code has open
    try:
        descriptor = _rendezvous(ASLEEP, 0)
    except OSError:  # the init is gone: the whole session is over
        os._exit(0)
    if numbers is None:
        numbers = random.getstate()
        libc.repair_after_fork()
    random.setstate(numbers)
    return socket.socket(fileno=descriptor)


def _rendezvous(state: int, error: int) -> int:
    assert _NUMBER is not None
    return libc.syscall(_NUMBER, state, error, name="rendezvous")
