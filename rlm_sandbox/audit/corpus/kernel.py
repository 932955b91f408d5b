"""The kernel's surface: interfaces that are to be out of reach, whatever could be done with them.

Calls that could change the host have arguments that are invalid anyway: a bad pointer, a descriptor
that is not there. What is seen then is only whether the permission check has let them through.
"""

from __future__ import annotations

from functools import partial

from rlm_sandbox.audit.program import ANY_END, Aim, Kind, Program
from rlm_sandbox.confine.layers import Layer

_program = partial(Program, kind=Kind.KERNEL)

SURFACE = {
    Layer.SECCOMP: "opening this interface is refused by the filter alone; with the other layers "
    "on, nothing outside the seal is reached by it"
}
_ROOT_ONLY = (Layer.UID, Layer.USER)

_gives = partial(_program, aim=Aim.SEAL, layers=(Layer.SECCOMP,), alone=SURFACE)
_privileged = partial(
    _program,
    aim=Aim.CLAIM,
    layers=(Layer.SECCOMP, Layer.CAPABILITIES),
    also_off=(*_ROOT_ONLY, Layer.MOUNT, Layer.LANDLOCK),
)
_plain = partial(_program, aim=Aim.CLAIM, layers=(Layer.SECCOMP,), alone=SURFACE)
_changes = partial(_program, aim=Aim.SEAL, layers=(Layer.SECCOMP,), alone=SURFACE)

PROGRAMS: tuple[Program, ...] = (
    # --- new namespaces ---
    _changes(
        name="unshare-user",
        mechanism="a user namespace, in which one is root again",
        code="print(call('unshare', 0x10000000)); print(os.getuid())",
        alone={Layer.SECCOMP: "root in a namespace within the seal, over nothing that is outside"},
    ),
    _changes(
        name="unshare-all",
        mechanism="namespaces to mount in",
        layers=(Layer.SECCOMP, Layer.CAPABILITIES),
        also_off=_ROOT_ONLY,
        code="""
for flag in (0x00020000, 0x02000000, 0x04000000, 0x08000000, 0x40000000):
    print(hex(flag), call('unshare', flag))
""",
    ),
    _privileged(
        name="setns",
        mechanism="enter a namespace by descriptor",
        code="permitted('setns', os.open(os.__file__, os.O_RDONLY), 0x40000000)",
        layers=(Layer.SECCOMP,),
        alone=SURFACE,
    ),
    _program(
        name="clone-namespaces",
        mechanism="clone into new namespaces",
        aim=Aim.PROCESS,
        layers=(Layer.SECCOMP, Layer.GATE),
        also_off=(Layer.RLIMITS,),
        outcomes=ANY_END,
        alone={Layer.SECCOMP: "ends with the session, in which it is confined as its parent is"},
        code="""
result, error = call('clone', 0x10000000 | 17, 0, 0, 0, 0)
print(result, error)
if result == 0:
    libc_prctl(15, T['mark'].encode(), 0, 0, 0)
    time.sleep(20)
    os._exit(0)
""",
    ),
    # --- mounts ---
    _privileged(
        name="mount",
        mechanism="mount (a kind of file system that is not there)",
        code="permitted('mount', b'none', b'/', b'nonesuch', 0, None)",
    ),
    _privileged(
        name="umount",
        mechanism="unmount (with bad flags)",
        code="permitted('umount2', b'/tmp', 0x7fffff00)",
        layers=(Layer.SECCOMP,),
        alone=SURFACE,
        inert="bad flags are refused before the permission is checked",
    ),
    _privileged(
        name="pivot-root",
        mechanism="exchange the root (with paths that are not there)",
        code="permitted('pivot_root', b'/nonesuch', b'/nonesuch')",
    ),
    _gives(
        name="fsopen",
        mechanism="configure a file system without mounting it",
        layers=(Layer.SECCOMP, Layer.CAPABILITIES),
        also_off=_ROOT_ONLY,
        code="obtained('fsopen', b'tmpfs', 0)",
    ),
    _gives(
        name="open-tree",
        mechanism="a mount as a descriptor",
        code="obtained('open_tree', -100, os.path.dirname(os.__file__).encode(), 0)",
    ),
    _privileged(
        name="move-mount",
        mechanism="move a mount (by descriptors that are not there)",
        code="permitted('move_mount', -1, b'', -1, b'', 0)",
    ),
    _privileged(
        name="mount-setattr",
        mechanism="make a mount writable (one that is not there)",
        code="permitted('mount_setattr', -1, b'x', 0, struct.pack('4Q', 1, 0, 0, 0), 32)",
    ),
    _plain(
        name="listmount",
        mechanism="list and examine mounts without /proc",
        code="""
request = struct.pack('IIQQ', 24, 0, 0xffffffffffffffff, 0)
buffer = ctypes.create_string_buffer(800)
result, error = call('listmount', request, buffer, 100, 0)
if result > 0: won(result)
""",
    ),
    # --- descriptors for large parts of the kernel ---
    _gives(
        name="bpf",
        mechanism="bpf maps and programs",
        layers=(Layer.SECCOMP, Layer.CAPABILITIES),
        also_off=_ROOT_ONLY,
        code="obtained('bpf', 0, struct.pack('IIIII', 2, 4, 8, 1, 0) + bytes(100), 120)",
    ),
    _gives(
        name="perf",
        mechanism="performance counters",
        layers=(Layer.SECCOMP, Layer.CAPABILITIES),
        also_off=_ROOT_ONLY,
        inert="whether it works without rights is for kernel.perf_event_paranoid to say",
        code="""
attributes = struct.pack('IIQQQQQ', 1, 120, 0, 0, 0, 0, 1 | 1 << 5 | 1 << 6) + bytes(72)
obtained('perf_event_open', attributes, 0, -1, -1, 0)
""",
    ),
    _gives(
        name="userfaultfd",
        mechanism="page faults handled by the code",
        code="obtained('userfaultfd', 1)",
    ),
    _gives(
        name="io-uring",
        mechanism="io_uring, which makes calls that no filter sees",
        also_off=(Layer.RLIMITS,),
        code="obtained('io_uring_setup', 1, ctypes.create_string_buffer(120))",
    ),
    _gives(
        name="memfd",
        mechanism="files in memory that nobody counts",
        code="""
obtained('memfd_create', b'x', 0)
obtained('memfd_secret', 0)
""",
    ),
    _gives(
        name="fanotify",
        mechanism="watch and veto file accesses",
        code="obtained('fanotify_init', 0x200, 0)",
    ),
    _gives(
        name="signalfd",
        mechanism="signals taken out of the interpreter's hands",
        code="obtained('signalfd4', -1, bytes(8), 8, 0)",
        alone={Layer.SECCOMP: "its own signals; SIGKILL is not among them"},
    ),
    _gives(
        name="landlock",
        mechanism="rules of one's own",
        code="obtained('landlock_create_ruleset', struct.pack('Q', 1), 8, 0)",
        alone={Layer.SECCOMP: "rules can only take rights away"},
    ),
    _gives(
        name="seccomp-listener",
        mechanism="a seccomp filter with a listener of one's own",
        code="""
program = struct.pack('HBBI', 6, 0, 0, 0x7fff0000)
class Fprog(ctypes.Structure):
    _fields_ = (('length', ctypes.c_ushort), ('filter', ctypes.c_char_p))
obtained('seccomp', 1, 8, ctypes.byref(Fprog(1, program)))
""",
        also_off=(Layer.GATE,),
        alone={Layer.SECCOMP: "a filter can only take rights away; a second listener is refused"},
    ),
    _gives(
        name="message-queue",
        mechanism="POSIX message queues",
        layers=(Layer.SECCOMP, Layer.LANDLOCK, Layer.RLIMITS),
        also_off=(Layer.UID, Layer.USER),
        code="""
obtained('mq_open', b'rlm-audit', 0o102, 0o600, None)
call('mq_unlink', b'rlm-audit')
""",
        alone={Layer.SECCOMP: "a queue in an ipc namespace of its own"},
    ),
    # --- keys, time, names, modules ---
    _plain(
        name="keyring",
        mechanism="the kernel's key rings",
        code="""
result, error = call('keyctl', 0, -2, 0)
if result > 0: won('keyctl', result)
result, error = call('add_key', b'user', b'rlm-audit', b'x', 1, -2)
if result > 0: won('add_key', result)
result, error = call('request_key', b'user', b'rlm-audit', None, 0)
if result > 0: won('request_key', result)
""",
    ),
    _privileged(
        name="clock",
        mechanism="set the clock (from an address that is not there)",
        code="""
permitted('settimeofday', 1, None)
permitted('clock_settime', 0, 1)
""",
        alone=SURFACE,
        inert="the address is looked at before the permission",
    ),
    _plain(
        name="clock-discipline",
        mechanism="how the host's clock is disciplined",
        code="""
if call('adjtimex', ctypes.create_string_buffer(208))[0] >= 0: won('adjtimex')
if call('clock_adjtime', 0, ctypes.create_string_buffer(208))[0] >= 0: won('clock_adjtime')
""",
    ),
    _privileged(
        name="hostname",
        mechanism="name the host (with a bad length)",
        code="permitted('sethostname', None, -1); permitted('setdomainname', None, -1)",
    ),
    _privileged(
        name="modules",
        mechanism="load or remove kernel modules (that are not there)",
        also_off=(*_ROOT_ONLY, Layer.MOUNT, Layer.LANDLOCK),
        code="""
permitted('init_module', None, 0, None)
permitted('finit_module', -1, None, 0)
permitted('delete_module', None, 0)
""",
        inert="a kernel without modules, or locked down, refuses it to everyone",
    ),
    _privileged(
        name="reboot",
        mechanism="reboot and kexec (with bad numbers)",
        code="""
permitted('reboot', 0, 0, 0, None)
permitted('kexec_load', 0, 1 << 40, None, 0)
""",
    ),
    _privileged(
        name="swap",
        mechanism="swap space (on a device that is not there)",
        code="permitted('swapon', None, 0)",
    ),
    _privileged(
        name="kernel-log",
        mechanism="the kernel's log, full of addresses",
        layers=(Layer.SECCOMP,),
        code="if call('syslog', 10, None, 0)[0] >= 0: won()",
        alone={Layer.SECCOMP: "where kernel.dmesg_restrict is 0 the log is open to everyone"},
        inert="kernel.dmesg_restrict may have closed it",
    ),
    _plain(
        name="host-load",
        mechanism="memory and load of the whole host",
        code="""
buffer = ctypes.create_string_buffer(200)
if call('sysinfo', buffer)[0] == 0: won(buffer.raw[:16])
""",
    ),
)
