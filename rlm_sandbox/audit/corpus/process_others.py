"""Touching the processes of others: signals, memory, descriptors, priorities."""

from __future__ import annotations

from functools import partial

from rlm_sandbox.audit.program import Aim, Kind, Program
from rlm_sandbox.confine.layers import Layer

_program = partial(Program, kind=Kind.PROCESS)

_REACH = (Layer.SECCOMP, Layer.GATE, Layer.PID, Layer.UID, Layer.LANDLOCK)
_FREE = (Layer.USER, Layer.CAPABILITIES, Layer.MOUNT, Layer.NOT_DUMPABLE)

_touch = partial(_program, aim=Aim.VICTIM, layers=_REACH, also_off=_FREE)
_probe = partial(_program, aim=Aim.CLAIM, layers=_REACH, also_off=_FREE)

PROGRAMS: tuple[Program, ...] = (
    # --- signals ---
    _touch(
        name="kill",
        mechanism="kill a process of the audit",
        code="os.kill(T['victim'], 15)",
    ),
    _touch(
        name="tgkill",
        mechanism="kill by thread id",
        code="print(call('tgkill', T['victim'], T['victim'], 15))",
    ),
    _touch(name="tkill", mechanism="tkill", code="print(call('tkill', T['victim'], 15))"),
    _touch(
        name="sigqueue",
        mechanism="a signal with a forged sender",
        code="""
info = bytearray(128)
struct.pack_into('iii', info, 0, 15, 0, -1)
print(call('rt_sigqueueinfo', T['victim'], 15, bytes(info)))
print(call('rt_tgsigqueueinfo', T['victim'], T['victim'], 15, bytes(info)))
""",
    ),
    _touch(
        name="pidfd-signal",
        mechanism="a signal through a pidfd",
        code="""
fd, error = call('pidfd_open', T['victim'], 0)
print(fd, error, call('pidfd_send_signal', fd, 15, None, 0))
""",
    ),
    _probe(
        name="kill-everyone",
        mechanism="kill(-1), proven with signal 0",
        code="""
for pid in (-1, -T['victim']):
    try:
        os.kill(pid, 0)
    except OSError as error:
        print(pid, error)
    else:
        won(pid)
""",
        alone={
            Layer.SECCOMP: "reaches the processes of its own pid namespace, which are its own; "
            "the gate, which is a filter too, refuses it where it is on",
        },
    ),
    _probe(
        name="kill-parent",
        mechanism="a signal to the parent, proven with signal 0",
        code="os.kill(os.getppid(), 0); won()",
        alone={Layer.SECCOMP: "its parent is the init, which no signal from inside can end"},
    ),
    _probe(
        name="kill-wide",
        mechanism="a process id whose upper half the kernel ignores",
        code="""
result, error = call('tgkill', T['victim'] | 7 << 32, T['victim'], 0)
print(result, error)
if result == 0: won()
""",
    ),
    # --- looking into, and changing others ---
    _touch(
        name="ptrace",
        mechanism="trace a process of the audit",
        code="print(call('ptrace', 0x4206, T['victim'], 0, 0)); time.sleep(0.3)",
    ),
    _program(
        name="vm-read",
        mechanism="read the controller's memory",
        aim=Aim.SECRET,
        layers=(*_REACH, Layer.NOT_DUMPABLE),
        also_off=(Layer.USER, Layer.CAPABILITIES, Layer.MOUNT),
        code="""
buffer = ctypes.create_string_buffer(64)
local = struct.pack('QQ', ctypes.addressof(buffer), 64)
remote = struct.pack('QQ', T['secret_address'], 64)
print(call('process_vm_readv', T['controller'], local, 1, remote, 1, 0), buffer.raw)
""",
    ),
    _program(
        name="vm-write",
        mechanism="write the controller's memory (a buffer made for it)",
        aim=Aim.CONTROLLER,
        layers=(*_REACH, Layer.NOT_DUMPABLE),
        also_off=(Layer.USER, Layer.CAPABILITIES, Layer.MOUNT),
        code="""
local = ctypes.create_string_buffer(b'overwritten')
mine = struct.pack('QQ', ctypes.addressof(local), 11)
remote = struct.pack('QQ', T['buffer_address'], 11)
print(call('process_vm_writev', T['controller'], mine, 1, remote, 1, 0))
""",
    ),
    _program(
        name="pidfd-getfd",
        mechanism="take an open file from the controller",
        aim=Aim.SECRET,
        layers=(*_REACH, Layer.NOT_DUMPABLE),
        also_off=(Layer.USER, Layer.CAPABILITIES, Layer.MOUNT),
        code="""
pidfd, error = call('pidfd_open', T['controller'], 0)
fd, error = call('pidfd_getfd', pidfd, T['secret_fd'], 0)
print(os.pread(fd, 100, 0) if fd >= 0 else error)
""",
    ),
    _probe(
        name="kcmp",
        mechanism="compare descriptors with the controller's",
        code="""
result, error = call('kcmp', os.getpid(), T['controller'], 0, 0, 0)
if result >= 0: won(result)
""",
    ),
    _touch(
        name="nice",
        mechanism="change the priority of a process of the audit",
        code="print(call('setpriority', 0, T['victim'], 15))",
    ),
    _touch(
        name="affinity",
        mechanism="change the processors of a process of the audit",
        code="print(call('sched_setaffinity', T['victim'], 8, struct.pack('Q', 1)))",
    ),
    _touch(
        name="scheduler",
        mechanism="change the scheduling of a process of the audit",
        code="""
print(call('sched_setscheduler', T['victim'], 5, struct.pack('i', 0)))
print(call('sched_setattr', T['victim'], struct.pack('IIQiIQQQ', 48, 3, 0, 5, 0, 0, 0, 0), 0))
""",
    ),
    _touch(
        name="prlimit",
        mechanism="change the limits of a process of the audit",
        code="print(call('prlimit64', T['victim'], 7, struct.pack('QQ', 17, 17), None))",
    ),
    _touch(
        name="ioprio",
        mechanism="change the I/O priority of a process of the audit",
        aim=Aim.CLAIM,
        code="if call('ioprio_set', 1, T['victim'], 3 << 13)[0] == 0: won()",
    ),
    _probe(
        name="move-pages",
        mechanism="move or advise the memory of a process of the audit",
        code="""
permitted('migrate_pages', T['victim'], 0, None, None, refusals=(1, 3, 13, 38))
permitted('move_pages', T['victim'], 0, None, None, None, 0, refusals=(1, 3, 13, 38))
""",
    ),
    _probe(
        name="robust-list",
        mechanism="addresses from a process of the audit (get_robust_list)",
        layers=(Layer.SECCOMP, Layer.PID, Layer.UID, Layer.LANDLOCK, Layer.NOT_DUMPABLE),
        code="""
head, size = ctypes.c_void_p(), ctypes.c_size_t()
result, error = call('get_robust_list', T['victim'], ctypes.byref(head), ctypes.byref(size))
print(result, error)
if result == 0: won(head)
""",
    ),
    _program(
        name="pidfd",
        mechanism="a handle on a process",
        aim=Aim.SEAL,
        layers=(Layer.SECCOMP,),
        alone={Layer.SECCOMP: "gives a handle on a process of its own namespace only"},
        code="obtained('pidfd_open', os.getpid(), 0)",
    ),
)
