"""The account of one run: every level of the tree reserves here before a call, and settles after.

All methods are thread-safe; the rules themselves are the pure functions of `rlm_core.accounting`.
"""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

from msgspec import Struct
from msgspec.structs import replace

from rlm_core import accounting
from rlm_core.accounting import Charge, PolicyError, Used

if TYPE_CHECKING:
    from collections.abc import Callable

    from rlm_core.accounting import RunLimits
    from rlm_core.adapters.base import Usage


WAIT_SECONDS = 0.2  # how soon a call that waits for others notices that the run was stopped


class Reservation(Struct, frozen=True):
    """Tokens and money held for one call until it is settled or released."""

    charge: Charge
    subcall: bool
    model: str | None = None
    """What the model was called when it was asked."""


class Ledger:
    """What one run has used and holds, under a lock. Raises PolicyError where nothing is left."""

    def __init__(self, policy: RunLimits, *, clock: Callable[[], float] = time.monotonic) -> None:
        self.policy = policy
        self._clock = clock
        self._started = clock()
        self._lock = threading.Lock()
        self._freed = threading.Condition(self._lock)  # something held has become free
        self._waiting = 0
        self._used = Used()

    def used(self) -> Used:
        """What has been used up to now."""
        return self._used

    def seconds(self) -> float:
        """Wall seconds since the run began."""
        return self._clock() - self._started

    def seconds_left(self) -> float | None:
        """Wall seconds until the run's time is over, 0 at least; None without such a limit."""
        limit = self.policy.max_seconds
        return None if limit is None else max(0.0, limit - self.seconds())

    def step(self) -> None:
        """Take a step. Raises MaxStepsExceeded or MaxSecondsExceeded."""
        with self._lock:
            accounting.check_seconds(self.policy, self.seconds())
            accounting.check_step(self.policy, self._used)
            self._used = replace(self._used, steps=self._used.steps + 1)

    def subcall(self, depth: int, *, deepest: int | None = None) -> None:
        """Take a subcall. Raises MaxRecursion-, MaxSubcalls- or MaxSecondsExceeded."""
        deepest = self.policy.max_recursion_depth if deepest is None else deepest
        with self._lock:
            self._take_subcall(depth, deepest)

    def hold_for_root(
        self, prompt_tokens: int, max_tokens: int, model: str | None, *, subcall: bool = False
    ) -> Reservation:
        """Hold what a call of an episode's own model may use, or all that is left if less.

        It is refused only when nothing is left: a run that is nearly over still gets the reply
        that ends it. The model of an episode below the root is a `subcall`.
        """
        wanted = self._charge(prompt_tokens, max_tokens, model)
        with self._lock:
            accounting.check_seconds(self.policy, self.seconds())
            accounting.check_charge(self.policy, self._used, Charge(1), subcall=subcall)
            limit = self.policy.max_total_tokens
            if limit is not None:
                left = limit - self._used.tokens - self._used.held.tokens
                wanted = replace(wanted, tokens=min(wanted.tokens, left))
            return self._hold(wanted, model, subcall=subcall)

    def hold_for_subcall(
        self,
        depth: int,
        prompt_tokens: int,
        max_tokens: int,
        model: str | None,
        *,
        deepest: int,
        stopped: Callable[[], None],
    ) -> Reservation:
        """Take a subcall and hold what it may use, both or neither. Raises PolicyError.

        What does not fit only because of calls in flight waits until they are settled: they hold
        more than they will use. `stopped` is called while it waits, and raises to end it.
        """
        wanted = self._charge(prompt_tokens, max_tokens, model)
        with self._lock:
            while not self._fits(wanted):
                stopped()
                self._wait()
            self._take_subcall(depth, deepest)
            return self._hold(wanted, model, subcall=True)

    def hold_if_it_fits(
        self, depth: int, prompt_tokens: int, max_tokens: int, model: str | None, *, deepest: int
    ) -> Reservation | None:
        """The same without waiting: None for what does not fit because of calls in flight."""
        wanted = self._charge(prompt_tokens, max_tokens, model)
        with self._lock:
            if not self._fits(wanted):
                return None
            self._take_subcall(depth, deepest)
            return self._hold(wanted, model, subcall=True)

    def settle(self, held: Reservation, usage: Usage, model: str | None) -> None:
        """Record what a call really used, even where that is more than was left.

        `model` is who answered, as far as that was told.
        """
        cost = self.policy.price_of(model, held.model).of(
            usage.prompt_tokens, usage.completion_tokens
        )
        charge = held.charge
        with self._lock:
            used = self._used
            self._used = Used(
                steps=used.steps,
                subcalls=used.subcalls,
                tokens=used.tokens + usage.total_tokens,
                subcall_tokens=used.subcall_tokens + usage.total_tokens * held.subcall,
                prompt_tokens=used.prompt_tokens + usage.prompt_tokens,
                completion_tokens=used.completion_tokens + usage.completion_tokens,
                cost=used.cost + cost,
                held=Charge(used.held.tokens - charge.tokens, used.held.cost - charge.cost),
                held_for_subcalls=used.held_for_subcalls - charge.tokens * held.subcall,
            )
            self._tell_those_who_wait()

    def give_back(self, held: Reservation) -> None:
        """Release what was held for a call that failed; its subcall stays counted."""
        with self._lock:
            self._drop(held.charge, subcall=held.subcall)

    def overdrawn(self) -> PolicyError | None:
        """The limit that has been overstepped by what was really used, or None."""
        with self._lock:
            try:
                accounting.check_charge(self.policy, self._settled(), Charge(), subcall=False)
            except PolicyError as error:
                return error
            return None

    def left(self) -> dict[str, int | float | None]:
        """What is left, by name; None where there is no limit. This is what code sees."""
        policy, used = self.policy, self._used
        tokens = policy.max_total_tokens
        cost = policy.max_cost
        return {
            "steps": max(0, policy.max_steps - used.steps),
            "subcalls": max(0, policy.max_subcalls - used.subcalls),
            "tokens": None if tokens is None else max(0, tokens - used.tokens - used.held.tokens),
            "seconds": self.seconds_left(),
            "cost": None if cost is None else max(0.0, cost - used.cost - used.held.cost),
        }

    def add(self, tokens: int, *, subcall: bool) -> None:
        """Use tokens that were not reserved, all or none. Raises MaxTokensExceeded."""
        charge = Charge(max(0, tokens))
        with self._lock:
            accounting.check_charge(self.policy, self._used, charge, subcall=subcall)
            self._use(charge, subcall=subcall)

    def reserve(self, charge: Charge) -> None:
        """Hold tokens for a subcall, all or none. Raises MaxTokensExceeded."""
        with self._lock:
            accounting.check_charge(self.policy, self._used, charge, subcall=True)
            self._hold(charge, None, subcall=True)

    def release(self, charge: Charge) -> None:
        """Give back what `reserve` held. Raises ValueError for more than is held."""
        with self._lock:
            self._require_held(charge.tokens)
            self._drop(charge, subcall=True)

    def finalize(self, reserved: int, actual: int) -> None:
        """Turn a reservation into use; on MaxTokensExceeded it is given back and nothing used."""
        if reserved < 0 or actual < 0:
            raise ValueError("token counts must be non-negative")
        with self._lock:
            self._require_held(reserved)
            self._drop(Charge(reserved), subcall=True)
            accounting.check_charge(self.policy, self._used, Charge(actual), subcall=True)
            self._use(Charge(actual), subcall=True)

    def _charge(self, prompt_tokens: int, max_tokens: int, model: str | None) -> Charge:
        price = self.policy.price_of(model)
        return Charge(prompt_tokens + max_tokens, price.of(prompt_tokens, max_tokens))

    def _fits(self, wanted: Charge) -> bool:
        """True when it fits now, False when it may once others settle. Raises where it cannot."""
        try:
            accounting.check_charge(self.policy, self._used, wanted, subcall=True)
        except PolicyError:
            accounting.check_charge(self.policy, self._settled(), wanted, subcall=True)
            return False
        return True

    def _wait(self) -> None:
        self._waiting += 1
        try:
            self._freed.wait(WAIT_SECONDS)
        finally:
            self._waiting -= 1

    def _tell_those_who_wait(self) -> None:
        if self._waiting:
            self._freed.notify_all()

    def _settled(self) -> Used:
        """What is used, as if nothing were held."""
        return replace(self._used, held=Charge(), held_for_subcalls=0)

    def _take_subcall(self, depth: int, deepest: int) -> None:
        accounting.check_seconds(self.policy, self.seconds())
        accounting.check_subcall(self.policy, self._used, depth, deepest)
        self._used = replace(self._used, subcalls=self._used.subcalls + 1)

    def _require_held(self, tokens: int) -> None:
        if tokens > self._used.held_for_subcalls:
            raise ValueError(f"{tokens} tokens are not held: only {self._used.held_for_subcalls}")

    def _hold(self, charge: Charge, model: str | None, *, subcall: bool) -> Reservation:
        self._change_held(charge.tokens, charge.cost, subcall=subcall)
        return Reservation(charge, subcall, model)

    def _drop(self, charge: Charge, *, subcall: bool) -> None:
        self._change_held(-charge.tokens, -charge.cost, subcall=subcall)

    def _change_held(self, tokens: int, cost: float, *, subcall: bool) -> None:
        held = self._used.held
        self._used = replace(
            self._used,
            held=Charge(held.tokens + tokens, held.cost + cost),
            held_for_subcalls=self._used.held_for_subcalls + (tokens if subcall else 0),
        )
        self._tell_those_who_wait()

    def _use(self, charge: Charge, *, subcall: bool) -> None:
        self._used = replace(
            self._used,
            tokens=self._used.tokens + charge.tokens,
            subcall_tokens=self._used.subcall_tokens + (charge.tokens if subcall else 0),
            cost=self._used.cost + charge.cost,
        )
