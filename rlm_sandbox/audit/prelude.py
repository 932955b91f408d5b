"""What every hostile program finds in its session, apart from `T`, the targets."""

from __future__ import annotations

PRELUDE = '''\
import enum
sys = enum.sys
_import = vars(sys.modules["builtins"])["__import__"]
ctypes, os, struct, socket, gc, time, threading, mmap, errno, signal = map(
    _import, "ctypes os struct socket gc time threading mmap errno signal".split())
io = _import("io")
LIBC = ctypes.CDLL(None, use_errno=True)
LIBC.syscall.restype = ctypes.c_long
LIBC.mmap.restype = ctypes.c_void_p
KEEP = []

def raw(number, *arguments):
    """A system call by number: (result, errno)."""
    passed = []
    for argument in arguments:
        if isinstance(argument, int):
            passed.append(ctypes.c_ulong(argument & (2**64 - 1)))
        else:
            passed.append(argument)
    KEEP.append(passed)
    ctypes.set_errno(0)
    result = LIBC.syscall(ctypes.c_long(number), *passed)
    return result, ctypes.get_errno()

def call(name, *arguments):
    """A system call by name: (result, errno)."""
    return raw(T["nr"][name], *arguments)

def won(*what):
    """Say that the attack has worked: nothing else prints the token."""
    print(T["token"], *what)

def permitted(name, *arguments, refusals=(1, 13, 38)):
    """Make a call that is invalid anyway: failing otherwise it has got past the permission."""
    result, error = call(name, *arguments)
    if result >= 0 or error not in refusals:
        won(name, result, error)
    else:
        print(name, result, error)

def obtained(name, *arguments):
    """Make a call that gives a descriptor, and keep it."""
    result, error = call(name, *arguments)
    if result >= 0:
        KEEP.append(result)
        won(name, result)
    else:
        print(name, result, error)

def read(path):
    with io.open(path, "rb") as file:
        return file.read(4000).decode("latin-1")

def channel():
    """The socket to the controller."""
    for thing in gc.get_objects():
        if isinstance(thing, socket.socket) and _is_socket(thing.fileno()):
            return thing
    return socket.socket(fileno=next(n for n in range(3, 64) if _is_socket(n)))

def _is_socket(number):
    try:
        return (os.fstat(number).st_mode & 0o170000) == 0o140000
    except OSError:
        return False

libc_prctl = LIBC.prctl
libc_prctl(15, T["name"].encode(), 0, 0, 0)  # by this name it is found from outside
'''

FORGER = """\
import msgspec
from rlm_sandbox import protocol as wire, values
from rlm_sandbox.framing import frame
S = channel()
pack = msgspec.msgpack.Encoder().encode

def send(*messages):
    S.sendall(b"".join(frame(pack(message)) for message in messages))

def send_raw(payload):
    S.sendall(frame(payload))

def step():
    frames = [f for f in sys._current_frames().values()]
    for f in frames:
        while f is not None:
            if f.f_code.co_name == "run" and "step" in f.f_locals:
                return f.f_locals["step"]
            f = f.f_back
    return 1

"""
"""For protocol attacks: the socket, and how to write frames of one's own."""
