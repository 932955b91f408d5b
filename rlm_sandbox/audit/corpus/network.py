"""Reaching out: only ever to listeners that the audit itself has opened on this machine."""

from __future__ import annotations

from functools import partial

from rlm_sandbox.audit.program import Aim, Kind, Program
from rlm_sandbox.confine.layers import Layer

_program = partial(Program, kind=Kind.NETWORK)
_TCP = (Layer.SECCOMP, Layer.NET, Layer.LANDLOCK)
_UDP = (Layer.SECCOMP, Layer.NET)
_PATH = (Layer.SECCOMP, Layer.MOUNT)
_ABSTRACT = (Layer.SECCOMP, Layer.NET, Layer.LANDLOCK)

_ONLY_FILTER = {
    Layer.SECCOMP: "only the filter keeps the socket from being opened; its network namespace is "
    "empty, so it leads nowhere"
}

_reach = partial(_program, aim=Aim.LISTENER, alone=_ONLY_FILTER)
_family = partial(_program, aim=Aim.SEAL, layers=(Layer.SECCOMP,), alone=_ONLY_FILTER)


def _opening(family: int, kind: int, protocol: int) -> str:
    return f"""
s = socket.socket({family}, {kind}, {protocol})
KEEP.append(s)
won(s)
"""


PROGRAMS: tuple[Program, ...] = (
    _reach(
        name="tcp",
        mechanism="TCP over IPv4",
        layers=_TCP,
        code="socket.create_connection(('127.0.0.1', T['tcp4']), 1)",
    ),
    _reach(
        name="tcp-v6",
        mechanism="TCP over IPv6",
        layers=_TCP,
        code="socket.create_connection(('::1', T['tcp6']), 1)",
    ),
    _reach(
        name="tcp-raw-call",
        mechanism="socket and connect by system call number",
        layers=_TCP,
        code="""
fd, error = call('socket', 2, 1, 0)
address = struct.pack('=H', 2) + struct.pack('>H', T['tcp4']) + bytes([127, 0, 0, 1]) + bytes(8)
print(error, LIBC.connect(fd, address, 16))
""",
    ),
    _reach(
        name="tcp-fast-open",
        mechanism="connect by sending (MSG_FASTOPEN)",
        layers=_TCP,
        code="""
s = socket.socket()
KEEP.append(s)
s.sendto(b'hello', 0x20000000, ('127.0.0.1', T['tcp4']))
""",
    ),
    _reach(
        name="mptcp",
        mechanism="TCP's sibling protocols",
        layers=_TCP,
        code="""
s = socket.socket(socket.AF_INET, socket.SOCK_STREAM, 262)
s.settimeout(1)
s.connect(('127.0.0.1', T['tcp4']))
""",
    ),
    _reach(
        name="asyncio",
        mechanism="an event loop that connects without blocking",
        layers=_TCP,
        code="""
import asyncio
async def go():
    await asyncio.wait_for(asyncio.open_connection('127.0.0.1', T['tcp4']), 1)
asyncio.run(go())
""",
    ),
    _reach(
        name="http",
        mechanism="an HTTP client of the standard library",
        layers=_TCP,
        code="""
import http.client
c = http.client.HTTPConnection('127.0.0.1', T['tcp4'], timeout=0.3)
c.request('GET', '/')
""",
    ),
    _reach(
        name="udp",
        mechanism="a datagram, which Landlock does not cover",
        layers=_UDP,
        code="socket.socket(2, 2).sendto(b'hello', ('127.0.0.1', T['udp4']))",
    ),
    _reach(
        name="udp-connected",
        mechanism="a datagram from a connected socket",
        layers=_UDP,
        code="""
s = socket.socket(2, 2)
s.connect(('127.0.0.1', T['udp4']))
s.send(b'hello')
""",
    ),
    _reach(
        name="udp-sendmsg",
        mechanism="sendmsg with an address of its own",
        layers=_UDP,
        code="socket.socket(2, 2).sendmsg([b'hello'], [], 0, ('127.0.0.1', T['udp4']))",
    ),
    _reach(
        name="unix-path",
        mechanism="a UNIX socket that has a path",
        layers=_PATH,
        also_off=(Layer.LANDLOCK, Layer.UID, Layer.USER),
        code="""
s = socket.socket(socket.AF_UNIX)
KEEP.append(s)
s.connect(T['unix_stream'])
s.send(b'hello')
""",
    ),
    _reach(
        name="unix-datagram",
        mechanism="a datagram to a UNIX socket that has a path",
        layers=_PATH,
        also_off=(Layer.LANDLOCK, Layer.UID, Layer.USER),
        code="socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM).sendto(b'x', T['unix_datagram'])",
    ),
    _reach(
        name="pair-to-path",
        mechanism="a pair of datagram sockets, one of which sends elsewhere",
        layers=_PATH,
        also_off=(Layer.LANDLOCK, Layer.UID, Layer.USER),
        code="""
one, other = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
one.sendto(b'hello', T['unix_datagram'])
""",
    ),
    _reach(
        name="pair-sendmsg",
        mechanism="a pair of datagram sockets and sendmsg",
        layers=_PATH,
        also_off=(Layer.LANDLOCK, Layer.UID, Layer.USER),
        code="""
one, other = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
one.sendmsg([b'hello'], [], 0, T['unix_datagram'])
""",
    ),
    _reach(
        name="abstract",
        mechanism="a UNIX socket with an abstract name",
        layers=_ABSTRACT,
        code="""
s = socket.socket(socket.AF_UNIX)
KEEP.append(s)
s.connect(chr(0) + T['abstract'])
s.send(b'hello')
""",
    ),
    _program(
        name="reconnect-channel",
        mechanism="connect the controller's socket to somewhere else",
        aim=Aim.LISTENER,
        layers=(Layer.SECCOMP,),
        inert="a connected stream socket cannot be connected again, with any filter",
        code="""
s = channel()
try:
    s.connect(T['unix_stream'])
except OSError as error:
    print(error)
""",
    ),
    _program(
        name="bind",
        mechanism="listen for others",
        aim=Aim.SEAL,
        layers=_TCP,
        also_off=(Layer.UID, Layer.USER),
        code="""
s = socket.socket()
KEEP.append(s)
s.bind(('127.0.0.1', 0))
s.listen()
won(s.getsockname())
""",
        alone={Layer.SECCOMP: "binds in an empty network namespace, where nobody can connect"},
    ),
    _program(
        name="bind-path",
        mechanism="plant a UNIX socket in a folder",
        aim=Aim.FILE,
        layers=(Layer.SECCOMP, Layer.MOUNT, Layer.LANDLOCK),
        code="socket.socket(socket.AF_UNIX).bind(T['folder'] + '/new')",
    ),
    _program(
        name="names",
        mechanism="resolve a name",
        aim=Aim.CLAIM,
        layers=(Layer.MOUNT, Layer.LANDLOCK),
        also_off=(Layer.SECCOMP, Layer.NET),
        code="won(socket.getaddrinfo('localhost', 80, socket.AF_INET, socket.SOCK_STREAM))",
        alone={
            Layer.MOUNT: "localhost is known to the C library itself",
            Layer.LANDLOCK: "localhost is known to the C library itself",
            Layer.SECCOMP: "localhost is known to the C library itself",
        },
        inert="localhost may be known to the C library without any file; no other name may be "
        "asked for, since that question would leave the machine",
    ),
    _program(
        name="interfaces",
        mechanism="ask for the host's network interfaces through the controller's socket",
        aim=Aim.CLAIM,
        layers=(Layer.SECCOMP,),
        alone={
            Layer.SECCOMP: "that socket was made in the host's network namespace, which answers "
            "questions about its interfaces; it cannot be used to reach them"
        },
        code="""
import fcntl
for index, name in ((1, b'lo'), (2, b'')):
    request = bytearray(struct.pack('16si20x', b'', index))
    fcntl.ioctl(channel().fileno(), 0x8910, request)
    found = bytes(request[:16]).rstrip(bytes(1))
    flags = bytearray(struct.pack('16sH22x', found, 0))
    fcntl.ioctl(channel().fileno(), 0x8913, flags)
    if struct.unpack_from('H', flags, 16)[0] & 1: won('up', found)
""",
    ),
    _program(
        name="peer-of-channel",
        mechanism="a handle on the controller from its own socket (SO_PEERPIDFD)",
        aim=Aim.SEAL,
        layers=(Layer.SECCOMP,),
        alone={
            Layer.SECCOMP: "gives a descriptor of the controller's process; every use of it needs "
            "further rights, which are gone"
        },
        code="""
s = channel()
for option in (77, 17, 31, 59):
    try:
        value = s.getsockopt(1, option, 64)
    except OSError as error:
        print(option, error)
        continue
    if option == 77:
        KEEP.append(struct.unpack('i', value)[0])
        won('pidfd')
    if option == 17 and struct.unpack('iii', value)[0] == T['controller']: won('pid')
""",
    ),
    _family(name="netlink", mechanism="AF_NETLINK", code=_opening(16, 3, 0)),
    _family(
        name="af-alg",
        mechanism="AF_ALG, the kernel's crypto",
        code=_opening(38, 5, 0),
        inert="this kernel may have been built without it",
    ),
    _program(
        name="packet",
        mechanism="AF_PACKET, all traffic",
        aim=Aim.SEAL,
        layers=(Layer.SECCOMP, Layer.CAPABILITIES),
        also_off=(Layer.UID, Layer.USER),
        code=_opening(17, 3, 0),
    ),
    _program(
        name="raw-icmp",
        mechanism="a raw socket",
        aim=Aim.SEAL,
        layers=(Layer.SECCOMP, Layer.CAPABILITIES),
        also_off=(Layer.UID, Layer.USER),
        code=_opening(2, 3, 1),
    ),
    _family(
        name="vsock",
        mechanism="AF_VSOCK, the way to the hypervisor",
        code=_opening(40, 1, 0),
        inert="this kernel may have been built without it",
    ),
    _family(
        name="rare-families",
        mechanism="seldom tested families of the kernel",
        inert="this kernel may have been built without them",
        code="""
for family in (3, 4, 5, 9, 15, 20, 21, 29, 30, 31, 35, 36, 37, 39, 41, 42, 43, 44, 45):
    for kind in (1, 2, 3, 5):
        try:
            KEEP.append(socket.socket(family, kind, 0))
        except OSError:
            continue
        won(family, kind)
""",
    ),
    _family(
        name="pair-of-datagrams",
        mechanism="socketpair of another kind",
        code="""
for kind in (2, 3, 5):
    try:
        KEEP.append(socket.socketpair(socket.AF_UNIX, kind))
    except OSError as error:
        print(kind, error)
    else:
        won(kind)
""",
    ),
)
