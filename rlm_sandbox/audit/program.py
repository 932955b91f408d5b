"""What a hostile program is: its code, what it aims at, and who is to stop it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum

from rlm_sandbox.confine.layers import Layer
from rlm_sandbox.limits import Limits
from rlm_sandbox.result import Outcome


class Kind(StrEnum):
    """The class of an attack: one file of the corpus each."""

    FILES = "files"
    NETWORK = "network"
    PROCESS = "process"
    KERNEL = "kernel"
    RESOURCES = "resources"
    PROTOCOL = "protocol"
    PYTHON = "python"
    NEIGHBOURS = "neighbours"


class Aim(StrEnum):
    """What an attack would change, and so what is looked at from outside."""

    SECRET = "secret"  # noqa: S105 - a token that only the controller knows comes out of the code
    FILE = "file"  # a canary file or its folder has changed
    LISTENER = "listener"  # a listener of the audit has heard something
    VICTIM = "victim"  # a process of the audit is gone or not as it was
    PROCESS = "process"  # a process that bears the attack's mark is there
    SEAL = "seal"  # the kernel's account of the worker has changed
    USAGE = "usage"  # the kernel has measured more than the limits allow
    CONTROLLER = "controller"  # the controller hangs, raises, grows, or serves what it must not
    CLAIM = "claim"  # only the code can tell: it prints its token when the call succeeds


TIGHT = Limits(
    step_seconds=2.0,
    cpu_seconds=1.5,
    memory="128MiB",
    processes=16,
    open_files=32,
    output_chars=4_000,
    tmp_bytes="4MiB",
    value_bytes="1MiB",
    host_calls=50,
    concurrent_calls=8,
    call_bytes="4MiB",
)
"""What most programs run under."""

LOOSE = Limits(
    step_seconds=15.0,
    cpu_seconds=15.0,
    memory="2GiB",
    processes=4_096,
    open_files=1_024,
    output_chars=1_000_000,
    tmp_bytes="256MiB",
    value_bytes="64MiB",
    host_calls=100_000,
    call_bytes="1GiB",
)
"""What a program runs under that is to be seen at work; it bounds itself."""

MORE_TIME = 10
"""How many times as long a program may take where a slow machine did not come to its end."""

ANY_END = frozenset(Outcome)
ALIVE = frozenset({Outcome.OK, Outcome.ERROR})


@dataclass(frozen=True, kw_only=True)
class Program:
    """One hostile program. `T` in its code holds what it may aim at (`Stage.targets`)."""

    kind: Kind
    name: str
    mechanism: str
    code: str = field(repr=False)
    aim: Aim
    layers: tuple[Layer, ...] = ()
    """Who stops it, the first first; none: the controller or Python itself does."""
    inert: str = ""
    """Why it cannot be seen to work even with those layers off; empty if it was seen."""
    also_off: tuple[Layer, ...] = ()
    """Layers that must be off too for it to be seen at work: side effects of them stop it."""
    outcomes: frozenset[Outcome] = ALIVE
    """How its step may end."""
    alone: Mapping[Layer, str] = field(default_factory=dict)
    """Layers without which it works, since nothing stands behind them, with the reason."""
    limits: Limits = TIGHT
    imports: str = "all"
    numbers: range = range(0)
    """System call numbers, each of which is called and compared with what the filter predicts."""
    idle_seconds: float = 0.0
    """How long the session is watched after its step."""
    neighbour: str = field(default="", repr=False)
    """Code that another tenant has run, who is in the midst of a step meanwhile."""

    @property
    def id(self) -> str:
        """How the program is named in listings: its class and name."""
        return f"{self.kind}/{self.name}"

    def with_more_time(self) -> Program:
        """The same for a machine that is too slow for its limits of time."""
        limits = replace(
            self.limits,
            step_seconds=self.limits.step_seconds * MORE_TIME,
            cpu_seconds=self.limits.cpu_seconds * MORE_TIME,
        )
        return replace(self, limits=limits)
