"""Two tenants of one host who try to see, or to tell, each other something.

`neighbour` runs first, in a step that goes on; it holds a secret in `T["neighbour_secret"]`.
"""

from __future__ import annotations

from functools import partial

from rlm_sandbox.audit.program import ANY_END, Aim, Kind, Program
from rlm_sandbox.confine.layers import Layer

_program = partial(Program, kind=Kind.NEIGHBOURS, outcomes=ANY_END)

_IPC = (Layer.SECCOMP, Layer.IPC)
_KEY = "0x726c6d21"

PROGRAMS: tuple[Program, ...] = (
    _program(
        name="scratch",
        mechanism="files in /tmp",
        aim=Aim.SECRET,
        layers=(Layer.MOUNT, Layer.LANDLOCK, Layer.SECCOMP),
        also_off=(Layer.UID, Layer.USER),
        neighbour="""
with io.open(T['scratch'] + '/message', 'w') as file: file.write(T['neighbour_secret'])
os.chmod(T['scratch'] + '/message', 0o666)
""",
        code="print(read(T['scratch'] + '/message')); os.unlink(T['scratch'] + '/message')",
    ),
    _program(
        name="shared-memory",
        mechanism="System V shared memory",
        aim=Aim.SECRET,
        layers=_IPC,
        also_off=(Layer.UID, Layer.USER),
        neighbour=f"""
identity, error = call('shmget', {_KEY}, 4096, 0o1666)
LIBC.shmat.restype = ctypes.c_void_p
address = LIBC.shmat(identity, None, 0)
secret = T['neighbour_secret'].encode()
ctypes.memmove(address, secret, len(secret))
LIBC.shmctl(identity, 0, None)
""",
        code=f"""
identity, error = call('shmget', {_KEY}, 0, 0)
LIBC.shmat.restype = ctypes.c_void_p
address = LIBC.shmat(identity, None, 0)
print(ctypes.string_at(address, 100) if identity >= 0 else error)
""",
        inert="the segment is destroyed with its last user, so that none is left behind; the "
        "message queue below is the same attack",
    ),
    _program(
        name="message-queue",
        mechanism="System V message queues",
        aim=Aim.SECRET,
        layers=_IPC,
        also_off=(Layer.UID, Layer.USER),
        neighbour=f"""
queue, error = call('msgget', {_KEY}, 0o1666)
print(call('msgsnd', queue, struct.pack('l', 1) + T['neighbour_secret'].encode(),
           len(T['neighbour_secret']), 0o4000))
""",
        code=f"""
queue, error = call('msgget', {_KEY}, 0)
buffer = ctypes.create_string_buffer(200)
print(call('msgrcv', queue, buffer, 190, 0, 0o4000), buffer.raw)
LIBC.msgctl(queue, 0, None)
""",
    ),
    _program(
        name="semaphores",
        mechanism="System V semaphores",
        aim=Aim.CLAIM,
        layers=_IPC,
        also_off=(Layer.UID, Layer.USER),
        neighbour=f"""
identity, error = call('semget', {_KEY}, 1, 0o1666)
""",
        code=f"""
identity, error = call('semget', {_KEY}, 1, 0)
if identity >= 0:
    won(identity)
    call('semctl', identity, 0, 0, 0)
""",
    ),
    _program(
        name="file-locks",
        mechanism="a lock on a library file that both may read",
        aim=Aim.CLAIM,
        layers=(Layer.SECCOMP,),
        alone={
            Layer.SECCOMP: "both read the same library files, and only the filter keeps locks on "
            "them from being seen"
        },
        neighbour="""
import fcntl
KEEP.append(io.open(os.__file__))
fcntl.lockf(KEEP[-1], fcntl.LOCK_SH, 1, 77)
call('flock', KEEP[-1].fileno(), 2)
""",
        code="""
import fcntl
file = io.open(os.__file__)
query = struct.pack('hhqqi4x', fcntl.F_WRLCK, 0, 77, 1, 0)
try:
    answer = fcntl.fcntl(file, fcntl.F_GETLK, query)
    if struct.unpack_from('h', answer)[0] != fcntl.F_UNLCK: won('F_GETLK')
except OSError as error:
    print(error)
result, error = call('flock', file.fileno(), 2 | 4)
if error == errno.EAGAIN: won('flock')
""",
    ),
    _program(
        name="device-locks",
        mechanism="a lock on a device that both have",
        aim=Aim.CLAIM,
        layers=(Layer.SECCOMP,),
        alone={
            Layer.SECCOMP: "all workers have the host's null device, and only the filter keeps "
            "locks on it from being taken"
        },
        neighbour="""
import fcntl
for path in ('/dev/null', '/dev/urandom', None):
    try:
        KEEP.append(os.open(path, os.O_RDWR) if path else 1)
        fcntl.lockf(KEEP[-1], fcntl.LOCK_EX | fcntl.LOCK_NB, 1, 77)
    except OSError as error:
        print(path, error)
""",
        code="""
import fcntl
for path in ('/dev/null', '/dev/urandom', None):
    try:
        fd = os.open(path, os.O_RDWR) if path else 1
        fcntl.lockf(fd, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, 77)
    except BlockingIOError:
        won(path)
    except OSError as error:
        print(path, error)
""",
    ),
    _program(
        name="shared-streams",
        mechanism="flags of a file that both were given open",
        aim=Aim.CLAIM,
        inert="every session opens streams of its own: there is no layer to take off",
        neighbour="""
import fcntl
for fd in (0, 1, 2): fcntl.fcntl(fd, fcntl.F_SETFL, os.O_NONBLOCK | os.O_APPEND)
""",
        code="""
import fcntl
for fd in (0, 1, 2):
    if fcntl.fcntl(fd, fcntl.F_GETFL) & (os.O_NONBLOCK | os.O_APPEND): won(fd)
""",
    ),
    _program(
        name="futex",
        mechanism="wake a thread that waits on a page of a library file",
        aim=Aim.CLAIM,
        layers=(Layer.SECCOMP,),
        alone={
            Layer.SECCOMP: "both map the same library files, and only the filter keeps one from "
            "waking the other there"
        },
        neighbour="""
fd = os.open(os.__file__, os.O_RDONLY)
address = LIBC.mmap(None, 4096, 1, 1, fd, 0)
value = ctypes.c_uint32.from_address(address + 64).value
def wait():
    call('futex', address + 64, 0, value, struct.pack('qq', 3, 0), None, 0)
threading.Thread(target=wait, daemon=True).start()
time.sleep(0.1)
""",
        code="""
fd = os.open(os.__file__, os.O_RDONLY)
address = LIBC.mmap(None, 4096, 1, 1, fd, 0)
woken, error = call('futex', address + 64, 1, 10, None, None, 0)
if woken > 0: won(woken)
""",
    ),
    _program(
        name="processes",
        mechanism="see or signal each other's processes",
        aim=Aim.CLAIM,
        layers=(Layer.PID, Layer.SECCOMP, Layer.GATE, Layer.UID, Layer.LANDLOCK),
        also_off=(Layer.USER, Layer.MOUNT, Layer.NOT_DUMPABLE),
        neighbour="pass",
        code="""
if T['neighbour_pid']:
    os.kill(T['neighbour_pid'], 0)
    won()
""",
    ),
    _program(
        name="memory",
        mechanism="read each other's memory",
        aim=Aim.SECRET,
        layers=(Layer.PID, Layer.SECCOMP, Layer.UID, Layer.LANDLOCK, Layer.NOT_DUMPABLE),
        also_off=(Layer.USER, Layer.MOUNT, Layer.CAPABILITIES),
        inert="where the other's text lies is not known to the attacker, nor to the audit",
        neighbour="buffer = ctypes.create_string_buffer(T['neighbour_secret'].encode())",
        code="""
print(call('process_vm_readv', T['neighbour_pid'], None, 0, None, 0, 0))
print(read('/proc/%d/maps' % T['neighbour_pid'])[:100])
""",
    ),
    _program(
        name="abstract-socket",
        mechanism="meet at an abstract name",
        aim=Aim.SECRET,
        layers=(Layer.SECCOMP, Layer.NET, Layer.LANDLOCK),
        neighbour="""
server = socket.socket(socket.AF_UNIX)
server.bind(chr(0) + 'rlm-audit-meeting')
server.listen()
def serve():
    KEEP.append(server.accept()[0])
    KEEP[-1].send(T['neighbour_secret'].encode())
threading.Thread(target=serve, daemon=True).start()
""",
        code="""
s = socket.socket(socket.AF_UNIX)
s.settimeout(1)
s.connect(chr(0) + 'rlm-audit-meeting')
print(s.recv(100))
""",
    ),
    _program(
        name="loopback",
        mechanism="meet at a port of the loopback interface",
        aim=Aim.SECRET,
        layers=(Layer.SECCOMP, Layer.NET, Layer.LANDLOCK),
        neighbour="""
server = socket.socket()
server.bind(('127.0.0.1', T['meeting_port']))
server.listen()
def serve():
    KEEP.append(server.accept()[0])
    KEEP[-1].send(T['neighbour_secret'].encode())
threading.Thread(target=serve, daemon=True).start()
""",
        code="""
s = socket.create_connection(('127.0.0.1', T['meeting_port']), 1)
print(s.recv(100))
""",
    ),
    _program(
        name="keys",
        mechanism="the key ring of a user",
        aim=Aim.SECRET,
        layers=(Layer.SECCOMP, Layer.UID, Layer.USER),
        neighbour="""
print(call('add_key', b'user', b'rlm-audit-note', T['neighbour_secret'].encode(),
           len(T['neighbour_secret']), -4))
print(call('keyctl', 5, call('request_key', b'user', b'rlm-audit-note', None, 0)[0], 0x3f3f3f3f))
print(call('keyctl', 15, call('request_key', b'user', b'rlm-audit-note', None, 0)[0], 5))
""",
        code="""
key, error = call('request_key', b'user', b'rlm-audit-note', None, 0)
buffer = ctypes.create_string_buffer(100)
print(key, error, call('keyctl', 11, key, buffer, 100), buffer.raw)
""",
        inert="workers of one controller share a user key ring only where they share a user, and "
        "then only with rights that the host's policy decides on",
    ),
    _program(
        name="hostname",
        mechanism="the host's name, which all its tenants share",
        aim=Aim.CLAIM,
        layers=(Layer.UTS,),
        alone={Layer.UTS: "nothing else hides the host's name"},
        neighbour="call('sethostname', None, -1)",
        code="if os.uname().nodename != 'sandbox': won()",
    ),
    _program(
        name="leftovers",
        mechanism="what the tenant before has left in the zygote",
        aim=Aim.SECRET,
        inert="each session is a fork of its own of a zygote that never runs guest code",
        neighbour="""
sys.leftover = T['neighbour_secret']
import os as o
o.environ['LEFT'] = T['neighbour_secret']
o.putenv('LEFT', T['neighbour_secret'])
""",
        code="print(getattr(sys, 'leftover', None), os.environ.get('LEFT'), os.getenv('LEFT'))",
    ),
    _program(
        name="same-dice",
        mechanism="guess another session's random numbers",
        aim=Aim.SECRET,
        inert="each session seeds its generator anew",
        neighbour="import random\nprint(random.getrandbits(128))",
        code="import random\nprint(random.getrandbits(128))",
    ),
    _program(
        name="library-times",
        mechanism="leave a mark in the access times of a library file",
        aim=Aim.CLAIM,
        inert="a mount that is read-only keeps no access times; elsewhere the kernel writes them "
        "once a day at most",
        neighbour="read(os.__file__)",
        code="""
before = os.stat(os.__file__).st_atime_ns
read(os.__file__)
if os.stat(os.__file__).st_atime_ns != before: won()
""",
    ),
)
