"""What a process may use, by setrlimit(2): the backstop under what the controller measures."""

from __future__ import annotations

import resource

from rlm_sandbox.protocol import WorkerLimits

INTERPRETER_BYTES = 64 * 1024 * 1024
"""What the interpreter itself may hold in private memory, on top of `Limits.memory`."""

ADDRESS_SLACK_BYTES = 1024 * 1024 * 1024
"""Address space that is reserved and never touched: malloc arenas (64 MB each), thread stacks."""

THREAD_STACK_BYTES = 8 * 1024 * 1024


def memory_limits(memory: int) -> dict[int, int]:
    """The soft limits that stop an allocation beyond `memory` bytes, by resource number."""
    return {
        resource.RLIMIT_DATA: memory + INTERPRETER_BYTES,
        # RLIMIT_DATA does not count shared anonymous mappings; the address space does
        resource.RLIMIT_AS: memory + INTERPRETER_BYTES + ADDRESS_SLACK_BYTES,
    }


def apply(limits: WorkerLimits) -> None:
    """Limit this process and all that it forks. Raises ValueError or OSError if one is refused."""
    fixed = {
        resource.RLIMIT_CORE: 0,
        resource.RLIMIT_NOFILE: limits.open_files,
        resource.RLIMIT_FSIZE: limits.tmp_bytes,
        resource.RLIMIT_MEMLOCK: 0,
        resource.RLIMIT_MSGQUEUE: 0,
        resource.RLIMIT_STACK: THREAD_STACK_BYTES,
    }
    for number, value in fixed.items():
        _, hard = resource.getrlimit(number)
        allowed = value if hard == resource.RLIM_INFINITY else min(value, hard)
        resource.setrlimit(number, (allowed, allowed))
    for number, value in memory_limits(limits.memory).items():
        set_soft(0, number, value)


def set_soft(pid: int, number: int, value: int) -> None:
    """Set one soft limit of a process (0: this one), leaving the hard limit, so that it can grow.

    The controller raises the memory limits of a session when a context is loaded into it.
    """
    _, hard = resource.prlimit(pid, number)
    allowed = value if hard == resource.RLIM_INFINITY else min(value, hard)
    resource.prlimit(pid, number, (allowed, hard))
