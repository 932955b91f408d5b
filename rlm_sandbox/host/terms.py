"""What holds for every process that a sandbox ever runs its code in."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Self

from rlm_sandbox.host.running import Running
from rlm_sandbox.limits import Limits

Functions = Mapping[str, Callable[..., object]]


@dataclass(frozen=True)
class Terms:
    """The limits, the host functions, and how long the whole session may last."""

    limits: Limits
    functions: Functions
    deadline: float | None
    """When the whole session must be over, on the monotonic clock."""
    running: Running = field(init=False, compare=False)
    """The host functions that run for it. Whatever is made of these terms has its own."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "running", Running(self.limits.concurrent_calls))

    @classmethod
    def from_now(cls, limits: Limits, functions: Functions) -> Terms:
        """The terms of a session whose time begins now."""
        seconds = limits.session_seconds
        return cls(limits, functions, None if seconds is None else time.monotonic() + seconds)

    def within(self, seconds: float, least: float) -> float:
        """So many seconds, or as many as the session has left, but `least` in any case."""
        if self.deadline is None:
            return seconds
        return min(seconds, max(self.deadline - time.monotonic(), least))

    def offering(self, functions: Functions) -> Self:
        """The same with other host functions."""
        return replace(self, functions=functions)

    def apart(self) -> Self:
        """The same, for another session."""
        return replace(self)
