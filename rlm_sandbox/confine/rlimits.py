"""What a process may use, by setrlimit(2): the backstop under what the controller measures."""

from __future__ import annotations

import math
import resource

from rlm_sandbox.protocol import WorkerLimits

INTERPRETER_BYTES = 64 * 1024 * 1024
"""What the interpreter itself may hold in private memory, on top of `Limits.memory`."""

ADDRESS_SLACK_BYTES = 1024 * 1024 * 1024
"""Address space that is reserved and never touched: malloc arenas (64 MB each), thread stacks."""

THREAD_STACK_BYTES = 8 * 1024 * 1024

CPU_SLACK_SECONDS = 1.0
"""The controller meters CPU time; the limit behind it must not be the first."""

CPU_LEAP = 2
"""So many steps' CPU time is allowed at once: moving the limit takes a message."""

TRUSTED_PROCESSES = 3
"""Of the same user id and not the code's: the init, the last checkpoint, the next one."""


def processes(limits: WorkerLimits) -> int:
    """Threads and processes that a worker may have at once, our own among them."""
    return limits.processes + limits.checkpoints + TRUSTED_PROCESSES


def group_memory(limits: WorkerLimits, memory: int) -> int:
    """What a worker's control group may hold when the code may have `memory` bytes.

    Checkpoints and shared memory are in it. `/tmp` has a limit of its own and gets its place here:
    a step that fills it must not leave a session in which no step can run.
    """
    return memory + INTERPRETER_BYTES + limits.tmp_bytes


def group(limits: WorkerLimits) -> tuple[int, int]:
    """Bytes and processes that a worker's control group may hold to begin with."""
    return group_memory(limits, limits.memory), processes(limits)


def memory_limits(memory: int) -> dict[int, int]:
    """The soft limits that stop an allocation beyond `memory` bytes, by resource number."""
    return {
        resource.RLIMIT_DATA: memory + INTERPRETER_BYTES,
        # RLIMIT_DATA does not count shared anonymous mappings; the address space does
        resource.RLIMIT_AS: memory + INTERPRETER_BYTES + ADDRESS_SLACK_BYTES,
    }


def cpu(used: float, step_seconds: float) -> int:
    """CPU seconds to allow a process that has used so many, with so many for each step."""
    return math.ceil(used + CPU_LEAP * (step_seconds + CPU_SLACK_SECONDS))


def cpu_suffices(allowed: int, used: float, step_seconds: float) -> bool:
    """True if what is allowed is enough for one step more."""
    return used + step_seconds + CPU_SLACK_SECONDS <= allowed


def apply(limits: WorkerLimits, *, own_user: bool) -> None:
    """Limit this process and all that it forks. Raises ValueError or OSError if one is refused.

    `own_user`: no other process counts for this user id in this user namespace, so that
    RLIMIT_NPROC, which counts all of them, can bound the worker's threads.
    """
    fixed = {
        resource.RLIMIT_CORE: 0,
        resource.RLIMIT_NOFILE: limits.open_files,
        resource.RLIMIT_FSIZE: limits.tmp_bytes,
        resource.RLIMIT_MEMLOCK: 0,
        resource.RLIMIT_MSGQUEUE: 0,
        resource.RLIMIT_STACK: THREAD_STACK_BYTES,
    }
    if own_user:
        fixed[resource.RLIMIT_NPROC] = processes(limits)
    for number, value in fixed.items():
        _, hard = resource.getrlimit(number)
        allowed = value if hard == resource.RLIM_INFINITY else min(value, hard)
        resource.setrlimit(number, (allowed, allowed))
    allow_memory(0, limits.memory)
    allow_cpu(0, cpu(0.0, limits.cpu_seconds))


def allow_memory(pid: int, memory: int) -> None:
    """Set the soft memory limits of a process of the same user id, leaving the hard ones.

    The process itself cannot: seccomp refuses it. Nothing happens if it is gone.
    """
    for number, value in memory_limits(memory).items():
        try:
            _, hard = resource.prlimit(pid, number)
            allowed = value if hard == resource.RLIM_INFINITY else min(value, hard)
            resource.prlimit(pid, number, (allowed, hard))
        except ProcessLookupError:
            return


def allow_cpu(pid: int, seconds: int) -> None:
    """Have SIGXCPU sent to a process once it has used so much CPU time in all."""
    try:
        _, hard = resource.prlimit(pid, resource.RLIMIT_CPU)
        allowed = seconds if hard == resource.RLIM_INFINITY else min(seconds, hard)
        resource.prlimit(pid, resource.RLIMIT_CPU, (allowed, hard))
    except ProcessLookupError:
        return
