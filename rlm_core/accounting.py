"""What a run may use and what it has used, and the arithmetic of both. Pure: no clock, no lock.

PolicyError
├── MaxStepsExceeded      the episode has no step left
├── MaxSubcallsExceeded   the tree has no sub-model call left
├── MaxRecursionExceeded  a subcall would be deeper than the policy allows
├── MaxTokensExceeded     the tree has no token left
├── MaxSecondsExceeded    the run's wall time is over
└── MaxCostExceeded       the run's money is spent
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from msgspec import Struct

from rlm_core.errors import RLMError

if TYPE_CHECKING:
    from collections.abc import Mapping


class PolicyError(RLMError, RuntimeError):
    """A limit of the policy was reached."""


class MaxStepsExceeded(PolicyError):
    """No step is left."""


class MaxSubcallsExceeded(PolicyError):
    """No call of a sub-model is left."""


class MaxRecursionExceeded(PolicyError):
    """A subcall would be deeper than allowed."""


class MaxTokensExceeded(PolicyError):
    """No token is left, or a reservation does not fit into what is left."""


class MaxSecondsExceeded(PolicyError):
    """The wall time is over."""


class MaxCostExceeded(PolicyError):
    """The money is spent, or a reservation does not fit into what is left."""


@dataclass(frozen=True)
class Price:
    """What a model costs, in the caller's currency per million tokens."""

    prompt: float
    completion: float

    def of(self, prompt_tokens: int, completion_tokens: int) -> float:
        """The cost of one call."""
        return (prompt_tokens * self.prompt + completion_tokens * self.completion) / 1e6


class Charge(Struct, frozen=True):
    """An amount of tokens and money: reserved before a call, or used by one."""

    tokens: int = 0
    cost: float = 0.0


@dataclass(frozen=True)
class RunLimits:
    """What one run may use, all recursion levels together. None means no limit."""

    max_steps: int = 40
    max_subcalls: int = 200
    max_recursion_depth: int = 1
    """How deep subcalls may nest; the root's own subcalls have depth 1."""
    max_total_tokens: int | None = 200_000
    max_subcall_tokens: int | None = None
    max_seconds: float | None = None
    """Wall seconds of a whole run."""
    max_cost: float | None = None
    prices: Mapping[str, Price] = field(default_factory=dict)
    """Prices by model name; "*" stands for every model that is not named."""

    def price_of(self, *names: str | None) -> Price:
        """The price of a model, by the first of its names that has one; else that of "*", or free.

        Servers may call a model otherwise than it was asked for: "m-2026-05-01" for "m".
        """
        for name in (*names, "*"):
            if name is not None and name in self.prices:
                return self.prices[name]
        return Price(0.0, 0.0)


class Used(Struct, frozen=True):
    """What has been used so far, and what is held for calls in flight."""

    steps: int = 0
    subcalls: int = 0
    tokens: int = 0
    subcall_tokens: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    cost: float = 0.0
    held: Charge = Charge()
    held_for_subcalls: int = 0
    """The part of `held.tokens` that counts as tokens of subcalls."""


def check_step(limits: RunLimits, used: Used) -> None:
    """Raises MaxStepsExceeded when no step is left."""
    if used.steps >= limits.max_steps:
        raise MaxStepsExceeded("max_steps exceeded")


def check_subcall(limits: RunLimits, used: Used, depth: int, deepest: int) -> None:
    """Raises MaxRecursionExceeded for a depth beyond `deepest`, then MaxSubcallsExceeded."""
    if depth > deepest:
        raise MaxRecursionExceeded("max_recursion_depth exceeded")
    if used.subcalls >= limits.max_subcalls:
        raise MaxSubcallsExceeded("max_subcalls exceeded")


def check_charge(limits: RunLimits, used: Used, charge: Charge, *, subcall: bool) -> None:
    """Raises MaxTokensExceeded or MaxCostExceeded where `charge` does not fit any more."""
    if subcall and limits.max_subcall_tokens is not None:
        taken = used.subcall_tokens + used.held_for_subcalls
        if taken + charge.tokens > limits.max_subcall_tokens:
            raise MaxTokensExceeded("max_subcall_tokens exceeded")
    if limits.max_total_tokens is not None:
        taken = used.tokens + used.held.tokens
        if taken + charge.tokens > limits.max_total_tokens:
            raise MaxTokensExceeded("max_total_tokens exceeded")
    if limits.max_cost is not None and used.cost + used.held.cost + charge.cost > limits.max_cost:
        raise MaxCostExceeded("max_cost exceeded")


def check_seconds(limits: RunLimits, elapsed: float) -> None:
    """Raises MaxSecondsExceeded when the run's wall time is over."""
    if limits.max_seconds is not None and elapsed >= limits.max_seconds:
        raise MaxSecondsExceeded("max_seconds exceeded")
