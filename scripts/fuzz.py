"""Mutated frames against the controller's side of the wire, generated programs in real sandboxes.

What must not happen: an exception that the controller does not expect, a frame or a step that
takes longer than it may, memory, threads or descriptors of this process that grow with the number
of runs. Everything follows from the seed.
"""

from __future__ import annotations

import argparse
import os
import random
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

import msgspec
import psutil

from rlm_sandbox import Limits, Sandbox, values
from rlm_sandbox.errors import SandboxError, ValueRefused
from rlm_sandbox.framing import FrameBuffer, FrameTooLarge, frame
from rlm_sandbox.protocol import (
    Answer,
    Attend,
    Call,
    Done,
    Output,
    Ready,
    Refusal,
    decode_from_worker,
    encode,
)
from rlm_sandbox.result import State
from rlm_sandbox.session import Phase, ProtocolViolation, Session

FRAMES = 1_000_000
PROGRAMS = 10_000
PROGRAMS_A_SANDBOX = 50

FRAME_SECONDS = 1.0
STEP_SLACK_SECONDS = 12.0
GROWTH_BYTES = 64 * 1024 * 1024
GROWTH_HANDLES = 8

FRAME_CAP = 64 * 1024
LIMITS = Limits(
    step_seconds=0.4,
    cpu_seconds=0.3,
    memory="128MiB",
    processes=16,
    open_files=32,
    output_chars=2_000,
    tmp_bytes="2MiB",
    value_bytes="256KiB",
    host_calls=50,
    concurrent_calls=4,
    call_bytes="1MiB",
)


@dataclass
class Report:
    """What was run and what went wrong."""

    counts: Counter[str] = field(default_factory=Counter)
    failures: list[str] = field(default_factory=list)

    def fail(self, what: str, example: object) -> None:
        self.failures.append(f"{what}: {str(example)[:2_000]!r}")


# --- frames -----------------------------------------------------------------------------------


def seeds() -> list[bytes]:
    """Honest frames of every kind, and values of every type."""
    plain = [
        None,
        True,
        -1,
        2**70,
        1.5,
        "x\ud800",
        b"x",
        [1, [2]],
        (1,),
        {"a": {1}},
        frozenset({2}),
    ]
    arguments = values.encode([plain, {"key": plain}])
    messages = (
        Ready(),
        Call(1, 0, arguments, alone=True),
        Call(2, 1, values.encode([[], {}]), alone=False),
        Output("text " * 100),
        Done(1, "ok", None, "out", truncated=False),
        Done(1, "error", "ValueError: x (line 1)", "", truncated=True),
        Attend(1),
        Answer(1, values.encode(plain)),
        Refusal(1, "missing", "there is none"),
    )
    return [encode(message) for message in messages]


class Mutator:
    """Changes honest payloads into others, from a seed."""

    def __init__(self, dice: random.Random, honest: list[bytes]) -> None:
        self._dice = dice
        self._honest = honest
        self._changes = (self._flip, self._cut, self._insert, self._splice, self._nest, self._lie)

    def payload(self) -> bytes:
        data = bytearray(self._dice.choice(self._honest))
        for _ in range(self._dice.randrange(4)):
            self._dice.choice(self._changes)(data)
        return bytes(data)

    def _flip(self, data: bytearray) -> None:
        for _ in range(self._dice.randrange(1, 8)):
            if data:
                data[self._dice.randrange(len(data))] = self._dice.randrange(256)

    def _cut(self, data: bytearray) -> None:
        at = self._dice.randrange(len(data) + 1)
        del data[at : at + self._dice.randrange(1, 32)]

    def _insert(self, data: bytearray) -> None:
        at = self._dice.randrange(len(data) + 1)
        data[at:at] = self._dice.randbytes(self._dice.randrange(1, 16))

    def _splice(self, data: bytearray) -> None:
        other = self._dice.choice(self._honest)
        at = self._dice.randrange(len(data) + 1)
        data[at:] = other[self._dice.randrange(len(other)) :]

    def _nest(self, data: bytearray) -> None:
        at = self._dice.randrange(len(data) + 1)
        deep = self._dice.choice((3, 90, 300, 5_000))
        data[at:at] = (
            self._dice.choice((b"\x91", b"\x81\xa1x", b"\xd4\x01", b"\xc7\xff\x01")) * deep
        )

    def _lie(self, data: bytearray) -> None:
        """A header that announces more than there is."""
        at = self._dice.randrange(len(data) + 1)
        header = self._dice.choice((b"\xdd", b"\xdf", b"\xdb", b"\xc6", b"\xc9"))
        data[at : at + 5] = header + self._dice.choice(
            (b"\xff" * 4, b"\x7f\xff\xff\xff", b"\0\1\0\0")
        )


def fuzz_frames(count: int, dice: random.Random, report: Report) -> None:
    """Run so many frames through buffer, decoder, session and values."""
    mutator = Mutator(dice, seeds())
    growth = Growth()
    for number in range(count):
        payload = mutator.payload()
        started = time.perf_counter()
        try:
            report.counts[f"frame {_read(payload, dice)}"] += 1
        except Exception as error:  # noqa: BLE001 - any other than the expected is what we look for
            report.fail(f"a frame raised {type(error).__name__}: {error}", payload.hex())
        if (seconds := time.perf_counter() - started) > FRAME_SECONDS:
            report.fail(f"a frame took {seconds:.1f} s", payload.hex())
        if number == count // 10:
            growth = Growth()  # allocators have settled
    growth.check("frames", report)


def _read(payload: bytes, dice: random.Random) -> str:
    """What becomes of a payload on the controller's side."""
    buffer = FrameBuffer(cap=FRAME_CAP)
    data = frame(payload)
    if dice.random() < 0.02:
        data = dice.randbytes(4) + data[4:]
    cut = dice.randrange(len(data) + 1)
    try:
        buffer.feed(data[:cut])
        received = buffer.next_frame()
        if received is None:
            buffer.feed(data[cut:])
            received = buffer.next_frame()
        if received is None:
            return "incomplete"
        message = decode_from_worker(received)
    except FrameTooLarge:
        return "too large"
    except (msgspec.MsgspecError, RecursionError, ValueError):
        return "not read"
    session = Session(LIMITS, functions=2)
    session.phase = dice.choice(list(Phase))
    try:
        session.receive(message, now=1.0)
    except ProtocolViolation:
        return "violation"
    if isinstance(message, Call | Answer):
        carried = message.arguments if isinstance(message, Call) else message.value
        try:
            values.decode_untrusted(carried, LIMITS.value_bytes)
        except ValueRefused:
            return "value refused"
    return "accepted"


# --- programs ---------------------------------------------------------------------------------

ATOMS = (
    *("0", "-1", "2**64", "1e308", "''", "b'x' * 9000", "'\\ud800'", "[]", "{}", "None", "x", "y"),
    *("object()", "type", "Exception", "print", "echo", "sys", "os", "S", "(lambda: x)", "..."),
)
STATEMENTS = (
    "{n} = {e}",
    "{n} = [{e}, {e}] * {k}",
    "{n} = ({e},) + ({e},)",
    "{n} = {{1: {e}, 'a': {e}}}",
    "print({e}, {e})",
    "echo({e}, key={e})",
    "{n} = echo",
    "del {n}",
    "raise ValueError({e})",
    "import {m}",
    "{n} = getattr({e}, '{a}', {e})",
    "setattr({e}, '{a}', {e})",
    "class {n}:\n    __{a}__ = {e}\n    def __repr__(self): return {e}",
    "def {n}(*a): return {n}(*a, {e})",
    "{n}({e})",
    "for _ in range({k}): {n} = {e}",
    "try:\n    {n} = {e}()\nexcept BaseException as error:\n    {n} = error",
    "threading.Thread(target={e}, args=({e},)).start()",
    "S.send(os.urandom({k} % 50))",
    "S.send(({k}).to_bytes(4, 'big') + os.urandom({k} % 300))",
    "ctypes.string_at(id({e}), {k})",
    "ctypes.memset(id({e}) + {k}, {k} % 256, 1)",
    "LIBC.syscall({s}, {k}, -1, {k}, 0, 0, 0)",
    "LIBC.syscall({s}, ctypes.byref(ctypes.c_long({k})), {k}, 0, 0, 0, 0)",
    "{n} = bytearray({k} * 100000)",
    "sys.setrecursionlimit({k} + 50)",
    "gc.collect()",
    "sys.modules.pop('{m}', None)",
    "open('/tmp/{n}{k}', 'w').write('x' * {k})",
    "signal.signal({k} % 65, {e})",
    "signal.setitimer(0, {k} / 100000)",
    "os.close({k} % 40)",
    "sys.exit({e})",
    "while {e}: {n} = {e}",
    "exec({e})",
    "vars(sys.modules['builtins'])['{b}'] = {e}",
)
NAMES = ("a", "b", "x", "y", "S", "echo", "T", "loot")
MODULES = ("json", "re", "decimal", "msgspec", "asyncio", "this", "sqlite3", "rlm_sandbox.values")
ATTRIBUTES = ("class", "dict", "init", "len", "hash", "eq", "del", "reduce", "code", "bases")
BUILTINS = ("print", "repr", "len", "isinstance", "compile", "str", "getattr", "range")

PRELUDE = """
import ctypes, gc, os, signal, socket, sys, threading, time
LIBC = ctypes.CDLL(None)
S = next(o for o in gc.get_objects() if isinstance(o, socket.socket) and o.fileno() >= 0)
x = y = 1
"""


class Author:
    """Writes programs, from a seed."""

    def __init__(self, dice: random.Random) -> None:
        self._dice = dice

    def program(self) -> str:
        return "\n".join(self._statement() for _ in range(self._dice.randrange(1, 8)))

    def _statement(self) -> str:
        dice = self._dice
        text = dice.choice(STATEMENTS).format(
            n=dice.choice(NAMES),
            e=self._expression(),
            k=dice.choice((0, 1, 7, 64, 1_000, 65_536)),
            m=dice.choice(MODULES),
            a=dice.choice(ATTRIBUTES),
            b=dice.choice(BUILTINS),
            s=dice.randrange(480),
        )
        if dice.random() < 0.3:
            return text
        indented = text.replace("\n", "\n    ")
        return f"try:\n    {indented}\nexcept Exception: pass"

    def _expression(self) -> str:
        dice = self._dice
        match dice.randrange(6):
            case 0:
                return f"[{dice.choice(ATOMS)} for _ in range({dice.randrange(2_000)})]"
            case 1:
                return f"({dice.choice(ATOMS)}, {dice.choice(ATOMS)})"
            case 2:
                return f"str({dice.choice(ATOMS)})"
            case _:
                return dice.choice(ATOMS)


def fuzz_programs(count: int, dice: random.Random, report: Report) -> None:
    """Run so many generated programs in real sandboxes, and use the sessions in between."""
    author = Author(dice)
    with Sandbox(imports="all", limits=LIMITS) as box:
        box.exec("1")  # the watch thread and the zygote are there
    growth = Growth()
    for batch in _batches(count):
        with Sandbox(imports="all", limits=LIMITS, functions={"echo": _echo}) as box:
            box.exec(PRELUDE)
            for _ in range(batch):
                _run(box, author.program(), report)
    growth.check("programs", report)


def _echo(*given: object, **named: object) -> object:
    return [list(given), named]


def _batches(count: int) -> Iterator[int]:
    while count > 0:
        yield min(count, PROGRAMS_A_SANDBOX)
        count -= PROGRAMS_A_SANDBOX


def _run(box: Sandbox, program: str, report: Report) -> None:
    saviour = threading.Timer(LIMITS.step_seconds + STEP_SLACK_SECONDS, box.close)
    saviour.start()
    started = time.perf_counter()
    try:
        result = box.exec(program)
        report.counts[f"program {result.outcome}"] += 1
        if result.state is State.LOST:
            box.exec(PRELUDE)
        for use in (lambda: box.get("x"), box.describe):
            try:
                use()
            except SandboxError:
                report.counts["use refused"] += 1
    except Exception as error:  # noqa: BLE001 - exec never raises for what the code does
        report.fail(f"a program raised {type(error).__name__}: {error}", program)
    finally:
        saviour.cancel()
        saviour.join()
    seconds = time.perf_counter() - started
    if seconds > LIMITS.step_seconds + STEP_SLACK_SECONDS:
        report.fail(f"a program took {seconds:.1f} s", program)


# --- growth -----------------------------------------------------------------------------------


class Growth:
    """Memory, threads and descriptors of this process since it was made."""

    def __init__(self) -> None:
        self._process = psutil.Process()
        self._before = self._look()

    def _look(self) -> tuple[int, int]:
        handles = self._process.num_fds() + threading.active_count()
        return self._process.memory_info().rss, handles

    def check(self, what: str, report: Report) -> None:
        deadline = time.monotonic() + 5  # threads of host calls take a moment to end
        while (grown := self._grown())[1] > GROWTH_HANDLES and time.monotonic() < deadline:
            time.sleep(0.05)
        if grown[0] > GROWTH_BYTES:
            report.fail(f"{what}: this process has grown", f"{grown[0] >> 20} MiB")
        if grown[1] > GROWTH_HANDLES:
            report.fail(f"{what}: threads and descriptors are left", grown[1])

    def _grown(self) -> tuple[int, int]:
        memory, handles = self._look()
        return memory - self._before[0], handles - self._before[1]


def main(arguments: list[str] | None = None) -> int:
    """0 if nothing went wrong."""
    parser = argparse.ArgumentParser(prog="scripts/fuzz", description=__doc__)
    parser.add_argument("--frames", type=int, default=FRAMES)
    parser.add_argument("--programs", type=int, default=PROGRAMS)
    parser.add_argument("--seed", type=int, default=int.from_bytes(os.urandom(4), "big"))
    given = parser.parse_args(arguments)
    print(f"seed {given.seed}: {given.frames:,} frames, {given.programs:,} programs", flush=True)
    report, dice = Report(), random.Random(given.seed)
    started = time.monotonic()
    fuzz_frames(given.frames, dice, report)
    print(f"frames done after {time.monotonic() - started:.0f} s", flush=True)
    fuzz_programs(given.programs, dice, report)
    for what, count in sorted(report.counts.items()):
        print(f"{count:10,}  {what}")
    for failure in report.failures[:20]:
        print(f"FAILED {failure}")
    print(f"{len(report.failures)} failures in {time.monotonic() - started:.0f} s")
    return 1 if report.failures else 0


if __name__ == "__main__":
    sys.exit(main())
