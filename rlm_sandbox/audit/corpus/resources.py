"""Taking more than the limits allow. Each payload bounds itself, for when the limits are off."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

from rlm_sandbox.audit.program import ANY_END, TIGHT, Aim, Kind, Program
from rlm_sandbox.confine.layers import Layer
from rlm_sandbox.result import Outcome

_program = partial(Program, kind=Kind.RESOURCES, aim=Aim.USAGE, outcomes=ANY_END)

_MEMORY = (Layer.RLIMITS, Layer.CGROUP)
_memory = partial(
    _program,
    layers=_MEMORY,
    outcomes=frozenset({Outcome.MEMORY, Outcome.ERROR, Outcome.CRASHED, Outcome.OK}),
)
_time = partial(
    _program,
    outcomes=frozenset(
        {Outcome.TIMEOUT, Outcome.CPU, Outcome.ERROR, Outcome.MEMORY, Outcome.CRASHED}
    ),
)
_SLOW = replace(TIGHT, step_seconds=1.0, cpu_seconds=0.7)
_FEW_THREADS = replace(TIGHT, processes=8)

_MEASURED = "no layer: the controller measures and ends it"

PROGRAMS: tuple[Program, ...] = (
    # --- memory ---
    _memory(
        name="one-block",
        mechanism="one large allocation",
        code="x = bytearray(600 << 20)\nfor i in range(0, len(x), 4096): x[i] = 1",
    ),
    _memory(
        name="far-too-large",
        mechanism="an allocation beyond the machine",
        code="bytearray(1 << 46)",
        inert="no machine has that much",
    ),
    _memory(
        name="many-small",
        mechanism="many small objects, which the interpreter maps itself",
        code="x = []\nfor i in range(4_000_000): x.append((i, str(i)))",
    ),
    _memory(
        name="megabyte-steps",
        mechanism="a megabyte at a time",
        code="x = []\nfor i in range(600): x.append(b'x' * (1 << 20))",
    ),
    _memory(
        name="shared-anonymous",
        mechanism="shared memory, which RLIMIT_DATA does not count",
        layers=(*_MEMORY, Layer.SECCOMP),
        code="m = mmap.mmap(-1, 600 << 20)\nfor i in range(0, len(m), 4096): m[i] = 1",
    ),
    _memory(
        name="private-mapping",
        mechanism="memory mapped behind the interpreter's back",
        code="""
for i in range(300):
    address = LIBC.mmap(None, 2 << 20, 3, 0x22, -1, 0)
    if address == 2**64 - 1: break
    ctypes.memset(address, 1, 2 << 20)
""",
    ),
    _memory(
        name="copied-file",
        mechanism="private copies of a file's pages",
        code="""
fd = os.open(os.__file__, os.O_RDONLY)
for i in range(15000):
    address = LIBC.mmap(None, 32768, 3, 2, fd, 0)
    if address in (None, 2**64 - 1): break
    ctypes.memset(address, 1, 32768)
""",
    ),
    _memory(
        name="stack",
        mechanism="memory as the stack of threads",
        code="""
def burn():
    buffer = (ctypes.c_char * (4 << 20))()
    ctypes.memset(buffer, 1, 4 << 20)
    time.sleep(0.5)
threading.stack_size(64 << 20)
for i in range(100): threading.Thread(target=burn).start()
""",
    ),
    _memory(
        name="escaped-memory",
        mechanism="a growing text by repeated doubling",
        code="x = 'x'\nfor i in range(29): x += x",
    ),
    _memory(
        name="decompression",
        mechanism="a compressed bomb",
        code="""
import zlib
c = zlib.compressobj(9)
bomb = b''.join(c.compress(bytes(1 << 20)) for _ in range(500)) + c.flush()
x = zlib.decompress(bomb)
""",
        limits=replace(TIGHT, step_seconds=10, cpu_seconds=10),
    ),
    _memory(
        name="huge-pages",
        mechanism="pages of the host's huge page pool",
        layers=(Layer.SECCOMP,),
        inert="few hosts have such a pool",
        code="""
address = LIBC.mmap(None, 2 << 20, 3, 0x40022, -1, 0)
if address not in (None, 2**64 - 1): won()
""",
    ),
    # --- time ---
    _time(
        name="spin",
        mechanism="a loop without end",
        limits=_SLOW,
        code="until = time.monotonic() + 5\nwhile time.monotonic() < until: pass",
    ),
    _time(
        name="sleep",
        mechanism="waiting, which costs no processor",
        limits=_SLOW,
        code="time.sleep(5)",
    ),
    _time(
        name="deaf",
        mechanism="a loop that catches the interrupt",
        limits=_SLOW,
        code="""
until = time.monotonic() + 5
while time.monotonic() < until:
    try:
        while time.monotonic() < until: pass
    except BaseException:
        pass
""",
    ),
    _time(
        name="c-loop",
        mechanism="one instruction of C that takes for ever",
        limits=_SLOW,
        code="x = 3 ** (1 << 23); y = x * x",
    ),
    _time(
        name="backtracking",
        mechanism="a regular expression that backtracks",
        limits=_SLOW,
        code="import re; re.match('(a+)+$', 'a' * 30 + 'b')",
    ),
    _time(
        name="many-threads",
        mechanism="the processor time of all threads together",
        limits=replace(TIGHT, step_seconds=6, cpu_seconds=0.7),
        code="""
import hashlib
data = bytes(50 << 20)
until = time.monotonic() + 4
def burn():
    while time.monotonic() < until: hashlib.sha256(data).digest()
threads = [threading.Thread(target=burn) for _ in range(6)]
for t in threads: t.start()
for t in threads: t.join()
""",
    ),
    _time(
        name="after-the-step",
        mechanism="a thread that goes on when the step is over",
        limits=_SLOW,
        outcomes=ANY_END,
        code="""
def burn():
    until = time.monotonic() + 6
    while time.monotonic() < until: pass
threading.Thread(target=burn).start()
""",
        idle_seconds=2.5,
        inert=_MEASURED,
    ),
    _program(
        name="destructors",
        mechanism="destructors, in which an interrupt is lost",
        limits=_SLOW,
        code="""
until = time.monotonic() + 5
class Slow:
    def __del__(self):
        end = min(until, time.monotonic() + 0.3)
        while time.monotonic() < end: pass
while time.monotonic() < until: Slow()
""",
    ),
    # --- counts ---
    _program(
        name="thread-bomb",
        mechanism="more threads than allowed",
        layers=(Layer.RLIMITS,),
        limits=_FEW_THREADS,
        also_off=(Layer.CGROUP,),
        code="""
started = 0
try:
    for i in range(64):
        threading.Thread(target=time.sleep, args=(1,), daemon=True).start()
        started += 1
except RuntimeError as error:
    print(error)
if started > 30: won(started)
""",
        alone={Layer.RLIMITS: "threads are bounded by the cgroup only, where there is one"},
    ),
    _program(
        name="descriptors",
        mechanism="more open files than allowed",
        layers=(Layer.RLIMITS,),
        code="""
try:
    for i in range(200): KEEP.append(os.pipe())
except OSError as error:
    print(error)
if len(KEEP) > 100: won(len(KEEP))
""",
        alone={Layer.RLIMITS: "open files are bounded by this limit only; memory bounds them too"},
    ),
    _program(
        name="fill-scratch",
        mechanism="fill /tmp, then go on in more files",
        layers=(Layer.MOUNT, Layer.RLIMITS, Layer.LANDLOCK, Layer.SECCOMP),
        also_off=(Layer.UID, Layer.USER),
        code="""
written = 0
try:
    for i in range(40):
        with io.open(T['scratch'] + '/' + T['name'] + str(i), 'wb') as file:
            written += file.write(bytes(1 << 20))
except OSError as error:
    print(error)
for i in range(40):
    try:
        os.unlink(T['scratch'] + '/' + T['name'] + str(i))
    except OSError:
        pass
if written > 8 << 20: won(written)
""",
    ),
    _program(
        name="many-files",
        mechanism="as many files as there is room for names",
        layers=(Layer.MOUNT, Layer.LANDLOCK, Layer.SECCOMP),
        also_off=(Layer.UID, Layer.USER),
        code="""
made = 0
try:
    for i in range(3000):
        os.close(os.open(T['scratch'] + '/' + T['name'] + str(i), os.O_CREAT | os.O_WRONLY))
        made += 1
except OSError as error:
    print(error)
for i in range(made): os.unlink(T['scratch'] + '/' + T['name'] + str(i))
if made > 2000: won(made)
""",
    ),
    _program(
        name="sparse-file",
        mechanism="a file of a petabyte that holds nothing",
        layers=(Layer.RLIMITS, Layer.MOUNT, Layer.LANDLOCK, Layer.SECCOMP),
        also_off=(Layer.UID, Layer.USER),
        code="""
path = T['scratch'] + '/sparse' + T['name']
fd = os.open(path, os.O_CREAT | os.O_RDWR)
try:
    os.ftruncate(fd, 1 << 33)
    won()
finally:
    os.unlink(path)
""",
        alone={Layer.RLIMITS: "its size is only a number: the private /tmp bounds what it holds"},
    ),
    _program(
        name="deep-folders",
        mechanism="folders in folders, deeper than any path",
        inert="its own folders only: nobody outside walks them",
        code="""
os.chdir(T['scratch'])
for i in range(2000):
    os.mkdir('d'); os.chdir('d')
""",
    ),
    _program(
        name="locks",
        mechanism="kernel memory as file locks",
        limits=_SLOW,
        inert="bounded by processor time: each lock takes longer than the one before",
        code="""
import fcntl
file = io.open(T['scratch'] + '/locks', 'w')
for i in range(10_000_000): fcntl.lockf(file, fcntl.LOCK_EX, 1, 2 * i)
""",
    ),
    # --- output ---
    _program(
        name="flood",
        mechanism="print without end",
        inert=_MEASURED,
        code="while True: print('x' * 1000)",
    ),
    _program(
        name="error-flood",
        mechanism="an error whose text has no end",
        inert=_MEASURED,
        code="raise ValueError('x' * 50_000_000)",
    ),
    _program(
        name="descriptor-flood",
        mechanism="write to the standard streams themselves",
        inert="they lead nowhere",
        code="""
until = time.monotonic() + 0.5
while time.monotonic() < until:
    for fd in (0, 1, 2):
        try:
            os.write(fd, b'x' * 100_000)
        except OSError:
            pass
""",
    ),
    # --- the interpreter ---
    _program(
        name="recursion",
        mechanism="recursion without end, deeper than the C stack",
        inert="ends its own process, at most",
        code="sys.setrecursionlimit(10**9)\ndef f(): f()\nf()",
    ),
    _program(
        name="nested-source",
        mechanism="source that is too deep to parse",
        inert="ends its own process, at most",
        code="""
for text in ('(' * 100_000, '-' * 100_000 + '1', '[' * 5000 + ']' * 5000):
    try:
        eval(text)
    except (SyntaxError, MemoryError, RecursionError, ValueError) as error:
        print(type(error))
""",
    ),
    _program(
        name="nested-json",
        mechanism="data that is too deep to read",
        inert="ends its own process, at most",
        code="import json; json.loads('[' * 200_000)",
    ),
    _program(
        name="huge-number",
        mechanism="a number that is too long to print",
        inert="ends its own process, at most",
        code="str(10 ** 5000)",
    ),
)
