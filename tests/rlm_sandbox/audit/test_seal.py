"""The kernel's account of a process shows what it has become and what it holds."""

from __future__ import annotations

import os
import resource
import socket

from rlm_sandbox.audit import seal
from rlm_sandbox.confine import libc


def test_nothing_has_changed_when_nothing_has() -> None:
    before = seal.take(os.getpid())
    assert seal.take(os.getpid()).broken_since(before) == []


def test_another_limit_is_seen() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_STACK)
    before = seal.take(os.getpid())
    resource.setrlimit(resource.RLIMIT_STACK, (soft - 4096 if soft > 0 else 1 << 23, hard))
    try:
        (change,) = seal.take(os.getpid()).broken_since(before)
    finally:
        resource.setrlimit(resource.RLIMIT_STACK, (soft, hard))
    assert change.startswith("limit Max stack size was")


def test_sockets_that_lead_out_are_seen_and_pairs_are_not() -> None:
    before = seal.take(os.getpid())
    one, other = socket.socketpair()
    with one, other:
        assert seal.take(os.getpid()).broken_since(before) == []
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM):
        assert seal.take(os.getpid()).broken_since(before) == ["it holds a socket of UDP"]


def test_handles_of_the_kernel_are_seen() -> None:
    before = seal.take(os.getpid())
    pidfd = os.pidfd_open(os.getpid())
    memory = os.memfd_create("canary")
    try:
        changes = seal.take(os.getpid()).broken_since(before)
    finally:
        os.close(pidfd)
        os.close(memory)
    assert [change.partition("[")[0].partition(":")[0] for change in changes] == [
        "it holds /memfd",
        "it holds anon_inode",
    ]


def test_a_namespace_of_its_own_is_seen() -> None:
    before = seal.take(os.getpid())
    child = os.fork()
    if child == 0:
        changed = False
        try:
            libc.unshare(0x10000000)
            changed = "namespace user" in str(seal.take(os.getpid()).broken_since(before))
        except OSError:
            changed = True  # this host refuses it: nothing to see
        finally:
            os._exit(0 if changed else 1)
    assert os.waitpid(child, 0)[1] == 0
