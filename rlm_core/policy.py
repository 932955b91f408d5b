"""What a run may use, and the arithmetic of using it. Pure: no clock, no lock, no thread.

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

from rlm_core.errors import RLMError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rlm_core.ledger import Ledger

CHARACTERS_PER_TOKEN = 4


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


def estimate_tokens(text: str) -> int:
    """Tokens of a text by rule of thumb: four characters each, and one at least if any."""
    return max(1, len(text) // CHARACTERS_PER_TOKEN) if text else 0


@dataclass(frozen=True)
class Price:
    """What a model costs, in the caller's currency per million tokens."""

    prompt: float
    completion: float

    def of(self, prompt_tokens: int, completion_tokens: int) -> float:
        """The cost of one call."""
        return (prompt_tokens * self.prompt + completion_tokens * self.completion) / 1e6


@dataclass(frozen=True)
class Charge:
    """An amount of tokens and money: reserved before a call, or used by one."""

    tokens: int = 0
    cost: float = 0.0


@dataclass(frozen=True)
class Policy:
    """What one run may use, all recursion levels together. None means no limit.

    Every run opens a ledger of its own, so that a policy can be reused. The counters and the
    methods here show and change the ledger that was opened last (before the first run: its own).
    """

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

    def open(self) -> Ledger:
        """A new ledger with nothing used; the counters of this policy show it from now on."""
        from rlm_core.ledger import Ledger

        ledger = Ledger(self)
        object.__setattr__(self, "_ledger", ledger)
        return ledger

    def price_of(self, *names: str | None) -> Price:
        """The price of a model, by the first of its names that has one; else that of "*", or free.

        Servers may call a model otherwise than it was asked for: "m-2026-05-01" for "m".
        """
        for name in (*names, "*"):
            if name is not None and name in self.prices:
                return self.prices[name]
        return Price(0.0, 0.0)

    @property
    def steps(self) -> int:
        """Steps taken."""
        return self._current().used().steps

    @property
    def subcalls(self) -> int:
        """Sub-model calls made; replies from the cache are free."""
        return self._current().used().subcalls

    @property
    def total_tokens(self) -> int:
        """Tokens used by all calls."""
        return self._current().used().tokens

    @property
    def subcall_tokens(self) -> int:
        """Tokens used by sub-model calls."""
        return self._current().used().subcall_tokens

    def check_step(self) -> None:
        """Take one step. Raises MaxStepsExceeded."""
        self._current().step()

    def check_subcall(self, depth: int) -> None:
        """Take one subcall. Raises MaxRecursionExceeded or MaxSubcallsExceeded."""
        self._current().subcall(depth)

    def add_tokens(self, tokens: int) -> None:
        """Use tokens of the root model. Raises MaxTokensExceeded and then uses none."""
        self._current().add(tokens, subcall=False)

    def add_subcall_tokens(self, tokens: int) -> None:
        """Use tokens of a sub-model. Raises MaxTokensExceeded and then uses none."""
        self._current().add(tokens, subcall=True)

    def reserve_subcall_tokens(self, tokens: int) -> None:
        """Hold tokens for a call to come. Raises MaxTokensExceeded and then holds none."""
        self._current().reserve(Charge(max(0, tokens)))

    def release_subcall_tokens(self, tokens: int) -> None:
        """Give held tokens back. Raises ValueError for more than are held."""
        self._current().release(Charge(max(0, tokens)))

    def finalize_subcall_tokens(self, reserved_tokens: int, actual_tokens: int) -> None:
        """Turn held tokens into used ones. Raises MaxTokensExceeded where more was used than fits;
        the tokens are then no longer held and not counted as used.
        """
        self._current().finalize(reserved_tokens, actual_tokens)

    def _current(self) -> Ledger:
        current: Ledger | None = getattr(self, "_ledger", None)
        return self.open() if current is None else current


@dataclass(frozen=True)
class Used:
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


def check_step(policy: Policy, used: Used) -> None:
    """Raises MaxStepsExceeded when no step is left."""
    if used.steps >= policy.max_steps:
        raise MaxStepsExceeded("max_steps exceeded")


def check_subcall(policy: Policy, used: Used, depth: int, deepest: int) -> None:
    """Raises MaxRecursionExceeded for a depth beyond `deepest`, then MaxSubcallsExceeded."""
    if depth > deepest:
        raise MaxRecursionExceeded("max_recursion_depth exceeded")
    if used.subcalls >= policy.max_subcalls:
        raise MaxSubcallsExceeded("max_subcalls exceeded")


def check_charge(policy: Policy, used: Used, charge: Charge, *, subcall: bool) -> None:
    """Raises MaxTokensExceeded or MaxCostExceeded where `charge` does not fit any more."""
    if subcall and policy.max_subcall_tokens is not None:
        taken = used.subcall_tokens + used.held_for_subcalls
        if taken + charge.tokens > policy.max_subcall_tokens:
            raise MaxTokensExceeded("max_subcall_tokens exceeded")
    if policy.max_total_tokens is not None:
        taken = used.tokens + used.held.tokens
        if taken + charge.tokens > policy.max_total_tokens:
            raise MaxTokensExceeded("max_total_tokens exceeded")
    if policy.max_cost is not None and used.cost + used.held.cost + charge.cost > policy.max_cost:
        raise MaxCostExceeded("max_cost exceeded")


def check_seconds(policy: Policy, elapsed: float) -> None:
    """Raises MaxSecondsExceeded when the run's wall time is over."""
    if policy.max_seconds is not None and elapsed >= policy.max_seconds:
        raise MaxSecondsExceeded("max_seconds exceeded")
