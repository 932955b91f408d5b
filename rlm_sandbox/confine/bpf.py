"""Classic BPF as seccomp runs it: rules to instructions, and an interpreter to test them with.

Pure: no system call is made here, so the filter of one architecture can be examined on another.
`struct seccomp_data` is { int nr; u32 arch; u64 instruction_pointer; u64 args[6] }, little endian.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

KILL_PROCESS = 0x80000000
ERRNO = 0x00050000
USER_NOTIF = 0x7FC00000
ALLOW = 0x7FFF0000

MAX_INSTRUCTIONS = 4096

_LOAD = 0x20  # BPF_LD | BPF_W | BPF_ABS
_AND = 0x54  # BPF_ALU | BPF_AND | BPF_K
_JEQ = 0x15
_JGE = 0x35
_RETURN = 0x06

_NR, _ARCH = 0, 4


def errno_action(number: int) -> int:
    """The action that makes a call fail with this errno."""
    return ERRNO | number


@dataclass(frozen=True)
class Instruction:
    code: int
    if_true: int
    if_false: int
    operand: int

    def pack(self) -> bytes:
        return struct.pack("=HBBI", self.code, self.if_true, self.if_false, self.operand)


@dataclass(frozen=True)
class Argument:
    """One argument, masked, is one of these values. Compares the low 32 bits, as the kernel's
    `int` and `unsigned int` parameters are read; with `whole` the upper half must be zero too."""

    index: int
    values: tuple[int, ...]
    mask: int = 0xFFFFFFFF
    whole: bool = False


@dataclass(frozen=True)
class Rule:
    """What happens to a system call: `action` if all conditions hold, else `otherwise`.

    Before that, `special` has a word: the action of the first of its arguments that fits.
    """

    number: int
    action: int
    conditions: tuple[Argument, ...] = ()
    otherwise: int = 0
    special: tuple[tuple[Argument, int], ...] = ()


def assemble(
    arch: int,
    rules: Iterable[Rule],
    *,
    default: int,
    foreign: int,
    beyond: Sequence[tuple[int, int]] = (),
) -> list[Instruction]:
    """A filter for one architecture; calls of another get `foreign`, those without rule `default`.

    `beyond` holds (first number, action) pairs for ranges that reach to the end, highest first.
    """
    program = [
        Instruction(_LOAD, 0, 0, _ARCH),
        Instruction(_JEQ, 1, 0, arch),
        Instruction(_RETURN, 0, 0, foreign),
        Instruction(_LOAD, 0, 0, _NR),
    ]
    for first, action in beyond:
        program += [Instruction(_JGE, 0, 1, first), Instruction(_RETURN, 0, 0, action)]
    for rule in rules:
        body = _body(rule)
        program += [Instruction(_JEQ, 0, len(body), rule.number), *body]
    program.append(Instruction(_RETURN, 0, 0, default))
    if len(program) > MAX_INSTRUCTIONS:
        raise ValueError(f"a filter of {len(program)} instructions; the kernel takes 4096")
    return program


def _body(rule: Rule) -> list[Instruction]:
    """Instructions that end in a return; a condition that fails leaves with `otherwise`."""
    body: list[Instruction] = []
    for argument, action in rule.special:
        body.append(Instruction(_LOAD, 0, 0, 16 + 8 * argument.index))
        for value in argument.values:
            body += [Instruction(_JEQ, 0, 1, value), Instruction(_RETURN, 0, 0, action)]
    for condition in rule.conditions:
        offset = 16 + 8 * condition.index
        if condition.whole:
            body += [Instruction(_LOAD, 0, 0, offset + 4), *_one_of((0,), rule.otherwise)]
        body.append(Instruction(_LOAD, 0, 0, offset))
        if condition.mask != 0xFFFFFFFF:
            body.append(Instruction(_AND, 0, 0, condition.mask))
        body += _one_of(condition.values, rule.otherwise)
    body.append(Instruction(_RETURN, 0, 0, rule.action))
    if len(body) > 255:
        raise ValueError(f"the rule of call {rule.number} is too long for a BPF jump")
    return body


def _one_of(values: tuple[int, ...], otherwise: int) -> list[Instruction]:
    """Go on if the accumulator is one of these, else return."""
    left = len(values)
    tests = [Instruction(_JEQ, left - at, 0, value) for at, value in enumerate(values)]
    return [*tests, Instruction(_RETURN, 0, 0, otherwise)]


def pack(program: Iterable[Instruction]) -> bytes:
    """The program as the kernel's array of struct sock_filter."""
    return b"".join(instruction.pack() for instruction in program)


def run(program: Sequence[Instruction], nr: int, arch: int, args: Sequence[int] = ()) -> int:
    """The action that the program returns for a call: what the kernel would do."""
    padded = [*args, 0, 0, 0, 0, 0, 0][:6]
    data = struct.pack("=IIQ6Q", nr & 0xFFFFFFFF, arch, 0, *(arg % 2**64 for arg in padded))
    accumulator, at = 0, 0
    while True:
        step = program[at]
        at += 1
        match step.code:
            case 0x20:
                (accumulator,) = struct.unpack_from("=I", data, step.operand)
            case 0x54:
                accumulator &= step.operand
            case 0x15:
                at += step.if_true if accumulator == step.operand else step.if_false
            case 0x35:
                at += step.if_true if accumulator >= step.operand else step.if_false
            case 0x06:
                return step.operand
            case other:
                raise ValueError(f"unknown instruction {other:#x}")
