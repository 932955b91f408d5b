"""Every system call number, called with junk inside, against what the filters predict outside.

A call that ends or blocks the session does not end the sweep: it goes on with the next number.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterator, Mapping

from rlm_sandbox.audit.prelude import PRELUDE
from rlm_sandbox.audit.program import Program
from rlm_sandbox.confine import bpf, seccomp, syscalls
from rlm_sandbox.confine.layers import Layer
from rlm_sandbox.sandbox import Sandbox

JUNK = (2**64 - 1, 0x5A5A5A5A)
"""As a descriptor, a pointer, a process or a size these are nothing that there is."""

BEYOND_SECCOMP = frozenset({"uretprobe", "uprobe"})
"""The kernel itself lets these past every filter: probes of a traced program call them."""

_ERRNO_MASK = 0xFFFF
_ACTION_MASK = 0xFFFF0000

Functions = Mapping[str, Callable[..., object]]


class Sweep:
    """One pass over a range of numbers."""

    def __init__(self, layers: frozenset[Layer]) -> None:
        self._on = Layer.SECCOMP in layers
        machine = os.uname().machine
        self._arch = syscalls.ARCHITECTURES[machine]
        gated = Layer.GATE in layers
        self._gate = seccomp.gate(machine) if gated else []
        self._wall = seccomp.wall(machine, gated=gated, private_root=Layer.MOUNT in layers)
        self._excepted = {syscalls.number(name, machine) for name in BEYOND_SECCOMP}
        self._at: tuple[int, int] | None = None
        self._seen: dict[tuple[int, int], tuple[int, int]] = {}

    def run(self, program: Program, opening: Callable[[Program, Functions], Sandbox]) -> list[str]:
        """What went otherwise than predicted, in words. Nothing is called without the filter."""
        if not self._on:
            return []
        functions = {"about": self._about, "came_back": self._came_back}
        targets = {"nr": {}, "token": "", "mark": "", "name": "sweep", "prefix": ""}
        left = [number for number in program.numbers if number not in self._excepted]
        repeated: set[int] = set()
        again = False  # it may have been too slow
        while left:
            self._at = None
            with opening(program.with_more_time() if again else program, functions) as box:
                box.set("T", targets | {"numbers": left, "junk": list(JUNK)})
                box.exec(PRELUDE)
                box.exec(program.code)
            if self._at is None:
                return [f"the sweep stopped before {left[0]}"]
            last = self._at[0]
            again = last not in repeated and self._owes(last)
            repeated.add(last)
            left = [number for number in left if number > last or (again and number == last)]
        return [*self._surprises(program)]

    def _owes(self, number: int) -> bool:
        """A call of this number should have come back: perhaps it was only the step's last."""
        return any(
            self.predicted(number, junk) is not None and (number, junk) not in self._seen
            for junk in JUNK
        )

    def _about(self, number: int, junk: int) -> None:
        self._at = (number, junk)

    def _came_back(self, number: int, junk: int, result: int, error: int) -> None:
        self._seen[number, junk] = (result, error)

    def predicted(self, number: int, junk: int) -> int | None:
        """The errno that the filters give a call; None if they let it through or kill."""
        arguments = [junk] * 6
        action = bpf.run(self._wall, number, self._arch, arguments)
        if action & _ACTION_MASK == bpf.ERRNO:
            return action & _ERRNO_MASK
        if action == bpf.ALLOW and self._gate:
            asked = bpf.run(self._gate, number, self._arch, arguments) == bpf.USER_NOTIF
            return errno.EPERM if asked else None
        return None

    def _surprises(self, program: Program) -> Iterator[str]:
        for number in program.numbers:
            for junk in JUNK:
                expected, seen = self.predicted(number, junk), self._seen.get((number, junk))
                if number in self._excepted or expected is None:
                    continue
                if seen is None:
                    yield f"call {number} did not come back; errno {expected} was predicted"
                elif seen[1] != expected:
                    yield f"call {number} gave {seen}; errno {expected} was predicted"
