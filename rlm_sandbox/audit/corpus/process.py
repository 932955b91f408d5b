"""Starting processes and programs, and surviving."""

from __future__ import annotations

from functools import partial

from rlm_sandbox.audit.program import ANY_END, Aim, Kind, Program
from rlm_sandbox.confine.layers import Layer

_program = partial(Program, kind=Kind.PROCESS)

_FORK = (Layer.SECCOMP, Layer.GATE)
_EXEC = (Layer.SECCOMP,)
_FORKS_END = {
    Layer.SECCOMP: "a fork is stopped by the filters only; what it starts is in the same seal and "
    "ends with the session"
}
_PROGRAMS_END = {
    Layer.SECCOMP: "starting a program of the minimal root is stopped by the filter only; what "
    "runs then is in the same seal"
}

_MARKED = """
def child():
    libc_prctl(15, T['mark'].encode(), 0, 0, 0)
    time.sleep(20)
    os._exit(0)
"""

_fork = partial(
    _program,
    aim=Aim.PROCESS,
    layers=_FORK,
    also_off=(Layer.RLIMITS,),
    outcomes=ANY_END,
    alone=_FORKS_END,
)
_run = partial(
    _program,
    aim=Aim.FILE,
    layers=(Layer.SECCOMP, Layer.GATE, Layer.MOUNT, Layer.LANDLOCK),
    also_off=(Layer.UID, Layer.USER, Layer.RLIMITS),
    outcomes=ANY_END,
)
PROGRAMS: tuple[Program, ...] = (
    # --- forks ---
    _fork(
        name="fork", mechanism="fork", code=_MARKED + "if os.fork() == 0: child()\ntime.sleep(0.2)"
    ),
    _fork(
        name="double-fork",
        mechanism="leave session and parent behind",
        code=_MARKED
        + """
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0: child()
    os._exit(0)
time.sleep(0.1)
""",
    ),
    _fork(
        name="clone",
        mechanism="clone by system call number",
        code=_MARKED + "if call('clone', 17, 0, 0, 0, 0)[0] == 0: child()",
    ),
    _fork(
        name="clone-without-signal",
        mechanism="a clone that nobody is told of",
        code=_MARKED + "if call('clone', 0, 0, 0, 0, 0)[0] == 0: child()",
    ),
    _fork(
        name="clone-parent",
        mechanism="a clone that is the parent's child (CLONE_PARENT)",
        code=_MARKED + "if call('clone', 0x8000 | 17, 0, 0, 0, 0)[0] == 0: child()",
        inert="the kernel refuses it to the children of a namespace's init, "
        "and without a pid namespace glibc's fork is the same attack",
    ),
    _fork(
        name="clone-untraced",
        mechanism="clone with its flags beyond 32 bits",
        code=_MARKED + "if call('clone', 17 | 1 << 32, 0, 0, 0, 0)[0] == 0: child()",
    ),
    _fork(
        name="clone3",
        mechanism="clone3, whose flags no filter can see",
        code=_MARKED
        + "if call('clone3', struct.pack('8Q', 0, 0, 0, 0, 17, 0, 0, 0), 64)[0] == 0: child()",
    ),
    _fork(
        name="vfork",
        mechanism="vfork in a helper that the C library has: posix_spawn",
        layers=(*_FORK, Layer.MOUNT, Layer.LANDLOCK),
        also_off=(Layer.RLIMITS, Layer.UID, Layer.USER),
        code="os.posix_spawn('/bin/sh', ['sh', '-c', 'sleep 20; : ' + T['mark']], {})",
    ),
    _fork(
        name="forkpty",
        mechanism="fork with a terminal",
        layers=(*_FORK, Layer.MOUNT, Layer.LANDLOCK),
        also_off=(Layer.RLIMITS, Layer.UID, Layer.USER, Layer.CAPABILITIES),
        code=_MARKED
        + """
import pty
if pty.fork()[0] == 0: child()
""",
    ),
    _fork(
        name="multiprocessing",
        mechanism="a pool of processes of the standard library",
        code=_MARKED
        + """
import multiprocessing
p = multiprocessing.get_context('fork').Process(target=child)
p.start()
""",
    ),
    _fork(
        name="fork-in-thread",
        mechanism="fork from a thread, while the main thread ends the step",
        code=_MARKED
        + """
def later():
    for _ in range(200):
        try:
            if os.fork() == 0: child()
            break
        except OSError:
            time.sleep(0.001)
threading.Thread(target=later).start()
""",
    ),
    _fork(
        name="fork-race",
        mechanism="many threads that fork until the gate opens for a checkpoint",
        code=_MARKED
        + """
def race():
    until, left = time.monotonic() + 0.5, 10
    while left and time.monotonic() < until:
        try:
            if os.fork() == 0: child()
            left -= 1
        except OSError:
            pass
for _ in range(4): threading.Thread(target=race).start()
""",
    ),
    _program(
        name="rendezvous",
        mechanism="speak to the gate as a checkpoint would",
        aim=Aim.CONTROLLER,
        layers=(Layer.GATE,),
        inert="without the gate nobody listens to that call",
        outcomes=ANY_END,
        code="""
for state in (0, 1, 2, -1):
    for error in (0, 1, 4096, -1):
        def ask():
            print(state, error, call('nfsservctl', state, error))
        threading.Thread(target=ask, daemon=True).start()
time.sleep(0.3)
""",
    ),
    # --- programs ---
    _run(
        name="system",
        mechanism="the shell, by os.system",
        code="print(os.system('echo changed >> ' + T['canary']))",
    ),
    _run(
        name="subprocess",
        mechanism="subprocess",
        code="""
import subprocess
print(subprocess.run(['/bin/sh', '-c', 'echo changed >> ' + T['canary']]))
""",
    ),
    _run(
        name="exec",
        mechanism="become another program",
        code="os.execv('/bin/sh', ['sh', '-c', 'echo changed >> ' + T['canary']])",
    ),
    _run(
        name="execveat",
        mechanism="execveat with a descriptor and an empty path",
        code="""
fd = os.open('/bin/sh', os.O_PATH)
words = [b'sh', b'-c', ('echo changed >> ' + T['canary']).encode()]
argv = (ctypes.c_char_p * 4)(*words, None)
print(call('execveat', fd, b'', argv, None, 0x1000))
""",
    ),
    _program(
        name="python",
        mechanism="become another Python, which is in the minimal root or not",
        aim=Aim.PROCESS,
        layers=_EXEC,
        also_off=(Layer.MOUNT, Layer.LANDLOCK, Layer.UID, Layer.USER),
        outcomes=ANY_END,
        alone=_PROGRAMS_END,
        code="""
os.execv(sys.executable, [sys.executable, '-c', 'import time; time.sleep(20)', T['mark']])
""",
    ),
    _program(
        name="memfd-exec",
        mechanism="a program that is in memory only",
        aim=Aim.PROCESS,
        layers=_EXEC,
        also_off=(Layer.MOUNT, Layer.LANDLOCK, Layer.UID, Layer.USER),
        outcomes=ANY_END,
        alone=_PROGRAMS_END,
        code="""
fd, error = call('memfd_create', b'x', 0)
if fd >= 0:
    with open('/bin/sleep', 'rb') as program: os.write(fd, program.read())
    argv = (ctypes.c_char_p * 4)(T['mark'].encode(), b'20', None)
    print(call('execveat', fd, b'', argv, None, 0x1000))
""",
    ),
    _program(
        name="scratch-exec",
        mechanism="a program written to the private /tmp",
        aim=Aim.PROCESS,
        layers=(Layer.SECCOMP, Layer.LANDLOCK, Layer.MOUNT),
        also_off=(Layer.UID, Layer.USER),
        outcomes=ANY_END,
        code="""
path = T['scratch'] + '/' + T['mark']
with open(path, 'wb') as out, open('/bin/sleep', 'rb') as program: out.write(program.read())
os.chmod(path, 0o755)
os.execv(path, [T['mark'], '20'])
""",
    ),
    _program(
        name="loader-exec",
        mechanism="the dynamic loader as a program that starts others",
        aim=Aim.PROCESS,
        layers=_EXEC,
        also_off=(Layer.MOUNT, Layer.LANDLOCK, Layer.UID, Layer.USER),
        outcomes=ANY_END,
        code="""
import glob
loader = [*glob.glob('/lib64/ld-linux*'), *glob.glob('/lib/ld-linux*')][0]
os.execv(loader, [loader, '--argv0', T['mark'], '/bin/sleep', '20'])
""",
    ),
    # --- staying ---
    _program(
        name="immortal",
        mechanism="ignore all signals and spin",
        aim=Aim.PROCESS,
        outcomes=ANY_END,
        inert="no layer ends it: the controller kills it, and SIGKILL cannot be ignored",
        code="""
for number in range(1, 65):
    try:
        signal.signal(number, signal.SIG_IGN)
    except (OSError, ValueError):
        pass
while True:
    pass
""",
    ),
    _program(
        name="no-death-signal",
        mechanism="switch the death signal off, to outlive the controller",
        aim=Aim.CLAIM,
        layers=(Layer.SECCOMP,),
        alone={
            Layer.SECCOMP: "the init ends the session when the controller is gone, all the same"
        },
        code="if libc_prctl(1, 0, 0, 0, 0) == 0: won()",
    ),
    _program(
        name="stop-itself",
        mechanism="SIGSTOP to itself, so that it can neither answer nor be interrupted",
        aim=Aim.CONTROLLER,
        outcomes=ANY_END,
        inert="the controller's clock ends it, which is no layer",
        code="os.kill(os.getpid(), signal.SIGSTOP)",
    ),
    _program(
        name="leader-leaves",
        mechanism="the main thread ends, others go on",
        aim=Aim.PROCESS,
        outcomes=ANY_END,
        inert="the controller ends it, which is no layer",
        code="""
def stay():
    while True: time.sleep(0.1)
threading.Thread(target=stay, daemon=True).start()
raw(60 if os.uname().machine == 'x86_64' else 93, 0)
""",
    ),
    _program(
        name="interrupted-gate",
        mechanism="questions to the gate that are withdrawn by signals at once",
        aim=Aim.CONTROLLER,
        outcomes=ANY_END,
        layers=(Layer.GATE,),
        inert="without the gate there is nobody to disturb",
        code="""
signal.signal(signal.SIGALRM, lambda *_: None)
signal.setitimer(signal.ITIMER_REAL, 0.0001, 0.0001)
def ask():
    until = time.monotonic() + 0.5
    while time.monotonic() < until:
        try:
            os.kill(os.getpid(), 0)
        except OSError:
            pass
threads = [threading.Thread(target=ask) for _ in range(6)]
for thread in threads: thread.start()
for thread in threads: thread.join()
signal.setitimer(signal.ITIMER_REAL, 0)
""",
    ),
)
