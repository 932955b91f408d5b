"""Back doors into the kernel, changes of the process itself, and the whole table of calls."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

from rlm_sandbox.audit.corpus.kernel import SURFACE
from rlm_sandbox.audit.program import ANY_END, TIGHT, Aim, Kind, Program
from rlm_sandbox.confine.layers import Layer

_program = partial(Program, kind=Kind.KERNEL)

_ROOT_ONLY = (Layer.UID, Layer.USER)

_plain = partial(_program, aim=Aim.CLAIM, layers=(Layer.SECCOMP,), alone=SURFACE)
_changes = partial(_program, aim=Aim.SEAL, layers=(Layer.SECCOMP,), alone=SURFACE)

_MACHINE_CODE = """
page = LIBC.mmap(None, 4096, 7, 0x22, -1, 0)
def run(code):
    ctypes.memmove(page, code, len(code))
    return ctypes.CFUNCTYPE(ctypes.c_long)(page)()
"""

_SWEEP = """
for number in T['numbers']:
    for junk in T['junk']:
        about(number, junk)
        came_back(number, junk, *raw(number, *[junk] * 6))
"""
SWEEP = replace(TIGHT, step_seconds=1.0, host_calls=10_000)

PROGRAMS: tuple[Program, ...] = (
    # --- the process itself ---
    _changes(
        name="personality",
        mechanism="switch address randomisation off",
        code="print(call('personality', 0x0040000))",
        alone={Layer.SECCOMP: "concerns programs that it would start, which it cannot"},
    ),
    _changes(
        name="dumpable",
        mechanism="be dumpable again",
        aim=Aim.CLAIM,
        code="if libc_prctl(4, 1, 0, 0, 0) == 0: won()",
        alone={Layer.SECCOMP: "opens its own memory, within its seal"},
    ),
    _plain(
        name="prctl",
        mechanism="prctl: memory map, seccomp, capabilities, speculation, timers, reaper",
        code="""
for option, value in ((35, 1), (22, 2), (24, 0), (8, 1), (53, 0), (26, 1), (36, 1), (41, 1),
                      (43, 1), (65, 0), (59, 0)):
    ctypes.set_errno(0)
    result = libc_prctl(option, value, 0, 0, 0)
    error = ctypes.get_errno()
    print(option, result, error)
    if result >= 0: won(option)
""",
        alone={Layer.SECCOMP: "changes the process itself, within its seal"},
    ),
    _changes(
        name="raise-limits",
        mechanism="raise its own limits",
        code="""
for number in range(16):
    print(call('setrlimit', number, struct.pack('QQ', 2**64 - 1, 2**64 - 1)))
    print(call('prlimit64', 0, number, struct.pack('QQ', 2**64 - 1, 2**64 - 1), None))
print(call('setrlimit', 9, struct.pack('QQ', 1 << 40, 1 << 40)))
print(call('setrlimit', 2, struct.pack('QQ', 1 << 40, 1 << 40)))
""",
        alone={
            Layer.SECCOMP: "the memory limits are soft ones, so that a context can be let in: "
            "without the filter only the controller's watch and the cgroup bound memory"
        },
    ),
    _program(
        name="become-root",
        mechanism="setuid, setgid, setgroups to root",
        aim=Aim.SEAL,
        layers=(Layer.SECCOMP, Layer.CAPABILITIES, Layer.USER),
        also_off=(Layer.UID,),
        code="""
for function in (os.setuid, os.seteuid, os.setgid):
    try:
        function(12345)
    except OSError as error:
        print(function, error)
print(call('setresuid', 0, 0, 0))
if os.getuid() == 0 and not T['root']: won()
""",
        inert="as an ordinary user nobody can do it, with any layer off",
    ),
    _program(
        name="capabilities",
        mechanism="take capabilities back",
        aim=Aim.SEAL,
        layers=(Layer.SECCOMP, Layer.CAPABILITIES),
        code="""
header, every = struct.pack('Ii', 0x20080522, 0), struct.pack('6I', *[2**32 - 1] * 6)
print(call('capset', header, every))
""",
        inert="no process can take what it does not have; with the layer off it has them already",
    ),
    _changes(
        name="priority",
        mechanism="more than its share of the processor",
        layers=(Layer.SECCOMP, Layer.CAPABILITIES),
        also_off=_ROOT_ONLY,
        code="""
print(call('setpriority', 0, 0, -10))
print(call('sched_setscheduler', 0, 1, struct.pack('i', 1)))
""",
    ),
    _changes(
        name="batch",
        mechanism="another scheduler, another set of processors",
        code="print(call('sched_setscheduler', 0, 3, struct.pack('i', 0)))",
        alone={Layer.SECCOMP: "a scheduler that gives it less"},
    ),
    _changes(
        name="lock-memory",
        mechanism="memory that cannot be swapped out",
        layers=(Layer.SECCOMP, Layer.RLIMITS),
        also_off=(Layer.UID,),
        code="print(call('mlock', LIBC.mmap(None, 4096, 3, 0x22, -1, 0), 4096))",
    ),
    _plain(
        name="timers",
        mechanism="timers of the kernel that send signals",
        code="""
timer = ctypes.c_int()
if call('timer_create', 0, None, ctypes.byref(timer))[0] == 0: won()
""",
        alone={Layer.SECCOMP: "signals to itself"},
    ),
    _plain(
        name="page-cache",
        mechanism="what of a file others have read lately",
        code="""
fd = os.open(os.__file__, os.O_RDONLY)
result = ctypes.create_string_buffer(40)
if call('cachestat', fd, struct.pack('QQ', 0, 4096), result, 0)[0] == 0: won()
""",
        alone={Layer.SECCOMP: "timing shows the same: side channels are not promised"},
        inert="newer kernels tell it only to those who may write the file",
    ),
    # --- other doors ---
    _program(
        name="int80",
        mechanism="32-bit system calls (int 0x80)",
        aim=Aim.CLAIM,
        layers=(Layer.SECCOMP, Layer.GATE),
        outcomes=ANY_END,
        code=_MACHINE_CODE
        + """
if os.uname().machine == 'x86_64':
    result = run(bytes.fromhex('b814000000cd80c3'))  # mov eax, 20 (getpid); int 0x80; ret
    if result == os.getpid(): won(result)
""",
        alone={Layer.SECCOMP: "the gate, the other filter, kills it where it is on"},
    ),
    _program(
        name="own-machine-code",
        mechanism="the syscall instruction in memory of one's own",
        alone=SURFACE,
        aim=Aim.LISTENER,
        layers=(Layer.SECCOMP, Layer.NET, Layer.LANDLOCK),
        outcomes=ANY_END,
        code=_MACHINE_CODE
        + """
if os.uname().machine == 'x86_64':
    # mov eax, 41 (socket); mov edi, 2; mov esi, 1; xor edx, edx; syscall; ret
    fd = run(bytes.fromhex('b829000000bf02000000be0100000031d20f05c3'))
    print(fd)
    if fd >= 0:
        s = socket.socket(fileno=fd)
        KEEP.append(s)
        s.settimeout(1)
        s.connect(('127.0.0.1', T['tcp4']))
""",
    ),
    _program(
        name="x32",
        mechanism="system calls of the x32 ABI",
        aim=Aim.CLAIM,
        layers=(Layer.SECCOMP,),
        inert="few kernels are built with it",
        code="""
for number in (0x40000000 | 39, 0x40000000 | 41, 0x40000000 | 57, *range(512, 548)):
    result, error = raw(number, -1, -1, -1, -1, -1, -1)
    if error != errno.ENOSYS: won(number, result, error)
""",
    ),
    # --- all of it ---
    _program(
        name="whole-table",
        mechanism="every system call there is, and those that there will be",
        aim=Aim.CLAIM,
        layers=(Layer.SECCOMP,),
        outcomes=ANY_END,
        inert="checks the filter against its own table: without it there is nothing to check",
        limits=SWEEP,
        numbers=range(1024),
        code=_SWEEP,
    ),
    _program(
        name="x32-table",
        mechanism="every system call of the x32 ABI",
        aim=Aim.CLAIM,
        layers=(Layer.SECCOMP,),
        outcomes=ANY_END,
        inert="checks the filter against its own table: without it there is nothing to check",
        limits=SWEEP,
        numbers=range(0x40000000, 0x40000000 + 600),
        code=_SWEEP,
    ),
    _program(
        name="segfault",
        mechanism="a segmentation fault, whose core dump a helper of the host would take",
        aim=Aim.FILE,
        layers=(Layer.RLIMITS, Layer.NOT_DUMPABLE),
        outcomes=ANY_END,
        inert="where a core goes is for kernel.core_pattern to say, which is the host's",
        code="ctypes.string_at(0)",
    ),
    _program(
        name="abort",
        mechanism="abort",
        aim=Aim.CONTROLLER,
        outcomes=ANY_END,
        inert="ends itself, which is all it can do",
        code="os.chdir(T['scratch']); os.abort()",
    ),
    _plain(
        name="terminal",
        mechanism="push characters into a terminal (TIOCSTI, also with high bits)",
        inert="there is no terminal to push into",
        code="""
for request in (0x5412, 0x5412 | 1 << 32, 0x541C):
    for fd in (0, 1, 2):
        result = LIBC.ioctl(fd, ctypes.c_ulong(request), b'x')
        if result == 0: won(fd, request)
""",
    ),
    _program(
        name="threads-with-namespaces",
        mechanism="a thread's clone flags together with a new namespace",
        aim=Aim.CLAIM,
        layers=(Layer.SECCOMP,),
        inert="the kernel refuses a user or pid namespace to a thread; the filter need not know",
        code="""
for flag in (0x10000000, 0x20000000, 0x00020000, 0x40000000):
    result, error = call('clone', 0x10000 | 0x100 | 0x800 | flag, 0, 0, 0, 0)
    print(hex(flag), result, error)
    if result > 0: won()
""",
    ),
)
