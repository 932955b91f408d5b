"""Attacks on the controller through the wire: whatever bytes a worker can put on its socket.

The worker's own code is at the attacker's disposal: it finds the socket, reads and forges frames.
"""

from __future__ import annotations

from functools import partial

from rlm_sandbox.audit.prelude import FORGER
from rlm_sandbox.audit.program import ANY_END, Aim, Kind, Program
from rlm_sandbox.confine.layers import Layer
from rlm_sandbox.result import Outcome

_OWN = "the controller's own checks cannot be taken off"
_VIOLATION = frozenset({Outcome.VIOLATION})

_program = partial(Program, kind=Kind.PROTOCOL, aim=Aim.CONTROLLER, inert=_OWN, outcomes=ANY_END)


def _forged(name: str, mechanism: str, code: str, **more: object) -> Program:
    return _program(name=name, mechanism=mechanism, code=FORGER + code, **more)


def _violating(name: str, mechanism: str, code: str) -> Program:
    return _forged(name, mechanism, code + "\ntime.sleep(1)", outcomes=_VIOLATION)


PROGRAMS: tuple[Program, ...] = (
    # --- frames ---
    _violating("junk", "bytes that are no frame", "S.sendall(b'GET / HTTP/1.1' * 1000)"),
    _violating("length-lie", "a frame of four gigabytes, announced", "S.sendall(b'\\xff' * 4)"),
    _violating(
        "just-too-long",
        "a frame one byte above the cap",
        "S.sendall(((1 << 20) + (64 << 10) + 1).to_bytes(4, 'big'))",
    ),
    _violating("empty-frame", "a frame of nothing", "S.sendall(bytes(4))"),
    _violating("zero-flood", "a thousand empty frames at once", "S.sendall(bytes(4000))"),
    _forged(
        "truncated",
        "half a frame, then the end",
        "S.sendall((1000).to_bytes(4, 'big') + b'x'); S.shutdown(socket.SHUT_WR); time.sleep(0.2)",
    ),
    _forged(
        "torn-exit",
        "half a frame, then the death of the process",
        "S.sendall((1000).to_bytes(4, 'big') + b'x'); os._exit(0)",
    ),
    _forged(
        "dripped",
        "a frame that comes byte by byte",
        """
S.sendall((1 << 20).to_bytes(4, 'big'))
while True:
    S.send(b'x'); time.sleep(0.0005)
""",
    ),
    _forged(
        "waiting-frame",
        "a frame whose rest never comes",
        "S.sendall((1 << 20).to_bytes(4, 'big')); time.sleep(60)",
    ),
    _violating(
        "nested-arrays",
        "a million arrays in one another",
        "send_raw(b'\\x91' * 1_000_000 + b'\\xc0')",
    ),
    _violating(
        "nested-in-struct",
        "a million maps where a number should be",
        "send_raw(b'\\x83\\xa4type\\xa4Done\\xa4step' + b'\\x81\\xa1x' * 300_000 + b'\\xc0')",
    ),
    _violating(
        "array-lie", "an array of four thousand million items", "send_raw(b'\\xdd' + b'\\xff' * 4)"
    ),
    _violating(
        "map-lie", "a map of four thousand million items", "send_raw(b'\\xdf' + b'\\xff' * 4)"
    ),
    _violating("text-lie", "a text of four gigabytes", "send_raw(b'\\xdb' + b'\\xff' * 4)"),
    _violating(
        "memory-bomb",
        "small bytes that are large once decoded",
        "send_raw(b'\\xdd' + (1 << 20).to_bytes(4, 'big') + b'\\x90' * (1 << 20))",
    ),
    # --- messages ---
    _violating("unknown-tag", "a message that there is not", "send_raw(pack({'type': 'Root'}))"),
    _violating(
        "unknown-field",
        "a field that there is not",
        "send_raw(pack({'type': 'Output', 'text': 'x', 'admin': True}))",
    ),
    _violating("missing-field", "a field that is missing", "send_raw(pack({'type': 'Call'}))"),
    _violating(
        "wrong-types",
        "numbers that are no whole numbers",
        "send_raw(pack({'type': 'Call', 'call': 1.5, 'function': True, 'arguments': b''}))",
    ),
    _violating(
        "bad-text",
        "a text that is no UTF-8",
        "send_raw(b'\\x82\\xa4type\\xa6Output\\xa4text\\xa4' + b'\\xff\\xfe\\xff\\xfe')",
    ),
    _violating(
        "trailing",
        "bytes after the message",
        "send_raw(pack(wire.Output('x')) + pack(wire.Output('y')))",
    ),
    _violating("ready-again", "a message of another phase: Ready", "send(wire.Ready())"),
    _violating("answer", "an answer that nobody asked for", "send(wire.Answer(1, b''))"),
    _violating("attend", "a request for a descriptor", "send(wire.Attend(1))"),
    _violating(
        "from-init",
        "a message that only the init may send",
        "send_raw(pack({'type': 'Died', 'status': 0, 'cpu_seconds': 0.0, 'peak_memory': 0}))",
    ),
    _violating(
        "wrong-step",
        "the end of another step",
        "send(wire.Done(step() + 1, 'ok', None, '', False))",
    ),
    _violating(
        "unknown-ending",
        "an end that there is not",
        "send_raw(pack({'type': 'Done', 'step': step(), 'ending': 'root', 'error': None, "
        "'output': '', 'truncated': False}))",
    ),
    _forged(
        "end-twice",
        "the end of the step, and once more",
        "send(*[wire.Done(step(), 'ok', None, 'forged', False)] * 2)",
    ),
    _forged(
        "end-and-stay",
        "the end of the step, while it goes on and never reads again",
        """
send(wire.Done(step(), 'ok', None, 'forged', False))
until = time.monotonic() + 5
while time.monotonic() < until: pass
""",
    ),
    _forged(
        "ends-in-advance",
        "the ends of all steps to come",
        "send(*[wire.Done(step() + n, 'ok', None, 'forged', False) for n in range(50)])",
    ),
    _forged(
        "long-error",
        "an error of a megabyte, with escapes for terminals",
        "send(wire.Done(step(), 'error', '\\x1b[2J' * 200_000, '\\x1b]0;x\\x07', False))",
    ),
    _forged(
        "output-flood",
        "more output than asked for, past the worker's own cap",
        "for i in range(2000): send(wire.Output('x' * 60_000))",
    ),
    _forged(
        "format-strings",
        "text that a careless controller would interpret",
        "send(wire.Output('{0.__class__} %s %n ${HOME} `id` <script>')); raise ValueError('{x!r}')",
    ),
    # --- calls ---
    _violating(
        "call-number", "a call out of turn", "send(wire.Call(7, 0, values.encode([[], {}]), True))"
    ),
    _violating(
        "call-twice",
        "one call number used twice",
        "send(*[wire.Call(1, 0, values.encode([['x'], {}]), False)] * 2)",
    ),
    _violating("call-negative", "a negative call number", "send(wire.Call(-1, 0, b'', True))"),
    _violating(
        "function-index",
        "a host function that there is not",
        "send(wire.Call(1, 99, values.encode([[], {}]), True))",
    ),
    _violating(
        "function-negative",
        "a host function counted from the end",
        "send(wire.Call(1, -1, values.encode([[], {}]), True))",
    ),
    _violating(
        "number-bomb",
        "a call number beyond 64 bits",
        "send_raw(b'\\x85\\xa4type\\xa4Call\\xa4call\\xcf' + b'\\xff' * 8 + b'\\xa8function\\x00"
        "\\xa9arguments\\xc4\\x00\\xa5alone\\xc3')",
    ),
    _forged(
        "arguments",
        "arguments that are no plain data",
        """
for n, data in enumerate((b'', b'\\xc1', b'\\x91' * 200_000 + b'\\xc0', b'\\xdd' + b'\\xff' * 4,
                          pack([1, 2, 3]), pack([[], {1: 2}]), pack([{}, []]), b'\\xc7\\x01\\x63x',
                          b'\\xc7\\x05\\x07abcde', b'\\xd5\\x01\\xff\\xff',
                          b'\\xdd' + (900_000).to_bytes(4, 'big') + b'\\x90' * 900_000), 1):
    send(wire.Call(n, 0, data, True))
    S.recv(100_000)
S.sendall(b'')
os._exit(0)
""",
    ),
    _forged(
        "attributes",
        "arguments named like what Python holds dear",
        """
for n, kwargs in enumerate(({'__class__': 1}, {'self': 1}, {'_secret': 1}, {'': 1}), 1):
    send(wire.Call(n, 0, values.encode([[], kwargs]), True))
    print(S.recv(100_000))
os._exit(0)
""",
    ),
    _forged(
        "colliding-keys",
        "keys that make a dictionary slow",
        """
same = [[1.5 + j for j in range(90)] + [-1 if i >> b & 1 else -2 for b in range(10)]
        for i in range(1000)]
body = pack([msgspec.msgpack.Ext(1, pack(key)) for key in same])
send(wire.Call(1, 0, pack([[msgspec.msgpack.Ext(2, body)], {}]), True))
S.recv(100_000)
os._exit(0)
""",
    ),
    _forged(
        "call-flood",
        "calls without end",
        """
call_ = wire.Call
for n in range(1, 100_000):
    send(wire.Call(n, 0, values.encode([['x'], {}]), True))
""",
    ),
    _forged(
        "call-bytes",
        "calls of the largest size, without end",
        """
data = values.encode([[b'x' * 1_000_000], {}])
for n in range(1, 2000): send(wire.Call(n, 0, data, False))
""",
    ),
    _forged(
        "never-reads",
        "calls whose large replies are never read",
        """
for n in range(1, 9): send(wire.Call(n, 1, values.encode([[], {}]), False))
time.sleep(60)
""",
    ),
    _forged(
        "stolen-replies",
        "a thread that reads the replies of others",
        """
def steal():
    while True: S.recv(10)
threading.Thread(target=steal, daemon=True).start()
for i in range(20): echo('x')
""",
    ),
    # --- the socket itself ---
    _forged("close", "close the socket", "os.close(S.fileno()); time.sleep(0.2)"),
    _forged("shut-both", "shut the socket down", "S.shutdown(socket.SHUT_RDWR); time.sleep(0.2)"),
    _forged("shut-reading", "shut the reading half down", "S.shutdown(socket.SHUT_RD)"),
    _forged(
        "replace",
        "put another file in the socket's place",
        "os.dup2(os.open('/dev/null', os.O_RDONLY), S.fileno())",
    ),
    _forged(
        "non-blocking",
        "make the controller's socket non-blocking, if the flag were shared",
        "S.setblocking(False)",
    ),
    _program(
        name="close-everything",
        mechanism="close every descriptor that there may be",
        code="os.closerange(0, 1024)",
    ),
    Program(
        kind=Kind.PROTOCOL,
        name="send-descriptors",
        mechanism="fill the controller with descriptors",
        aim=Aim.CONTROLLER,
        layers=(Layer.SECCOMP,),
        outcomes=ANY_END,
        inert="a controller that reads with recv drops descriptors that come along",
        code=FORGER
        + """
fd = os.open('/dev/null', os.O_RDONLY)
for i in range(200):
    socket.send_fds(S, [frame(pack(wire.Output('x')))], [fd] * 4)
""",
    ),
    # --- what is measured ---
    _program(
        name="forged-name",
        mechanism="a process name that reads like the kernel's account",
        code="""
for name in (b'VmHWM:boom', b'VmHWM: 1', b') R 1 1', b'x\\nVmHWM: 1', b'\\xff\\xfe'):
    libc_prctl(15, name, 0, 0, 0)
libc_prctl(15, b'VmHWM:boom', 0, 0, 0)
""",
    ),
    _program(
        name="sabotage",
        mechanism="take the worker's own code apart",
        code="""
import msgspec, json, builtins
sys.stdout = sys.stderr = None
builtins.print = builtins.repr = builtins.str = None
msgspec.msgpack.Encoder = msgspec.msgpack.Decoder = None
for name in list(sys.modules):
    if name.startswith('rlm_sandbox'): vars(sys.modules[name]).clear()
sys.modules.clear()
""",
    ),
)
